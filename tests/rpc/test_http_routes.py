"""HTTP paths of an app's own: parameters from path and body, statuses, CORS, limits, and what cannot be declared."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

import hostile_methods as methods
from hostile_rollup import Count, app
from kernel_fixtures import make_key
from microrollup import Bytes, NodeView, Uint64, http_route
from microrollup.declaration.query import describe_method, load_methods
from microrollup.errors import DeclarationError, NotRetained
from microrollup.rpc.app_methods import ServedNode
from microrollup.rpc.limits import RpcLimits
from microrollup.testing.signing import sign_action
from node_fixtures import Caller, Site, to_line
from waiting import wait_for

ALICE = "0x" + "a1" * 20
EVIL = "https://evil.example"
LOOK = {"jsonrpc": "2.0", "id": 1, "method": "hostile_look", "params": {"number": 7, "height": 0}}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Caller]:
    with Site(tmp_path_factory.mktemp("routes"), "hostile_rollup").serve() as caller:
        yield caller


def ask(served: Caller, verb: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, Any, Any]:
    """Status, parsed body and headers of an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=60)
    try:
        connection.request(verb, path, body, headers)
        response = connection.getresponse()
        raw = response.read()
        is_json = response.headers.get_content_type() == "application/json"
        return response.status, json.loads(raw) if is_json else raw, response.headers
    finally:
        connection.close()


def post(served: Caller, path: str, body: bytes, **headers: str) -> tuple[int, Any, Any]:
    return ask(served, "POST", path, body, **{"Content-Type": "application/json", **headers})


def test_parameters_come_from_path_and_body(served: Caller) -> None:
    """The answer is the method's, whichever way it was asked."""
    assert [0, 0, 0, 0] == json.loads(served.post(msgspec.json.encode(LOOK))[1])["result"]
    status, answer, headers = ask(served, "GET", "/look/7/at-0.json?ignored=1")
    assert (200, [0, 0, 0, 0]) == (status, answer)
    assert ("application/json", "no-store") == (headers["Content-Type"], headers["Cache-Control"])
    assert [0, 0, 0, 0] == post(served, "/look", b'{"number": 7, "height": "0"}')[1]
    assert [0, 0, 0, 0] == post(served, "/look/7", b'{"height": 0}')[1]
    assert (200, 0) == ask(served, "GET", f"/nonce/{ALICE}")[:2]


def test_errors_have_a_status_and_a_message(served: Caller) -> None:
    """4xx for what is wrong with the question, 5xx where it is the node; the body is `{message}` alone."""
    cases = [
        (400, "who", ask(served, "GET", "/nonce/0x12")),
        (400, "height", post(served, "/look", b'{"number": 7}')),
        (400, "unknown member", post(served, "/look", b'{"number": 7, "height": 0, "more": 1}')),
        (400, "number", post(served, "/look/7", b'{"number": 7, "height": 0}')),
        (400, "twice", post(served, "/look", b'{"number": 7, "number": 7, "height": 0}')),
        (400, "invalid params", post(served, "/look", b"[7, 0]")),
        (400, "invalid params", post(served, "/look", b"\xff")),
        (400, "Content-Type", ask(served, "POST", "/look", b"{}", **{"Content-Type": "text/plain"})),
        (400, "not today", ask(served, "GET", "/unsure")),
        (404, "not found", ask(served, "GET", "/far")),
        (413, "larger than 65536", post(served, "/look", b"{" + b" " * 65_536 + b"}")),
        (500, "internal error", ask(served, "GET", "/breaks")),
        (500, "declared type", ask(served, "GET", "/lies")),
    ]
    for status, text, (found, answer, _) in cases:
        assert (status, ["message"]) == (found, list(answer)), answer
        assert text in answer["message"]
    assert 404 == ask(served, "GET", "/nonce/a/b")[0]
    assert 405 == post(served, f"/nonce/{ALICE}", b"{}")[0]


def test_pages_of_other_origins(served: Caller) -> None:
    """A route for everybody answers every page, its refusals too; another one none that is not listed."""
    for path in (f"/nonce/{ALICE}", "/unsure"):
        _, _, headers = ask(served, "GET", path, Origin=EVIL)
        assert "*" == headers["Access-Control-Allow-Origin"]
    preflight = {"Origin": EVIL, "Access-Control-Request-Method": "POST"}
    status, _, headers = ask(served, "OPTIONS", "/unsure", None, **preflight)
    assert (204, "*", "content-type") == (
        status,
        headers["Access-Control-Allow-Origin"],
        headers["Access-Control-Allow-Headers"],
    )
    status, answer, headers = post(served, "/look", b'{"number": 7, "height": 0}', Origin=EVIL)
    assert (403, None) == (status, headers["Access-Control-Allow-Origin"])
    assert "other origins" in answer["message"]
    assert 405 == ask(served, "OPTIONS", "/look", None, **preflight)[0]


def test_what_takes_too_long_is_ended(tmp_path: Path) -> None:
    """The client is answered in time, and told of an action that may have been taken; the method goes on."""
    path = describe_method(methods.stall).routes[0].path
    with Site(tmp_path, "hostile_rollup").serve(limits=RpcLimits(route_seconds=0.2)) as caller:
        methods.RELEASED.clear()
        try:
            status, answer, _ = ask(caller, "GET", path)
            assert (504, "this took too long; ask for less, or later") == (status, answer["message"])
            line = f"0x{sign_action(app, Count(1), 0, make_key('alice')).hex()}"
            submit, place = json.dumps({"line": line}).encode(), describe_method(methods.stall_after).routes[0].path
            wait_for(lambda: "may have been taken" in post(caller, place, submit)[1]["message"])
        finally:
            methods.RELEASED.set()
        wait_for(lambda: ask(caller, "GET", path)[:2] == (200, 0))


def test_settled_is_what_l1_holds(tmp_path: Path) -> None:
    """The height whose root the inbox has, however far the node itself is."""
    methods.RELEASED.set()
    site = Site(tmp_path, "hostile_rollup")
    with site.serve() as caller:
        caller.submit(to_line(site, site.signer.sign(Count(7))))
        wait_for(lambda: caller.call("height")["latest"])
        assert (200, 0) == ask(caller, "GET", "/stall")[:2]
    with site.serve(verifiers=1) as caller:
        latest = caller.call("height")["latest"]
        wait_for(lambda: caller.call("height")["settled"] == latest)
        assert (200, latest) == ask(caller, "GET", "/stall")[:2]


def test_calls_are_rationed(tmp_path: Path) -> None:
    """A question at a path costs what a call costs."""
    limits = RpcLimits(local_rate=0.001, burst_seconds=1_000.0)
    with Site(tmp_path, "hostile_rollup").serve(limits=limits) as caller:
        assert 200 == ask(caller, "GET", f"/nonce/{ALICE}")[0]
        status, answer, headers = ask(caller, "GET", f"/nonce/{ALICE}")
        assert 429 == status
        assert int(headers["Retry-After"]) > 0
        assert "too many calls" in answer["message"]


def test_routes_are_in_the_document(served: Caller) -> None:
    """OpenRPC says where else a method is answered."""
    document = json.loads(served.get("/openrpc.json")[1])
    found = {each["name"]: each.get("x-http") for each in document["methods"]}
    assert ["GET /look/{number}/at-{height}.json", "POST /look", "POST /look/{number}"] == found["hostile_look"]
    assert found["hostile_countNow"] is None


def declare(*routes: Any) -> None:
    """A method at these routes."""

    def find(node: NodeView, owner: Bytes, number: Uint64, exact: bool) -> Uint64:
        return number

    describe_method(http_route(*routes)(find))


@pytest.mark.parametrize(
    ("route", "error"),
    [
        (7, "is not a route"),
        ("PUT /find", "is not a route"),
        ("GET find", "is not a route"),
        ("GET /", "is not a route"),
        ("GET /{owner}/{number}", "is not a route"),
        ("GET /find/{owner}{number}", "is not a route"),
        ("GET /find/%2e/{owner}", "is not a route"),
        ("GET /explorer/{owner}/{number}", "the node's own"),
        ("POST /openrpc.json", "the node's own"),
        ("GET /find/{owner}/{height}", "none of the parameters"),
        ("GET /find/{owner}/{owner}/{number}", "twice"),
        ("GET /find/{owner}", "lacks {number}"),
        ("POST /find/{exact}", "not an integer"),
    ],
)
def test_what_cannot_be_a_route(route: Any, error: str) -> None:
    """Said in words when a node loads the methods."""
    declare("POST /find/{owner}/{number}", "POST /find")
    with pytest.raises(DeclarationError, match=error):
        declare(route)


def test_two_methods_at_one_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """They would answer each other's questions."""
    from hostile_rollup import app

    def far(node: NodeView, when: Uint64) -> Uint64:
        """Another one."""
        return when

    far.__module__ = methods.__name__
    monkeypatch.setattr(methods, "far", http_route("GET /nonce/{when}")(far), raising=False)
    with pytest.raises(DeclarationError, match=r"two routes are GET /nonce/\{\}"):
        load_methods(app)
    monkeypatch.undo()
    assert 1 == len(load_methods(app))


def test_a_store_that_l1_has_overtaken() -> None:
    """It does not hold what L1 holds, so another node has to answer: 503."""
    settled: Any = SimpleNamespace(get_settled=lambda: SimpleNamespace(height=5))
    node: Any = SimpleNamespace(l1=settled, lookups=SimpleNamespace(get_tip=lambda: 3))
    with ExitStack() as stack, pytest.raises(NotRetained, match="settled block 5, and this store ends at 3"):
        _ = ServedNode(SimpleNamespace(node=node), stack).settled  # type: ignore[arg-type]
