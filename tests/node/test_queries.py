"""Queries of an app: served, documented, called by their types; one that misbehaves is answered, and nothing stops."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

import hostile_reads as reads
from hostile_rollup import Count, app
from kernel_fixtures import make_key
from microrollup.client import Client, QueryFailed, RpcError, SyncClient
from microrollup.codec.schema import to_camel_case
from microrollup.errors import UsageError, ValueOutOfBounds
from microrollup.node.errors import Overloaded
from microrollup.node.reader_process import QueryReply, QueryRequest
from microrollup.node.readers import MAX_QUEUED_QUERIES, Readers
from microrollup.rpc.limits import RpcLimits
from node_fixtures import Caller, Site
from waiting import wait_for

ALICE = make_key("alice")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Caller]:
    """A node with five blocks of counts."""
    site = Site(tmp_path_factory.mktemp("queries"), "hostile_rollup")
    with site.serve() as caller:
        assert caller.node.readers is not None
        with SyncClient(caller.url, app) as client:
            for number in range(5):
                client.wait(client.submit(Count(number), ALICE), "C1")
        yield caller


def ask(caller: Caller, method: str, params: Any) -> dict[str, Any]:
    """The whole answer of a query."""
    request = {"jsonrpc": "2.0", "id": 1, "method": f"hostile_{method}", "params": params}
    status, body = caller.post(msgspec.json.encode(request))
    assert 200 == status
    answer: dict[str, Any] = json.loads(body)
    return answer


def test_params_are_typed(served: Caller) -> None:
    """By name or by position, in camelCase, with defaults; what is not of a parameter's type is refused in words."""
    who = "0x" + "11" * 20
    wanted = ["5", "20", "2", "1", "3"]
    params = {"who": who, "raw": "0x1234", "flags": [True]}
    assert wanted == ask(served, reads.echo.__name__, params)["result"]
    assert wanted == ask(served, "echo", [who, "0x1234", [True], 3, None])["result"]
    assert ["2", "20", "0", "0", "9"] == ask(served, "echo", [who, "0x", [], 9, 2])["result"]
    for wrong in (
        {},
        {**params, "who": "0x11"},
        {**params, "small": 256},
        {**params, "small": "x"},
        {**params, "flags": [1]},
        {**params, "more": 1},
        {**params, "height": -1},
        {**params, "height": "first"},
        {**params, "height": 10**6},
        [who, "0x", [], 1, 1, 1],
    ):
        assert -32602 == ask(served, "echo", wrong)["error"]["code"], wrong
    long = ask(served, "echo", {**params, "raw": "0x" + "00" * 40_000})
    assert -32004 == long["error"]["code"]
    assert -32601 == ask(served, "nothing", {})["error"]["code"]


def test_heights(served: Caller) -> None:
    """Each query reads the state after the block that is asked for, and the newest one by default."""
    assert [0, 1, 2, 3, 4, 5] == [ask(served, "total", {"height": height})["result"] for height in range(6)]
    assert 5 == ask(served, "total", {})["result"] == ask(served, "total", {"height": "latest"})["result"]
    assert [[0, 1], [1, 1]] == ask(served, "entries", {"height": 2})["result"]
    assert [[2, 1], [3, 1]] == ask(served, "entries", {"start": 2, "limit": 2})["result"]


def test_they_are_in_the_document(served: Caller) -> None:
    """OpenRPC has each query with its params, their types and defaults, `height` and the answer."""
    document = json.loads(served.get("/openrpc.json")[1])
    methods = {method["name"]: method for method in document["methods"]}
    entries = methods["hostile_entries"]
    assert "A range." == entries["summary"]
    assert ["start", "limit", "height"] == [param["name"] for param in entries["params"]]
    assert [False, 10] == [entries["params"][1]["required"], entries["params"][1]["schema"]["default"]]
    assert {"type": "array"}.items() <= entries["result"]["schema"].items()
    assert [True, True, True, False, False] == [param["required"] for param in methods["hostile_echo"]["params"]]
    assert any("QueryFailed" in error["$ref"] for error in entries["errors"])
    assert "QueryFailed" in document["components"]["errors"]
    for name in ("Uint8", "Address", "Bytes"):
        assert name in document["components"]["schemas"]


def test_the_client_is_typed(served: Caller) -> None:
    """A query is called by its function: arguments are checked before anything is sent, answers are of its types."""

    async def use() -> None:
        async with Client(served.url, app) as client, Client(served.url) as unaware:
            for each in (client, unaware):
                found: list[tuple[int, int]] = await each.query(reads.entries, start=3)
                assert [(3, 1), (4, 1)] == found
                assert 2 == await each.query_at(2, reads.total)
            with pytest.raises(ValueOutOfBounds):
                await client.query(reads.entries, -1)
            with pytest.raises(UsageError):
                await client.query(reads.entries, nothing=1)  # type: ignore[call-arg]
            with pytest.raises(QueryFailed) as failed:
                await client.query(reads.rejects)
            assert ("rejected", "there is none") == (failed.value.reason, failed.value.detail)
            with pytest.raises(RpcError):
                await client.query_at(10**6, reads.total)

    asyncio.run(use())
    with SyncClient(served.url, app) as client:
        assert 5 == client.query(reads.total)
        assert 1 == client.query_at(1, reads.total)


@pytest.mark.parametrize(
    ("function", "code"),
    [
        (reads.loops, "steps"),
        (reads.swallows, "steps"),
        (reads.recurses, "depth"),
        (reads.raises, "raised"),
        (reads.rejects, "rejected"),
        (reads.leaves, "raised"),
        (reads.grows, "size"),
        (reads.ends, "died"),
        (reads.sleeps, "time"),
        (reads.returns_text, "mistyped"),
        (reads.returns_negative, "mistyped"),
        (reads.returns_flag, "mistyped"),
        (reads.returns_nothing, "mistyped"),
        (reads.returns_map, "mistyped"),
        (reads.returns_generator, "mistyped"),
        (reads.returns_much, "size"),
        (reads.returns_more, "size"),
    ],
)
def test_a_query_that_misbehaves(
    served: Caller, monkeypatch: pytest.MonkeyPatch, function: Callable[..., Any], code: str
) -> None:
    """It is answered with an error that says why, and the next query and the next block come as ever."""
    if code == "time":
        monkeypatch.setattr(served.node.readers, "_seconds", 1.5)
    error = ask(served, to_camel_case(function.__name__), {})["error"]
    monkeypatch.undo()
    assert (-32007, code) == (error["code"], error["data"]["code"]), error
    assert error["data"]["detail"]
    assert 1 == ask(served, "total", {"height": 1})["result"]
    assert "open" == served.call("status")["intake"]


def test_a_query_changes_nothing(served: Caller) -> None:
    """A map that a query makes is its own."""
    before = ask(served, "entries", {})["result"]
    assert len(before) == ask(served, reads.writes.__name__, {})["result"]
    assert before == ask(served, "entries", {})["result"]


def test_a_lost_reader_is_replaced(served: Caller) -> None:
    """A reader that the system kills between two queries costs one answer at most."""
    readers = served.node.readers
    assert readers is not None
    ask(served, "total", {})
    (link,) = readers._links
    pid = link.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: "result" in ask(served, "total", {}))
    assert link.pid not in (None, pid)


@contextmanager
def serve_readers(site: Site, **options: Any) -> Iterator[Readers]:
    with closing(Readers("hostile_rollup", site.root / "node", **options)) as readers:
        yield readers


def test_a_full_queue_is_busy(tmp_path: Path) -> None:
    """Beyond the queue's length queries are refused at once, and those that wait are answered when the node stops."""
    site = Site(tmp_path, "hostile_rollup")
    waiting: list[Future[QueryReply]] = []
    with serve_readers(site) as readers:
        waiting = [readers.submit(QueryRequest("total", None, b"{}")) for _ in range(MAX_QUEUED_QUERIES)]
        with pytest.raises(Overloaded, match="busy"):
            readers.submit(QueryRequest("total", None, b"{}"))
        waiting[0].cancel()
        readers.start()
        assert ["ok"] * (MAX_QUEUED_QUERIES - 1) == [future.result(60).code for future in waiting[1:]]
        assert [b"0"] * (MAX_QUEUED_QUERIES - 1) == [future.result().answer for future in waiting[1:]]
        sleeping = [readers.submit(QueryRequest("sleeps", None, b"{}")) for _ in range(3)]
    assert {"died"} == {future.result(60).code for future in sleeping}
    with pytest.raises(Overloaded):
        readers.submit(QueryRequest("total", None, b"{}"))


def test_steps_count_against_the_rate(tmp_path: Path) -> None:
    """A query that takes many steps costs its caller as much as many calls."""
    site = Site(tmp_path, "hostile_rollup")
    limits = RpcLimits(local_rate=20.0, burst_seconds=5.0)
    with site.serve(limits=limits) as caller:
        assert [0] * 5 == [ask(caller, "total", {})["result"] for _ in range(5)]
        assert -32007 == ask(caller, "loops", {})["error"]["code"]
        error = ask(caller, "total", {})["error"]
        assert -32006 == error["code"]
        assert error["data"]["retryAfterMs"] > 1_000
