"""Request ids: taken or made, given back, in each line that a request causes in the log; metrics that nobody spoils."""

from __future__ import annotations

import http.client
import json
import re
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

import zoo
from kernel_fixtures import MAP_SIZE
from microrollup.ledger.ledger import Ledger
from microrollup.logs import REQUEST_ID, configure_logging
from microrollup.node.metrics import Metrics
from microrollup.node.runtime import Node
from microrollup.settlement.local import LocalSettlement
from node_fixtures import BUILDER_KEY, FAST, ZOO, Caller, Site, serve_node, to_line
from waiting import wait_for

MADE = re.compile(r"[0-9a-f]{16}")
HOSTILE = [
    b"", b" ", b"a b", b"x" * 129, b"a\tb", b'"', b"{", b"\xff\xfe", b"\x1b[31m", b"a,b", b"a;b", b"%0d%0aX: 1",
    b"<script>",    "\N{GREEK SMALL LETTER ALPHA}".encode(), b"a\xc2\xa0b",
]  # fmt: skip


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Caller]:
    with Site(tmp_path_factory.mktemp("site")).serve() as caller:
        yield caller


def ask_raw(served: Caller, *headers: bytes, path: bytes = b"/health", body: bytes = b"") -> bytes:
    """The head of an answer to exactly these header lines."""
    verb = b"POST" if body else b"GET"
    lines = [verb + b" " + path + b" HTTP/1.1", b"Host: localhost", b"Connection: close", *headers]
    if body:
        lines += [b"Content-Type: application/json", b"Content-Length: %d" % len(body)]
    with socket.create_connection(("127.0.0.1", served.port)) as connection:
        connection.sendall(b"\r\n".join([*lines, b"", body]))
        with connection.makefile("rb") as file:
            return file.read().partition(b"\r\n\r\n")[0]


def find_ids(head: bytes) -> list[str]:
    return [
        line.split(b":", 1)[1].strip().decode() for line in head.split(b"\r\n") if line.lower().startswith(b"x-req")
    ]


@pytest.mark.parametrize("name", ["a", "x" * 128, "018f-ab.c_D:1/2=3+4", "Root=1-67891233-abcdef012345678912345678"])
def test_a_plain_id_is_taken(served: Caller, name: str) -> None:
    """What UUIDs, traces and load balancers write comes back as it came."""
    assert [name] == find_ids(ask_raw(served, b"X-Request-ID: " + name.encode()))


@pytest.mark.parametrize("name", HOSTILE)
def test_another_is_replaced(served: Caller, name: bytes) -> None:
    """Long, empty or not plain: a new id, so that nothing of it gets into the log or an answer."""
    head = ask_raw(served, b"X-Request-Id: " + name)
    if b" 400 " in head.split(b"\r\n")[0]:
        return  # the server itself took it for no header
    (found,) = find_ids(head)
    assert MADE.fullmatch(found)


def test_two_ids_are_none(served: Caller) -> None:
    """Who sends two gets a third: which one a proxy would have logged is not known."""
    (found,) = find_ids(ask_raw(served, b"X-Request-Id: a", b"x-request-id: b"))
    assert MADE.fullmatch(found)


@pytest.mark.parametrize("path", [b"/", b"/metrics", b"/nothing", b"/openrpc.json", b"/explorer/nothing"])
def test_every_answer_has_one(served: Caller, path: bytes) -> None:
    """Errors too, and those of the server's door: another host, another origin."""
    assert ["mine"] == find_ids(ask_raw(served, b"X-Request-Id: mine", path=path))
    assert ["mine"] == find_ids(ask_raw(served, b"X-Request-Id: mine", path=path, body=b"{"))


def test_refused_at_the_door(served: Caller) -> None:
    """A foreign host is refused under the id as well, and a WebSocket is accepted under its own."""
    connection = http.client.HTTPConnection("127.0.0.1", served.port)
    with closing(connection):
        connection.request("GET", "/health", headers={"Host": "evil.example", "X-Request-Id": "door"})
        response = connection.getresponse()
        assert (421, "door") == (response.status, response.getheader("x-request-id"))
    with served.connect(additional_headers={"X-Request-Id": "socket-7"}) as opened:
        assert opened.response is not None
        assert "socket-7" == opened.response.headers["x-request-id"]


def read_log(captured: str, *events: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in captured.splitlines() if line.startswith("{")]
    return [line for line in lines if line["event"] in events]


def test_lines_of_the_writer_name_the_request(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Several requests are executed as one group: each fault is logged under the id of the request that brought it."""

    def fail(*_: Any) -> Any:
        raise ValueError("a bug")

    monkeypatch.setitem(zoo.MISCHIEF, "fail", fail)
    site = Site(tmp_path)
    configure_logging(as_json=True)
    try:
        with site.serve() as served:
            lines = []
            for number in range(12):
                if number % 3:
                    lines.append(site.line(("count", 0, 1), name=f"s{number}"))
                else:
                    lines.append(to_line(site, site.signer.sign(zoo.Misbehave("fail"), f"s{number}")))

            def send(number: int) -> None:
                with closing(Caller(served.node, served.port)) as caller:
                    request = {"jsonrpc": "2.0", "id": 1, "method": "rollup_submitAction"}
                    body = msgspec.json.encode(request | {"params": {"action": msgspec.Raw(lines[number])}})
                    assert b'"result"' in caller.post(body, **{"X-Request-Id": f"request-{number}"})[1]

            with ThreadPoolExecutor(12) as pool:
                list(pool.map(send, range(12)))
            many = [to_line(site, site.signer.sign(zoo.Misbehave("fail"), f"m{number}")) for number in range(2)]
            wait_for(lambda: served.node.receipts.next >= 12)
            params = {"actions": [msgspec.Raw(line) for line in many]}
            body = {"jsonrpc": "2.0", "id": 1, "method": "rollup_submitActions", "params": params}
            served.post(msgspec.json.encode(body), **{"X-Request-Id": "many"})
        found = [line["request_id"] for line in read_log(capfd.readouterr().err, "stf_faulted")]
    finally:
        configure_logging()
    assert sorted(["request-0", "request-3", "request-6", "request-9", "many", "many"]) == sorted(found)


def test_lines_of_threads_name_the_request(
    served: Caller, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bug in a method that a thread answers: the line and the answer have one id, and the next request another."""

    def fail(*_: Any) -> Any:
        raise ValueError("a bug")

    configure_logging(as_json=True)
    try:
        monkeypatch.setattr(served.node.lookups, "get_header", fail)
        served.post(b'{"jsonrpc":"2.0","id":1,"method":"rollup_getHeader"}', **{"X-Request-Id": "bug-1"})
        (line,) = read_log(capfd.readouterr().err, "rpc_internal_error")
    finally:
        configure_logging()
    assert "bug-1" == line["request_id"]
    assert REQUEST_ID.get() is None


def count_series(text: bytes) -> int:
    return sum(len(family.samples) for family in text_string_to_metric_families(text.decode()))


def test_nobody_makes_series(served: Caller) -> None:
    """Methods, ids, codes and paths that clients make up add nothing to `/metrics` after the first of each kind."""
    served.post(b'{"jsonrpc":"2.0","id":1,"method":"nothing"}')
    served.post(b"{")
    before = count_series(served.get("/metrics")[1])
    for number in range(50):
        name = f'evil{number}"}} 1\\nmicrorollup_x{{a="'
        served.post(msgspec.json.encode({"jsonrpc": "2.0", "id": number, "method": name}))
        ask_raw(served, b"X-Request-Id: id-%d" % number, path=b"/path-%d" % number)
    text = served.get("/metrics")[1]
    assert b"evil" not in text
    assert before == count_series(text)


def test_labels_are_escaped() -> None:
    """Whatever an app calls an index, it stays one label of one series."""
    metrics, name = Metrics(), 'a"} 1\nmicrorollup_intake_open{b="\\'
    metrics.watch("index_height", "Height.", lambda: 7, index=name)
    families = {family.name: family for family in text_string_to_metric_families(metrics.render().decode())}
    (sample,) = families["microrollup_index_height"].samples
    assert ({"index": name}, 7.0) == (sample.labels, sample.value)
    assert "microrollup_intake_open" not in families


def test_a_gauge_that_fails_hides_no_other() -> None:
    """It is NaN, for which no alert fires; the others are told."""
    metrics = Metrics()
    metrics.watch("broken", "Broken.", lambda: 1 // 0)
    metrics.watch("unknown", "Unknown.", lambda: None)
    metrics.watch("well", "Well.", lambda: 5)
    lines = metrics.render().decode().splitlines()
    assert {"microrollup_broken NaN", "microrollup_unknown NaN", "microrollup_well 5.0"} <= set(lines)


def test_scraped_while_all_is_closed(tmp_path: Path) -> None:
    """A server that outlives its node, its store and its L1 for a moment: metrics are told, and health is 503."""
    site = Site(tmp_path)
    ledger = Ledger.open(tmp_path / "node", site.rollup, map_size=MAP_SIZE)
    l1 = LocalSettlement.open(tmp_path / "l1", site.get_time)
    node = Node(ZOO, ledger, l1, BUILDER_KEY, options=FAST)
    node.start()
    with serve_node(node) as served:
        assert (200, 200) == (served.get("/metrics")[0], served.get("/health")[0])
        node.stop()
        assert (200, 503) == (served.get("/metrics")[0], served.get("/health")[0])
        ledger.close()
        l1.close()
        status, body = served.get("/metrics")
        assert 200 == status
        assert b"microrollup_intake_open 0.0" in body
        status, body = served.get("/health")
        assert (503, "stopped") == (status, json.loads(body)["intake"])


def test_many_scrape_at_once(served: Caller) -> None:
    """Eight scrapers beside a client that submits: every answer is whole, and all actions are acknowledged."""

    def scrape(_: int) -> bool:
        with closing(Caller(served.node, served.port)) as caller:
            answers = [caller.get("/metrics") for _ in range(25)]
        return all(status == 200 and body.endswith(b"\n") and count_series(body) > 50 for status, body in answers)

    with ThreadPoolExecutor(8) as pool:
        scraping = [pool.submit(scrape, number) for number in range(8)]
        for _ in range(20):
            assert isinstance(served.call("height")["latest"], int)
        assert all(each.result() for each in scraping)
