"""Where there are no kept snapshots: some are made, as starting points and nothing more.

A store that is read still has its newer states. What lies before them, and every other source, is executed once in a
first pass, which drops a snapshot now and then. It stops quietly at the first block that it cannot follow: the verdict
on that block is the business of the segment that holds it.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import takewhile
from pathlib import Path
from typing import Final

from microrollup.chain.block import Block, Header, compute_rollup_id
from microrollup.chain.record import Genesis
from microrollup.declaration.rollup import MicroRollup
from microrollup.errors import MicrorollupError, StoreCorrupt, StoreFormat, StoreMissing
from microrollup.execution.authentication import Authentication
from microrollup.execution.authentication_pool import AuthenticationPool
from microrollup.execution.watchdog import Watchdog
from microrollup.ledger.ledger import Ledger
from microrollup.limits import ACTION_SECONDS, VERIFIER_FACTOR
from microrollup.maintenance.snapshot import write_snapshot
from microrollup.segments.segment import Segment, Start, cut_segments
from microrollup.segments.senders import SenderWriter
from microrollup.segments.shelf import SnapshotShelf
from microrollup.settlement.protocol import L1View
from microrollup.store.environment import Environment
from microrollup.verifier.derive import SettledSource, derive_blocks
from microrollup.verifier.follow import authenticate_blocks, read_judgeable, verify_blocks
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
        add: Callable[[Segment | None], None],
        senders: SenderWriter | None = None,
    ) -> None:
        """`store` is for what is executed on the way; a pass that was cut off goes on there. `least_actions` of a
        segment; by default at least as many as the state before it has keys and rows. `add` is called with each
        segment as soon as its end is known, and with None after each block.

        With `senders`, workers go on with each other's stores here: they find their signatures checked, and most
        segments begin without a snapshot, which only the one who verified what is before can take.
        """
        self._rollup = rollup
        self._store = store
        self._shelf = shelf
        self._least = least_actions
        self._add = add
        self._senders = senders
        self._last: Start
        self._kept: Start
        """The last start with a snapshot."""

    def run(
        self, source: BlockSource | SettledSource, l1: L1View | None, genesis: Start, app: str, workers: int
    ) -> None:
        """Cut all that the source has; in a pass, signatures are checked by `workers` processes: the sender of an
        action is nowhere but in its signature.
        """
        self._last = self._kept = genesis
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
        if self._senders is not None:
            self._senders.close()
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
            blocks = read_judgeable(blocks, l1)
            verify_blocks(ledger, blocks, l1, pool, lambda _: cut.look(), authenticate=cut.authenticate)

    def _open_ledger(self, genesis: Genesis) -> Ledger:
        try:
            return Ledger.open(self._store, self._rollup)
        except StoreMissing:
            pass
        except (StoreCorrupt, StoreFormat):
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
        return next_seq - self._kept.next_seq >= (max(_MIN_ACTIONS, rows) if self._least is None else self._least)

    def may_go_on(self, next_seq: int) -> bool:
        """Whether to end the segment without a snapshot."""
        return self._senders is not None and next_seq - self._last.next_seq >= _MIN_ACTIONS

    def end(self, start: Start, environment: Environment, *, keeps: bool) -> None:
        """End the segment where the next one starts, with a snapshot there if that `keeps` one."""
        if self._senders is not None:
            self._senders.close()
        if keeps:
            self.drop(environment, start.height, start.next_seq)
        else:
            self._end_at(start)

    def note(self, header: Header, outcomes: list[Authentication]) -> None:
        """Who sent what in a block that is right, and of the segment that goes on."""
        if self._senders is not None:
            self._senders.note(self._last.height, header, outcomes)

    def look(self) -> None:
        """Have results taken and segments given out."""
        self._add(None)

    def drop(self, environment: Environment, height: int, next_seq: int) -> None:
        """End the segment at a height, with a snapshot there."""
        path = self._shelf.directory / "writing"
        info = write_snapshot(environment, self._rollup, path, height)
        placed = self._shelf.place(info, path)
        self._end_at(Start(height, info.block_hash, next_seq, info.leaf_count + info.row_count, str(placed.absolute())))

    def _end_at(self, start: Start) -> None:
        self._add(Segment(self._last, start))
        self._last, self._kept = start, start if start.is_open else self._kept


class _Cut:
    """The next place where a pass is to be cut."""

    def __init__(self, ledger: Ledger, first_pass: FirstPass) -> None:
        self._ledger = ledger
        self._pass = first_pass
        self._due: Start | None = None
        self._keeps = False
        """Whether a snapshot is due there."""
        self._outcomes: list[Authentication] | None = None
        """Of the newest block; None where blocks come from L1."""

    def authenticate(
        self, blocks: Iterable[Block], pool: AuthenticationPool, limit_seconds: float
    ) -> Iterator[tuple[Block, list[Authentication]]]:
        """`authenticate_blocks`, remembered until the block is verified."""
        for block, outcomes in authenticate_blocks(blocks, pool, limit_seconds):
            self._outcomes = outcomes
            yield block, outcomes

    def look(self) -> None:
        """A block is executed. A cut before it, if one is due, is worth it: there is a block after it."""
        if self._due is not None:
            self._pass.end(self._due, self._ledger.environment, keeps=self._keeps)
            self._due = None
        if self._outcomes is not None:
            self._pass.note(self._ledger.header, self._outcomes)
        checkpoint = self._ledger.checkpoint
        rows = checkpoint.leaf_count + sum(checkpoint.sizes)
        self._keeps = self._pass.pays(checkpoint.next_seq, rows)
        if self._keeps or self._pass.may_go_on(checkpoint.next_seq):
            self._due = Start(checkpoint.height, checkpoint.block_hash, checkpoint.next_seq, rows, None)
        self._pass.look()
