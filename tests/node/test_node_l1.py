"""A node whose store is not what L1 has settled: an old copy, or another history."""

from __future__ import annotations

import shutil
from contextlib import closing
from pathlib import Path

import pytest

from kernel_fixtures import MAP_SIZE
from microrollup.errors import IntakeStopped
from microrollup.ledger.ledger import Ledger
from microrollup.sequencer.sequencer import Sequencer
from microrollup.settlement.local import LocalSettlement
from node_fixtures import BUILDER_KEY, Site
from waiting import wait_for


def settle_one(site: Site, *steps: tuple[str, int, int]) -> None:
    """One more block, settled."""
    with site.open(verifiers=1) as node:
        height = node.confirmations.latest + 1
        node.submit([site.line(*steps)]).result(60)
        wait_for(lambda: node.confirmations.settled == height)


def expect_refusal(site: Site, words: str) -> None:
    """The node serves reads, takes nothing, and says why."""
    with site.open(verifiers=1) as node:
        wait_for(lambda: node.stopped is not None)
        assert words in (node.stopped or "")
        with pytest.raises(IntakeStopped):
            node.submit([site.line(("count", 0, 1), nonce=9)])
        assert 1 == node.lookups.get_header(1).height


def test_an_old_copy_takes_nothing(tmp_path: Path) -> None:
    """A copy of the store that ends before what L1 has settled could acknowledge actions that never settle: it takes
    none. The store itself goes on.
    """
    site = Site(tmp_path)
    settle_one(site, ("count", 0, 1))
    shutil.copytree(tmp_path / "node", tmp_path / "old")
    settle_one(site, ("count", 0, 2))
    (tmp_path / "node").rename(tmp_path / "kept")
    (tmp_path / "old").rename(tmp_path / "node")
    expect_refusal(site, "L1 has settled block 2, and this store ends at 1")
    shutil.rmtree(tmp_path / "node")
    (tmp_path / "kept").rename(tmp_path / "node")
    settle_one(site, ("count", 0, 3))


def test_another_history_takes_nothing(tmp_path: Path) -> None:
    """A store that went on in another way than what was settled takes nothing either."""
    site = Site(tmp_path)
    settle_one(site, ("count", 0, 1))
    shutil.copytree(tmp_path / "node", tmp_path / "other")
    settle_one(site, ("count", 0, 2))
    with Ledger.open(tmp_path / "other", site.rollup, map_size=MAP_SIZE) as ledger, closing(open_l1(site)) as l1:
        sequencer: Sequencer[int] = Sequencer(ledger, BUILDER_KEY, l1)
        sequencer.close_block(allow_empty=True)
        sequencer.close()
        assert ledger.checkpoint.height == 2
    (tmp_path / "node").rename(tmp_path / "kept")
    (tmp_path / "other").rename(tmp_path / "node")
    expect_refusal(site, "L1 has settled another block 2 than this store holds")


def open_l1(site: Site) -> LocalSettlement:
    return LocalSettlement.open(site.root / "l1", site.get_time)
