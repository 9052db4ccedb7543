"""Methods of an app's own: served beside the node's, documented and typed, and what they raise is answered."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

import hostile_methods as methods
import tickets
from hostile_rollup import Count, Tally, app, count
from kernel_fixtures import make_key
from microrollup import MethodSet, MicroRollup
from microrollup.cli import main
from microrollup.client import ActionRefused, NotFound, QueryFailed, RpcError, SyncClient
from microrollup.crypto.ecdsa import compute_address
from microrollup.declaration.query import describe_method, load_methods, load_reads, require_distinct
from microrollup.errors import DeclarationError, UsageError
from microrollup.rpc.app_methods import open_node_view
from microrollup.rpc.limits import RpcLimits
from microrollup.rpc.method import Api, PlainMethod
from microrollup.rpc.methods import make_methods
from microrollup.rpc.params import NoParams
from microrollup.rpc.rates import RateLimiter
from microrollup.testing.signing import sign_action
from node_fixtures import FAST, Caller, Site, to_line
from ticket_keys import Purse
from waiting import wait_for
from zoo import zoo

ALICE = make_key("alice")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Caller]:
    with Site(tmp_path_factory.mktemp("methods"), "hostile_rollup").serve() as caller:
        yield caller


@pytest.fixture
def client(served: Caller) -> Iterator[SyncClient]:
    with SyncClient(served.url, app) as client:
        yield client


def test_a_method_submits_and_looks_up(client: SyncClient) -> None:
    """An action that a method takes is durable when the method goes on, and everything can be asked about it."""
    nonce = client.call_method(methods.next_nonce, compute_address(ALICE))
    line = sign_action(app, Count(7), nonce, ALICE)
    counted = client.call_method(methods.count_now, line)
    assert ("executed", nonce) == (counted.status, counted.seq)
    assert counted.level in ("C0", "C1", "C2")
    assert nonce + 1 == client.call_method(methods.next_nonce, who=compute_address(ALICE))
    client.wait(counted.action_hash, "C1")
    height = client.get_height()
    assert [1, 1, 1, height] == client.call_method(methods.look, 7, height)
    assert [0, 0, 0, 0] == client.call_method(methods.look, 7, height=0)
    assert counted.seq == client.call_method(methods.count_now, line).seq
    with pytest.raises(ActionRefused) as refused:
        client.call_method(methods.count_now, sign_action(app, Count(8), nonce, ALICE))
    assert "nonce_used" == refused.value.refusal


def test_what_was_taken_is_answered(tmp_path: Path) -> None:
    """While answers that nobody reads fill their room, a method that hands an action in is answered; others are not."""

    def ask(name: str, **params: Any) -> Any:
        call = {"jsonrpc": "2.0", "id": 1, "method": f"hostile_{name}", "params": params}
        return json.loads(caller.post(json.dumps(call).encode())[1])

    look = {"number": 7, "height": 0}
    with Site(tmp_path, "hostile_rollup").serve(limits=RpcLimits(answers_bytes=30)) as caller:
        line = f"0x{sign_action(app, Count(7), 0, ALICE).hex()}"
        assert -32004 == ask("look", **look)["error"]["code"]
        assert "executed" == ask("countNow", line=line)["result"]["status"]
        batch = [
            {"jsonrpc": "2.0", "id": place, "method": f"hostile_{name}", "params": params}
            for place, (name, params) in enumerate((("countNow", {"line": line}), ("look", look)))
        ]
        answers = json.loads(caller.post(json.dumps(batch).encode())[1])
        assert [None, -32004] == [each.get("error", {}).get("code") for each in answers]


def test_what_they_raise(client: SyncClient) -> None:
    """Errors of the node are answered as by its own methods; a rejection and a wrong type say so; a fault does not."""
    with pytest.raises(NotFound):
        client.call_method(methods.too_far)
    for method, code in ((methods.unsure, "rejected"), (methods.lies, "mistyped")):
        with pytest.raises(QueryFailed) as failed:
            client.call_method(method)
        assert code == failed.value.reason
    with pytest.raises(RpcError) as fault:
        client.call_method(methods.breaks)
    assert (-32603, "internal error") == (fault.value.code, fault.value.message)
    with pytest.raises(RpcError) as wrong:
        client.call("hostile_nextNonce", who="0x12")
    assert -32602 == wrong.value.code


def test_they_are_in_the_document(served: Caller) -> None:
    """OpenRPC has them beside the queries, with their params and answers."""
    document = json.loads(served.get("/openrpc.json")[1])
    found = {each["name"]: each for each in document["methods"]}
    assert [("number", True), ("height", True)] == [
        (each["name"], each["required"]) for each in found["hostile_look"]["params"]
    ]
    assert "#/components/schemas/Counted" == found["hostile_countNow"]["result"]["schema"]["$ref"]
    assert {"actionHash", "seq", "status", "total", "level"} == set(
        document["components"]["schemas"]["Counted"]["properties"]
    )


def test_what_cannot_be_a_method() -> None:
    """A name that is taken, a function without a NodeView, and an app without methods."""
    plain: Any = PlainMethod("rollup_x", "x", NoParams, bool, lambda *_: True)
    for taken in (plain, msgspec.structs.replace(plain, name="rpc.x")):
        with pytest.raises(UsageError):
            make_methods([taken])
    with pytest.raises(DeclarationError, match="annotated NodeView"):
        describe_method(sign_action)
    assert () == load_methods(zoo)
    (loaded,) = load_methods(app)
    names = {"countNow", "look", "nextNonce", "tooFar", "unsure", "breaks", "lies", "stall", "stallAfter", "toil"}
    assert names == set(loaded.methods)


def test_a_set_that_is_switched_on(tmp_path: Path) -> None:
    """Beside the app's own methods, under a namespace of its own, with params and ids as another system sends them."""
    options = msgspec.structs.replace(FAST, methods=("legacy",))
    with Site(tmp_path, "hostile_rollup").serve(options=options) as caller:

        def post(body: str) -> Any:
            status, answer = caller.post(body.encode())
            return status, json.loads(answer)

        assert (200, {"jsonrpc": "2.0", "id": "7", "result": ["0x2a", [1, None]]}) == post(
            '{"jsonrpc": "2.0", "id": "7", "method": "old_echo", "params": ["0x2a", [1, null]]}'
        )
        assert (200, {"jsonrpc": "2.0", "id": "0", "result": {"number": "3"}}) == post(
            '{"jsonrpc": "2.0", "id": "0", "method": "old_choose", "params": [{"number": "3"}]}'
        )
        for method, params, code in (
            ("old_choose", '[{"number": 3}]', -32602),
            ("old_choose", "[null, null]", -32602),
            ("old_echo", "[]", -32602),
            ("old_missing", "[]", -32001),
            ("old_wrong", "[]", -32602),
        ):
            body = f'{{"jsonrpc": "2.0", "id": "1", "method": "{method}", "params": {params}}}'
            status, answer = post(body)
            assert (200, "1", code) == (status, answer["id"], answer["error"]["code"]), method
        names = {each["name"] for each in json.loads(caller.get("/openrpc.json")[1])["methods"]}
        assert {"old_echo", "hostile_look"} <= names
        assert not any(name.startswith("old_") for name in make_methods())


def test_sets_that_cannot_be() -> None:
    """An unknown set; names that are taken by the app's own methods; arguments that are none."""
    with pytest.raises(UsageError, match="no set of methods called 'axiom'; it has legacy, clash"):
        load_methods(app, ["axiom"])
    both = load_methods(app, ["legacy", "legacy"])
    assert ["hostile", "old"] == [each.namespace for each in both]
    require_distinct(load_reads(app), both)
    with pytest.raises(DeclarationError, match="hostile_methods of the app is called hostile_look as"):
        require_distinct(load_reads(app), load_methods(app, ["clash"]))
    bad: list[Any] = [
        ["legacy"], {"Legacy": MethodSet("legacy_methods", "old")}, {"legacy": "legacy_methods"},
        {"legacy": MethodSet("legacy methods", "old")}, {"legacy": MethodSet("legacy_methods", "rollup")},
        {"legacy": MethodSet("legacy_methods", "my_old")}, {"legacy": MethodSet("legacy_methods", None)},  # type: ignore[arg-type]
    ]  # fmt: skip
    for sets in bad:
        with pytest.raises(DeclarationError):
            MicroRollup(name="zoo", version="1", genesis=Tally(), stfs=[count], method_sets=sets)


def test_a_method_names_an_action_by_its_envelope(tmp_path: Path) -> None:
    """What came in an envelope, by the hash that it gives itself; and the levels."""
    purse = Purse()
    site = Site(tmp_path, "tickets:app")
    with site.open() as node, open_node_view(Api(node, RpcLimits())) as view:
        view.submit(to_line(site, site.signer.sign(tickets.Fill(purse.id, 100))))
        raw = purse.sign(9, number=0)
        digest = tickets.digest_ticket(tickets.Redeem(purse.id, 0, bytes(19) + b"\1", 9, 0))
        ack = view.submit(json.dumps({"envelope": "p256-ticket", "raw": f"0x{raw.hex()}"}).encode())
        found = view.get_action(digest, "p256-ticket")
        assert (raw, ack.seq) == (found.envelope.raw, found.seq)  # type: ignore[union-attr]
        assert view.get_receipt(ack.action_hash) == view.get_receipt(digest, "p256-ticket")
        assert site.genesis.builder == view.first_builder
        wait_for(lambda: view.height > 0)
        assert view.heights.latest >= view.heights.settled
        assert tuple(node.lookups.read_blocks(1, 1, 0)[0].records) == view.get_records(1)
        assert () == view.get_records(0)
        assert view.rollup_id == view.get_header(1).rollup_id


def test_what_a_method_takes_counts_against_its_caller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Envelopes that come by a method of the app's own take of the same share as by the node's."""
    site = Site(tmp_path, "tickets:app")
    with site.open() as node:
        asked: list[str | None] = []
        take = node.submit

        def submit(lines: Any, client: str | None = None) -> Any:
            asked.append(client)
            return take(lines, client)

        monkeypatch.setattr(node, "submit", submit)
        for client in ("203.0.113.5", None):
            line = to_line(site, site.signer.sign(tickets.Fill(Purse().id, 100)))
            with open_node_view(Api(node, RpcLimits()), client) as view:
                view.submit(line)
        assert ["203.0.113.5", None] == asked


def test_commands_say_what_is_wrong_with_a_set(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`run` before a data directory is made, `check` also of sets that nobody switches on."""
    assert 2 == main(["run", "hostile_rollup", "--methods", "axiom", "--data", str(tmp_path / "data")])
    assert "has no set of methods called 'axiom'" in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "data").exists()
    assert 2 == main(["check", "hostile_rollup"])
    assert "hostile_look as well" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize("at_path", [False, True], ids=["json-rpc", "path"])
def test_the_time_that_a_method_takes_counts_as_calls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_path: bool
) -> None:
    """A millisecond of its thread as one call more: who asks for much has to wait."""
    limits = RpcLimits(rate=20, burst_seconds=1.5)
    monkeypatch.setattr("microrollup.rpc.dispatch.RateLimiter", lambda limits: RateLimiter(limits, lambda: 0.0))
    for module in ("app", "http_routes"):
        monkeypatch.setattr(f"microrollup.rpc.{module}.name_client", lambda _: "10.1.2.3")
    with Site(tmp_path, "hostile_rollup").serve(limits=limits) as caller:
        if at_path:
            assert [200, 200, 429] == [caller.get(f"/toil/{took}")[0] for took in (5, 40, 1)]
            return
        calls = [
            {
                "jsonrpc": "2.0",
                "id": 1,
                "method": f"hostile_{methods.toil.__name__}",
                "params": {"milliseconds": str(took)},
            }
            for took in (5, 40, 1)
        ]
        answers = [json.loads(caller.post(msgspec.json.encode(call))[1]) for call in calls]
        assert ["result", "result", "error"] == [list(answer)[-1] for answer in answers], answers
        assert (-32006, True) == (answers[2]["error"]["code"], answers[2]["error"]["data"]["retryAfterMs"] > 500)
