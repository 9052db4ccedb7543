"""Reorgs of L1 under a running node: within its buffer, deeper without harm, and deeper with harm and the way on."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from websockets.sync.client import ClientConnection

from command_line import APP
from l1_node_fixtures import Chain, Node, RollupSite, Zygote, make_user, run_chain, run_command
from node_fixtures import receive, subscribe
from waiting import wait_for


@pytest.fixture(scope="module")
def zygote() -> Iterator[Zygote]:
    with closing(Zygote()) as started:
        yield started


@pytest.fixture(scope="module")
def chain() -> Iterator[Chain]:
    with run_chain() as started:
        yield started


def count_pending(chain: Chain) -> int:
    return int(chain.anvil.call("txpool_status")["pending"], 16)


def settle_by_hand(site: RollupSite, node: Node, on_top: int) -> None:
    """An action in a block in a batch in L1's newest block but `on_top`; L1 stands still before and afterwards."""
    site.submit(node, 2)
    wait_for(lambda: count_pending(site.chain))
    site.chain.anvil.call("evm_mine")
    wait_for(lambda: node.get_heights()["available"] == node.get_heights()["latest"])
    if on_top:
        number = site.chain.get_number() + on_top
        site.chain.anvil.mine(on_top)
        wait_for(lambda: node.call("status")["l1"]["number"] > number)


def receive_levels(ws: ClientConnection, height: int, count: int) -> list[str]:
    """The next levels that are told, all of one height."""
    told = [each["result"] for each in receive(ws, count)]
    assert {height} == {each["height"] for each in told}
    return [each["level"] for each in told]


def test_reorgs_within_the_buffer(tmp_path: Path, chain: Chain, zygote: Zygote) -> None:
    """L1 takes back a settled batch with its newest 1, 3 and 10 blocks: the node says so, settles the same blocks
    again, once, and subscribers hear C3A, C2, C3A, C3B in this order. Nothing is stopped, nothing executes twice.
    """
    site = RollupSite(tmp_path, chain, zygote)
    site.deploy("--da", "calldata")
    with site.run() as node, node.connect() as ws:
        subscribe(ws, "confirmations")
        for height, depth in enumerate((1, 3, 10), 1):
            with chain.miner.lock:
                settle_by_hand(site, node, depth - 1)
                assert ["C1", "C2", "C3A"] == receive_levels(ws, height, 3)
                first = chain.reorg(depth)
                wait_for(lambda height=height: node.get_heights()["available"] == height - 1)
                assert height - 1 == len(site.read_settled())
                assert height == node.get_heights()["verified"]
                wait_for(lambda: count_pending(chain))
            assert ["C2", "C3A", "C3B"] == receive_levels(ws, height, 3)
            seen, noted = node.command.read_log("l1_reorg", "l1_reorg_noted")[-2:]
            assert (first, depth, False) == (seen["first"], seen["replaced"], seen["deeper_than_buffer"])
            assert (first, height - 1) == (noted["l1_number"], noted["settled"])
        site.submit(node)
        assert 4 == node.wait_until_settled()
        assert "open" == node.read_health()["intake"]
        assert [] == [each for each in node.command.read_log() if each["level"] == "error"]
        site.check_settled_once(node)


SENDER = 1_000_000
"""The number of the user who forces an action."""


@pytest.fixture(scope="module")
def shallow(tmp_path_factory: pytest.TempPathFactory, chain: Chain, zygote: Zygote) -> RollupSite:
    """A rollup whose node stays only three blocks behind L1's head."""
    site = RollupSite(tmp_path_factory.mktemp("shallow"), chain, zygote)
    site.deploy("--da", "calldata", depth=3)
    return site


def test_a_deeper_reorg_that_changes_nothing(shallow: RollupSite) -> None:
    """L1 takes back eight blocks under a node that waits for three. What its blocks are built on is the same
    afterwards, so it says that this was deeper than its buffer, and goes on.
    """
    chain = shallow.chain
    with shallow.run() as node:
        shallow.submit(node)
        node.wait_until_settled()
        shallow.submit(node)
        node.wait_until_settled()
        with chain.miner.lock:
            wait_for(lambda: node.call("status")["l1"]["number"] == chain.get_number() + 1)
            first = chain.reorg(8)
        wait_for(lambda: node.command.read_log("l1_reorg_noted"))
        seen = node.command.read_log("l1_reorg")[-1]
        assert (first, 8, True) == (seen["first"], seen["replaced"], seen["deeper_than_buffer"])
        shallow.submit(node)
        assert node.wait_until_settled() >= 3
        assert "open" == node.read_health()["intake"]
        shallow.check_settled_once(node)


def test_the_way_on_after_a_deep_reorg(shallow: RollupSite) -> None:
    """L1 takes back a forced action that the node has executed, deeper than its buffer: intake stops and says where to
    read on, also after a restart; what is written there brings every acknowledged action into a new store, to be
    executed once, and settled.
    """
    site, chain = shallow, shallow.chain
    with site.run() as node:
        site.submit(node)
        node.wait_until_settled()
        settled = len(site.read_settled())
        forced = site.force(make_user(SENDER))
        wait_for(lambda: node.call("status")["l1"]["forcedTaken"] == 1)
        site.submit(node)
        height = node.wait_until_settled("available")
        assert height == site.read_settled()[settled:][-1].last_height
        chain.reorg_from(forced["inclusionBlock"])
        health = wait_for(lambda: (found := node.read_health())["intake"] == "stopped" and found)
        assert "see `microrollup docs deep-reorgs`" in health["reason"]
        assert "forced_count" in health["reason"]
        assert 503 == node.get("/health")[0]
        assert -32003 == node.fail("submitActions", actions=[{}])[0]
        assert settled == len(site.read_settled())
        assert 0 == node.command.stop()
        assert [] == node.command.read_log("batch_not_settled")
    with site.run() as node:  # whoever starts it again does not make it better
        wait_for(lambda: node.read_health()["intake"] == "stopped")
        assert height == node.get_heights()["latest"]
        assert 0 == node.command.stop()
    old, site.data = site.data, follow_the_readme(site)
    with site.run() as node:
        node.wait_until_settled()
        site.submit(node)
        site.force(make_user(SENDER))
        wait_for(lambda: node.call("status")["l1"]["forcedTaken"] == 1)
        node.wait_until_settled()
        site.check_settled_once(node, others=1, in_place=False)
        assert [] == node.command.read_log("batch_not_settled", "intake_stopped")
        assert 0 == node.command.stop()
    with site.run(data=old) as node:  # whoever mistakes the old store for the new one
        health = wait_for(lambda: (found := node.read_health())["intake"] == "stopped" and found)
        assert "it is an old copy" in health["reason"] or "another block" in health["reason"]


def follow_the_readme(site: RollupSite) -> Path:
    """The section "Deep reorgs", step by step; the new data directory."""
    old, new, derived = site.data, site.root / "new", site.root / "derived"
    report = site.derive(derived)
    file = site.root / "actions.jsonl"
    exported = run_command("export", APP, "--data", old, "--actions", "--after", report["verified"], "--out", file)
    (derived / "store").rename(new)
    shutil.copy(old / "deployed.json", new)
    (new / "keys").mkdir()
    for name in ("builder.key", "verifier.key"):
        shutil.copy(old / "keys" / name, new / "keys")
    imported = run_command("import", APP, file, "--data", new)
    assert (exported["actions"], 0) == (imported["executed"], imported["refused"])
    return new
