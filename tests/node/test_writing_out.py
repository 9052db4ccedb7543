"""The writer writes rows out when their time is up and nobody waits; a node that ends has written out everything."""

from __future__ import annotations

from pathlib import Path

from microrollup.errors import CommitFailed
from microrollup.ledger.flush import Flushing, FlushLimits
from microrollup.node.options import NodeOptions
from microrollup.node.runtime import Node
from microrollup.node.writer import WriterOptions
from microrollup.store.environment import Environment
from microrollup.store.tables import get_base, get_checkpoint
from node_fixtures import Site
from waiting import wait_for

PATIENT = WriterOptions(block_seconds=0.05, gap_seconds=0.5, poll_seconds=0.05, flush_seconds=3_600)
SOON = WriterOptions(block_seconds=0.05, gap_seconds=0.5, poll_seconds=0.05, flush_seconds=0.01)


def read_heights(environment: Environment) -> tuple[int, int]:
    """How far the tables are, and the newest block."""
    with environment.snapshot() as txn:
        return get_base(txn, environment.tables), get_checkpoint(txn, environment.tables).height


def close_blocks(site: Site, node: Node, count: int) -> int:
    """Build some blocks of one action; the newest height."""
    for _ in range(count):
        before = node.lookups.get_tip()
        node.submit([site.line(("count", 0, 1))]).result(60)
        wait_for(lambda before=before: node.lookups.get_tip() > before)
    return node.lookups.get_tip()


def test_rows_wait_and_a_clean_end_writes_them_out(tmp_path: Path) -> None:
    """Closed blocks are read at once, though their rows are in no table; a node that ends leaves complete tables."""
    site = Site(tmp_path)
    with site.open(options=NodeOptions(timing=PATIENT)) as node:
        tip = close_blocks(site, node, 3)
        assert (0, tip) == read_heights(node.ledger.environment)
        field = site.rollup.state_type.get_field("visitors")
        assert [1, 2, 3] == [node.lookups.get_value(field, b"", height).value for height in range(1, 4)]
    with Environment(tmp_path / "node", read_only=True) as environment:
        assert (tip, tip) == read_heights(environment)


def test_rows_are_written_out_while_nobody_waits(tmp_path: Path) -> None:
    """Without another action: some time after the last block the tables are complete."""
    site = Site(tmp_path)
    with site.open(options=NodeOptions(timing=SOON)) as node:
        node.ledger.flushing.limits = FlushLimits(idle_rows=1)
        tip = close_blocks(site, node, 2)
        wait_for(lambda: read_heights(node.ledger.environment) == (tip, tip))


def test_rows_that_cannot_be_written_stop_intake(tmp_path: Path, monkeypatch) -> None:
    """A disk that refuses them is told as any commit that fails; what was acknowledged is there at the restart."""
    site = Site(tmp_path)

    def refuse(*_: object, **__: object) -> bool:
        raise CommitFailed("the disk is full")

    with site.open(options=NodeOptions(timing=PATIENT)) as node:
        tip = close_blocks(site, node, 2)
        with monkeypatch.context() as patch:
            patch.setattr(Flushing, "write_slice", refuse)
            node._writer.ask(lambda sequencer: sequencer.ledger.flushing.freeze()).result(60)
            wait_for(lambda: node._writer.stopped)
        assert "the disk is full" in str(node._writer.stopped)
    with site.open(options=NodeOptions(timing=PATIENT)) as node:
        assert tip == node.lookups.get_tip()
        assert tip + 1 == close_blocks(site, node, 1)
