"""Where there are no kept snapshots: some are made, as starting points and nothing more.

A store that is read still has its newer states. What lies before them, and every other source, is executed once in a
first pass, which drops a snapshot now and then. It stops quietly at the first block that it cannot follow: the verdict
on that block is the business of the segment that holds it.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import suppress
from itertools import takewhile
from pathlib import Path
from typing import Final

from microrollup.chain.block import compute_rollup_id
from microrollup.chain.record import Genesis
from microrollup.declaration.rollup import MicroRollup
from microrollup.errors import MicrorollupError, StoreError, StoreMissing
from microrollup.execution.authentication_pool import AuthenticationPool
from microrollup.execution.watchdog import Watchdog
from microrollup.ledger.ledger import Ledger
from microrollup.limits import ACTION_SECONDS, VERIFIER_FACTOR
from microrollup.maintenance.snapshot import write_snapshot
from microrollup.segments.segment import Segment, Start, cut_segments
from microrollup.segments.shelf import SnapshotShelf
from microrollup.settlement.protocol import L1View
from microrollup.store.environment import Environment
from microrollup.verifier.derive import SettledSource, derive_blocks
from microrollup.verifier.follow import read_judgeable, verify_blocks
from microrollup.verifier.source import BlockSource, StoreSource

__all__ = ["FirstPass"]

_MIN_ACTIONS: Final = 10_000
"""A second of a worker's time: below it a segment is not worth the way to the worker."""


class FirstPass:
    """Cuts a history into segments at snapshots that it puts on `shelf`."""

    def __init__(
        self,
        rollup: MicroRollup,
        store: Path,
        shelf: SnapshotShelf,
        least_actions: int | None,
        add: Callable[[Segment], None],
    ) -> None:
        """`store` is for what is executed on the way; a pass that was cut off goes on there. `least_actions` of a
        segment; by default at least as many as the state before it has keys and rows. `add` is called with each
        segment as soon as its end is known.
        """
        self._rollup = rollup
        self._store = store
        self._shelf = shelf
        self._least = least_actions
        self._add = add
        self._last: Start

    def run(
        self, source: BlockSource | SettledSource, l1: L1View | None, genesis: Start, app: str, workers: int
    ) -> None:
        """Cut all that the source has; in a pass, signatures are checked by `workers` processes: the sender of an
        action is nowhere but in its signature.
        """
        self._last = genesis
        with suppress(MicrorollupError, OSError, MemoryError):  # as a full disk: the segments so far are good ones
            self._shelf.directory.mkdir(parents=True, exist_ok=True)
            for segment in cut_segments(genesis, self._shelf.read_starts(compute_rollup_id(source.genesis)), 1):
                if segment.end is not None:
                    self._end_at(segment.end)
            lowest = source.read_lowest() if isinstance(source, StoreSource) else None
            if lowest is None or lowest > self._last.height:
                self._execute(source, l1, app, workers, lowest)
            if isinstance(source, StoreSource):
                self._take_stored(source)
        self._add(Segment(self._last, None))

    def _execute(
        self, source: BlockSource | SettledSource, l1: L1View | None, app: str, workers: int, last: int | None
    ) -> None:
        with (
            self._open_ledger(source.genesis) as ledger,
            Watchdog(ACTION_SECONDS * VERIFIER_FACTOR) as ledger.watchdog,
            AuthenticationPool(app, source.genesis.domain, workers) as pool,
        ):
            cut = _Cut(ledger, self)
            if isinstance(source, SettledSource):
                derive_blocks(ledger, source.l1, pool, lambda _: cut.look())
                return
            blocks = source.read_blocks(ledger.checkpoint.height + 1)
            if last is not None:
                blocks = takewhile(lambda block: block.header.height <= last, blocks)
            verify_blocks(ledger, read_judgeable(blocks, l1), l1, pool, lambda _: cut.look())

    def _open_ledger(self, genesis: Genesis) -> Ledger:
        try:
            return Ledger.open(self._store, self._rollup)
        except StoreMissing:
            pass
        except StoreError:
            shutil.rmtree(self._store)
        return Ledger.create(self._store, self._rollup, genesis)

    def _take_stored(self, source: StoreSource) -> None:
        """Cut at states that the source's store still has; there is a block after each."""
        for height in range(max(self._last.height, source.read_lowest()) + 1, source.read_tip()):
            header = source.read_header(height)
            if self.pays(header.first_seq + header.action_count, self._last.rows):
                self.drop(source.environment, height, header.first_seq + header.action_count)

    def pays(self, next_seq: int, rows: int) -> bool:
        """Whether the entries up to one are enough for a segment, the state having so many keys and rows."""
        return next_seq - self._last.next_seq >= (max(_MIN_ACTIONS, rows) if self._least is None else self._least)

    def drop(self, environment: Environment, height: int, next_seq: int) -> None:
        """End the segment at a height, with a snapshot there."""
        path = self._shelf.directory / "writing"
        info = write_snapshot(environment, self._rollup, path, height)
        placed = self._shelf.place(info, path)
        self._end_at(Start(height, info.block_hash, next_seq, info.leaf_count + info.row_count, str(placed.absolute())))

    def _end_at(self, start: Start) -> None:
        self._add(Segment(self._last, start))
        self._last = start


class _Cut:
    """The next place where a pass is to be cut."""

    def __init__(self, ledger: Ledger, first_pass: FirstPass) -> None:
        self._ledger = ledger
        self._pass = first_pass
        self._due: tuple[int, int] | None = None

    def look(self) -> None:
        """A block is executed. A cut before it, if one is due, is worth it: there is a block after it."""
        if self._due is not None:
            self._pass.drop(self._ledger.environment, *self._due)
            self._due = None
        checkpoint = self._ledger.checkpoint
        if self._pass.pays(checkpoint.next_seq, checkpoint.leaf_count + sum(checkpoint.sizes)):
            self._due = checkpoint.height, checkpoint.next_seq
