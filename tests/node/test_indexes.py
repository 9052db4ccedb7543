"""A node's indexes: filled in a process of their own, read by queries and methods, shown by status and metrics."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from command_line import run_process
from kernel_fixtures import make_key
from microrollup.client import QueryFailed, SyncClient
from microrollup.crypto.ecdsa import compute_address
from microrollup.deployment.status import read_directory_status
from microrollup.settlement.place import LocalPlace
from node_fixtures import Caller, Site
from shelf import Place, Remove, app
from shelf_indexes import FATAL
from shelf_methods import lowest
from shelf_reads import best, count_ranked, placed_by, ranked
from waiting import wait_for

ALICE, BOB = make_key("alice"), make_key("bob")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A shelf in a directory."""
    return Site(tmp_path_factory.mktemp("indexes"), "shelf")


@pytest.fixture(scope="module")
def served(site: Site) -> Iterator[Caller]:
    """A node of it."""
    with site.serve() as caller:
        wait_until_filled(caller)
        yield caller


def wait_until_filled(caller: Caller) -> int:
    """Wait until every index has the newest block, or has failed; its height."""
    node = caller.node
    assert node.indexer is not None
    latest = node.lookups.get_tip()

    def is_filled() -> bool:
        assert node.indexer is not None
        statuses = node.indexer.statuses
        return len(statuses) == 4 and all(status.reached >= latest or status.failure for status in statuses)

    wait_for(is_filled)
    return latest


def test_what_is_confirmed_is_indexed(served: Caller) -> None:
    """A query after C1 sees the block in every index; at an older height it sees that one's rows."""
    with SyncClient(served.url, app) as client:
        first = client.wait(client.submit(Place(5, 9), ALICE), "C1")
        assert (9, 5) == tuple(client.query(best, 1)[0])
        for number in (6, 7, 8):
            last = client.wait(client.submit(Place(number, 3), BOB), "C1")
        assert ([6, 7], 7) == tuple(client.query(ranked, 3, after=5, limit=2))
        assert ([8], None) == tuple(client.query(ranked, 3, after=7, limit=2))
        assert [3, 3, 3] == client.query(placed_by, compute_address(BOB))[-3:]
        ours = len(client.query(placed_by, compute_address(BOB)))
        assert ours - 3 == len(client.query_at(first.height, placed_by, compute_address(BOB)))
        assert ([6], 6) == tuple(client.query_at(last.height, ranked, 3, after=5, limit=1))
        client.wait(client.submit(Place(0, 0), BOB), "C1")
        assert (0, 0) == tuple(client.call_method(lowest) or ())
        client.wait(client.submit(Remove(0), ALICE), "C1")
        assert (0, 0) != tuple(client.call_method(lowest) or ())


def test_killed_and_started_again(served: Caller) -> None:
    """Kill -9 of the process that fills them: another one goes on, and nothing is missing or counted twice."""
    indexer = served.node.indexer
    assert indexer is not None
    lost = indexer.lost
    with SyncClient(served.url, app) as client:
        for rank in (2, 2):
            os.kill(wait_for(lambda: indexer.pid), signal.SIGKILL)
            client.wait(client.submit(Place(rank, rank), ALICE), "C1")
            lost += 1
            wait_for(lambda lost=lost: indexer.lost >= lost)
        wait_until_filled(served)
        assert 2 == client.query(count_ranked, 2)[0]


def test_shown(served: Caller) -> None:
    """Status, metrics and the OpenRPC document say what there is."""
    latest = wait_until_filled(served)
    with SyncClient(served.url, app) as client:
        shown = client.call("status")["indexes"]
    assert ["by_rank", "fussy", "history", "sizes"] == [index["name"] for index in shown]
    assert [(latest, None)] * 4 == [(index["reached"], index["failure"]) for index in shown]
    assert latest + 1 == shown[3]["rows"]
    assert f'microrollup_index_height{{index="sizes"}} {float(latest)}' in served.get("/metrics")[1].decode()
    names = [method["name"] for method in json.loads(served.get("/openrpc.json")[1])["methods"]]
    assert "shelf_best" in names
    assert not any("byRank" in name for name in names)


def test_one_that_fails(tmp_path: Path) -> None:
    """Its queries say so by a code of their own, after a restart too; the others go on, and `status` shows it."""
    site = Site(tmp_path, "shelf")
    with site.serve() as caller, SyncClient(caller.url, app) as client:
        client.wait(client.submit(Place(3, 20), ALICE), "C1")
        failing = client.wait(client.submit(Place(1, FATAL), ALICE), "C1").height
        wait_until_filled(caller)
        check_failed(client, failing)
        assert (7, 1_000) == tuple(client.call_method(lowest) or ())
    with site.serve() as caller, SyncClient(caller.url, app) as client:
        client.wait(client.submit(Place(4, 1), ALICE), "C1")
        wait_until_filled(caller)
        check_failed(client, failing)
        assert (1, 4) == tuple(client.call_method(lowest) or ())
    status = read_directory_status(site.root / "node", LocalPlace(str(site.root / "l1")))
    by_name = {index["name"]: index for index in status["indexes"]}
    latest = status["height"]["latest"]
    assert (latest, failing - 1) == (by_name["by_rank"]["reached"], by_name["fussy"]["reached"])
    assert "a fatal rank" in by_name["fussy"]["failure"]
    shown = run_process("status", site.root / "node", "--l1", site.root / "l1", cwd=tmp_path).out
    assert "fussy" in shown
    assert "a fatal rank" in shown
    assert "complete" in shown


def check_failed(client: SyncClient, failing: int) -> None:
    """One index is stuck below a height; another is not."""
    with pytest.raises(QueryFailed) as failed:
        client.query(count_ranked, 20)
    assert "index_failed" == failed.value.reason
    assert ("fussy", failing - 1) == (failed.value.data["index"], failed.value.data["reached"])
    assert 1 == client.query_at(failing - 1, count_ranked, 20)[0]
    assert (FATAL, 1) == tuple(client.query(best, 1)[0])
