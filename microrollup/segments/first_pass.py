"""A first pass over a history without kept snapshots: execute it once, and drop a snapshot now and then.

What it drops is a starting point and nothing more. It stops quietly at the first block that it cannot follow: the
verdict on that block is the business of the segment that holds it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from microrollup.chain.block import Header
from microrollup.declaration.rollup import MicroRollup
from microrollup.errors import MicrorollupError
from microrollup.execution.authentication_pool import AuthenticationPool
from microrollup.execution.watchdog import Watchdog
from microrollup.ledger.ledger import Ledger
from microrollup.limits import ACTION_SECONDS, VERIFIER_FACTOR
from microrollup.maintenance.snapshot import write_snapshot
from microrollup.segments.segment import Segment, Start
from microrollup.segments.shelf import SnapshotShelf
from microrollup.settlement.protocol import L1View
from microrollup.verifier.derive import SettledSource, derive_blocks
from microrollup.verifier.follow import read_judgeable, verify_blocks
from microrollup.verifier.source import BlockSource

__all__ = ["FirstPass"]

_MIN_ACTIONS: Final = 10_000
"""A second of a worker's time: below it a segment is not worth the way to the worker."""


class FirstPass:
    """Executes a history into a store of its own in `directory`, and cuts it into segments on the way."""

    def __init__(self, rollup: MicroRollup, directory: Path, genesis: Start, least_actions: int | None) -> None:
        """`least_actions` of a segment; by default at least as many as the state has keys and rows."""
        self._rollup = rollup
        self._directory = directory
        self._shelf = SnapshotShelf(directory / "snapshots")
        self._last = genesis
        self._least = least_actions
        self._due: Start | None = None

    def run(
        self,
        source: BlockSource | SettledSource,
        l1: L1View | None,
        app: str,
        workers: int,
        add: Callable[[Segment], None],
    ) -> None:
        """Execute all that the source has; `add` is called with each segment as soon as its end is known.

        Signatures are checked by `workers` processes: the sender of an action is nowhere but in its signature.
        """
        self._shelf.directory.mkdir(parents=True, exist_ok=True)
        with suppress(MicrorollupError):
            self._pass(source, l1, app, workers, add)
        add(Segment(self._last, None))

    def _pass(
        self,
        source: BlockSource | SettledSource,
        l1: L1View | None,
        app: str,
        workers: int,
        add: Callable[[Segment], None],
    ) -> None:
        store = self._directory / "first-pass"
        with (
            Ledger.create(store, self._rollup, source.genesis) as ledger,
            Watchdog(ACTION_SECONDS * VERIFIER_FACTOR) as ledger.watchdog,
            AuthenticationPool(app, source.genesis.domain, workers) as pool,
        ):

            def look(header: Header) -> None:
                self._look(ledger, header, add)

            if isinstance(source, SettledSource):
                derive_blocks(ledger, source.l1, pool, look)
            else:
                blocks = read_judgeable(source.read_blocks(), l1)
                verify_blocks(ledger, blocks, l1, pool, lambda block: look(block.header))

    def _look(self, ledger: Ledger, header: Header, add: Callable[[Segment], None]) -> None:
        """A block is executed. A cut before it, if one is due, is worth it: there is a block after it."""
        if (due := self._due) is not None:
            path = self._shelf.directory / "writing"
            info = write_snapshot(ledger.environment, self._rollup, path, due.height)
            start = Start(due.height, due.block_hash, due.next_seq, due.rows, str(self._shelf.place(info, path)))
            add(Segment(self._last, start))
            self._last, self._due = start, None
        checkpoint = ledger.checkpoint
        rows = checkpoint.leaf_count + sum(checkpoint.sizes)
        least = max(_MIN_ACTIONS, rows) if self._least is None else self._least
        if checkpoint.next_seq - self._last.next_seq >= least:
            self._due = Start(header.height, checkpoint.block_hash, checkpoint.next_seq, rows, None)
