"""The sequencer: the one writer. Admits authenticated actions in order, executes them, makes them durable in groups,
acknowledges, and closes and seals blocks.

    submit(group): admit -> execute -> log -> one sync -> outcomes
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Final, Generic, TypeVar

import msgspec
import structlog

from microrollup.authentication import Authenticated
from microrollup.block import Header, seal_header
from microrollup.crypto import PrivateKey, compute_address
from microrollup.entry import make_forced_entry, make_signed_entry
from microrollup.errors import (
    ActionLimit,
    DuplicateAction,
    IntakeStopped,
    LimitExceeded,
    NonceGap,
    NonceUsed,
    RefusedError,
    UsageError,
)
from microrollup.gaps import GapQueue
from microrollup.ledger import Ledger
from microrollup.limits import ACTION_SECONDS, BLOCK_SECONDS
from microrollup.open_block import OpenBlock
from microrollup.primitives import (
    MAX_BLOCK_ACTIONS,
    MAX_BLOCK_RECORD_BYTES,
    MAX_CLOCK_LEAD_SECONDS,
    MAX_FORCED_PER_BLOCK,
)
from microrollup.receipt import Receipt
from microrollup.record import Forced, Open
from microrollup.settlement.protocol import L1View
from microrollup.stf import Entry, Interrupted, LimitHit
from microrollup.store.action_index import find_action
from microrollup.watchdog import Watchdog

__all__ = ["DEFAULT_BLOCK_SIZE", "Acknowledgement", "Outcome", "Sequencer"]

T = TypeVar("T")

DEFAULT_BLOCK_SIZE: Final = 1_000

_log = structlog.get_logger(__name__)


_BATCH_OVERHEAD_BYTES: Final = 8_192
"""What a batch of one block has beside its records: opening, seal, and what data that do not compress grow by."""


class Acknowledgement(msgspec.Struct, frozen=True):
    """C0: the action is durable and executed at `seq`. The receipt says what became of it (C1 or C1X)."""

    height: int
    receipt: Receipt


Outcome = Acknowledgement | RefusedError


class Sequencer(Generic[T]):
    """Owns the right to append to a ledger. Single-threaded; whoever calls brings groups.

    `T` is the type of the tickets by which the caller knows its actions again: an action that waits for lower nonces is
    answered by a later call.
    """

    def __init__(
        self,
        ledger: Ledger,
        builder: PrivateKey,
        l1: L1View,
        *,
        block_size: int = DEFAULT_BLOCK_SIZE,
        clock: Callable[[], float] = time.time,
        action_seconds: float = ACTION_SECONDS,
    ) -> None:
        """Take over a ledger, and finish what a rebuild or crash left.

        Raises `UsageError` for a block size out of range.
        """
        if not 1 <= block_size <= MAX_BLOCK_ACTIONS:
            raise UsageError(f"a block holds 1 to {MAX_BLOCK_ACTIONS} actions, not {block_size}")
        self.ledger = ledger
        self.l1 = l1
        self._key = builder
        self._block_size = block_size
        self._clock = clock
        self._max_record_bytes = min(MAX_BLOCK_RECORD_BYTES, l1.get_max_batch_bytes() - _BATCH_OVERHEAD_BYTES)
        self._gaps: GapQueue[T] = GapQueue()
        self._recent: dict[bytes, tuple[int, int]] = {}
        self._stopped: str | None = None
        self._failed = False
        self._block_seconds = 0.0
        self._watchdog = Watchdog(action_seconds)
        self._finish_rebuild()
        if ledger.block is not None:
            self._remember(ledger.block.receipts, ledger.block.open.height)
            self._watchdog.watch(ledger.block.context)

    def close(self) -> None:
        """Stop the watchdog. The ledger stays open, and so does its block: a restart goes on with it."""
        self._watchdog.close()

    # Taking actions

    def submit(self, group: Iterable[tuple[T, Authenticated]]) -> list[tuple[T, Outcome]]:
        """Admit, execute and make durable; the outcomes of all that are decided now, by ticket.

        What waits for lower nonces has no outcome yet. Raises `IntakeStopped` once intake has stopped, and
        `CommitFailed` when the disk refuses: then nothing of the group is acknowledged.
        """
        self._require_intake()
        outcomes: list[tuple[T, Outcome]] = []
        queue = deque(group)
        with self._stopping_on_failure():
            while queue:
                self._take(queue, outcomes)
            self.ledger.commit()
        return outcomes

    def give_up_waiting(self) -> list[tuple[T, Outcome]]:
        """Refuse all that still wait for lower nonces (`nonce_gap`)."""
        return [(ticket, refusal) for ticket, refusal in self._gaps.clear()]

    def give_up(self, action: Authenticated) -> tuple[T, RefusedError] | None:
        """Refuse one action that waits for lower nonces (`nonce_gap`); None if it does not wait."""
        waiting = self._gaps.pop(action.sender, action.nonce)
        if waiting is None:
            return None
        detail = f"nonce {action.nonce} came, lower nonces of 0x{action.sender.hex()} did not come in time"
        return waiting[0], NonceGap(detail)

    @property
    def stopped(self) -> str | None:
        """Why no actions are taken; None while they are."""
        return self._stopped

    def _take(self, queue: deque[tuple[T, Authenticated]], outcomes: list[tuple[T, Outcome]]) -> None:
        """Fill the open block with what may follow now, execute it, and close the block if it is full."""
        self._skip_inadmissible(queue, outcomes)
        if not queue:
            return
        block = self._require_block(queue[0][1])
        room = self._block_size - len(block.records)
        space = self._max_record_bytes - block.record_bytes
        nonces: dict[bytes, int] = {}
        taken: list[tuple[T, Authenticated]] = []
        entries: list[Entry] = []
        chain_nonces = self.ledger.state.nonces
        full = False
        while queue:
            ticket, action = queue[0]
            sender = action.sender
            expected = nonces.get(sender)
            if expected is None:
                expected = chain_nonces.get(sender, 0)
            if action.nonce != expected:
                if action.nonce < expected and sender in nonces:
                    break  # what is taken must be executed before this one can be told apart from it
                queue.popleft()
                self._set_aside(ticket, action, expected, outcomes)
                continue
            if len(taken) >= room or len(action.record) > space:
                full = True
                break
            queue.popleft()
            space -= len(action.record)
            nonces[sender] = expected + 1
            taken.append((ticket, action))
            entries.append(make_signed_entry(self.ledger.rollup, action))
            waiting = self._gaps.pop(sender, expected + 1)
            if waiting is not None:
                queue.appendleft(waiting)
        self._execute(block, taken, entries, queue, outcomes)
        if full or len(block.records) >= self._block_size or self._block_seconds >= BLOCK_SECONDS:
            self.close_block()

    def _skip_inadmissible(self, queue: deque[tuple[T, Authenticated]], outcomes: list[tuple[T, Outcome]]) -> None:
        """Set aside what cannot be executed now, so that a block is opened only for an action that can."""
        while queue:
            ticket, action = queue[0]
            expected = self.ledger.state.nonces.get(action.sender, 0)
            if action.nonce == expected:
                return
            queue.popleft()
            self._set_aside(ticket, action, expected, outcomes)

    def _execute(
        self,
        block: OpenBlock,
        taken: list[tuple[T, Authenticated]],
        entries: list[Entry],
        queue: deque[tuple[T, Authenticated]],
        outcomes: list[tuple[T, Outcome]],
    ) -> None:
        started = time.monotonic()
        try:
            receipts = self.ledger.execute(entries)
        except LimitHit as hit:
            receipts = hit.receipts
            ticket, action = taken[len(receipts)]
            outcomes.append((ticket, ActionLimit(f"executing it hits the limit of {hit.limit}")))
            _log.warning("action_refused", sender=action.sender.hex(), limit=hit.limit)
            queue.extendleft(reversed(taken[len(receipts) + 1 :]))
        self._block_seconds += time.monotonic() - started
        height = block.open.height
        self._remember(receipts, height)
        outcomes.extend(
            [(ticket, Acknowledgement(height, receipt)) for (ticket, _), receipt in zip(taken, receipts, strict=False)]
        )

    def _remember(self, receipts: list[Receipt], height: int) -> None:
        for receipt in receipts:
            self._recent[receipt.action_hash] = (receipt.seq, height)

    def _set_aside(self, ticket: T, action: Authenticated, expected: int, outcomes: list[tuple[T, Outcome]]) -> None:
        """Queue an action that is early, refuse one that is late."""
        try:
            if action.nonce > expected:
                self._gaps.add(ticket, action, expected)
                return
            seq = self.find(action.action_hash)
            if seq is not None:
                raise DuplicateAction(f"this action is in the log already, at seq {seq}", seq)
            raise NonceUsed(f"nonce {action.nonce} was used by another action; the next one is {expected}")
        except RefusedError as refusal:
            outcomes.append((ticket, refusal))

    def find(self, action_hash: bytes) -> int | None:
        """The sequence number of a logged action."""
        known = self._recent.get(action_hash)
        if known is not None:
            return known[0]
        get = partial(self.ledger.environment.get, "index")
        place = find_action(get, action_hash, self.ledger.checkpoint.next_seq)
        return None if place is None else place.seq

    # Blocks

    def poll(self) -> Header | None:
        """Build a block if a forced action is due and none is open; to be called when nothing comes in."""
        self._require_intake()
        block = self.ledger.block
        if block is not None and block.records:
            return None
        l1_origin = self._choose_origin()
        if self.l1.get_forced_count(l1_origin) <= self.ledger.checkpoint.forced_count:
            return None
        if block is not None:
            self._seal_block()  # the action that it was opened for hit a limit; it cannot take what is due now
        self._open_block()
        return self.close_block()

    def close_block(self, *, allow_empty: bool = False) -> Header | None:
        """Close and seal the open block; None if there is nothing in it. `allow_empty` makes an empty one then."""
        block = self.ledger.block
        if not allow_empty and (block is None or not block.records):
            return None
        if block is None:
            self._require_intake()
            self._open_block()
        return self._seal_block()

    def _seal_block(self) -> Header:
        if self._failed:
            self._require_intake()
        with self._stopping_on_failure():
            closing = self.ledger.compute_header()
            header = self.ledger.finish(closing, seal_header(self._key, closing.header))
        self._recent.clear()
        self._block_seconds = 0.0
        return header

    def _require_block(self, first: Authenticated) -> OpenBlock:
        block = self.ledger.block
        if block is not None and block.records and block.record_bytes + len(first.record) > self._max_record_bytes:
            self.close_block()
            block = None
        if block is not None and not block.records and block.open.l1_origin < self._choose_origin():
            self._seal_block()  # opened in vain, and a while ago: its time and its view of L1 are out of date
            block = None
        while block is None or len(block.records) >= self._block_size:
            if block is not None:
                self.close_block()
            block = self._open_block()
        return block

    def _open_block(self) -> OpenBlock:
        """Open the next block on what L1 says now; due forced actions are its first entries."""
        ledger = self.ledger
        l1_origin = self._choose_origin()
        with self._stopping_on_failure():  # what a former builder seals is refused by everybody
            self._require_builder(l1_origin)
        latest = min(self.l1.get_time(self.l1.get_number()), self.l1.get_time(l1_origin) + MAX_CLOCK_LEAD_SECONDS)
        timestamp = max(ledger.header.timestamp, min(int(self._clock()), latest))
        forced = [
            Forced(
                entry.index,
                entry.sender,
                entry.inclusion_block,
                entry.payload,
                self.l1.is_voided(entry.index, l1_origin),
            )
            for entry in self.l1.get_forced_entries(ledger.checkpoint.forced_count, l1_origin, MAX_FORCED_PER_BLOCK)
        ]
        with self._stopping_on_failure():
            block = ledger.begin(Open(ledger.header.height + 1, timestamp, l1_origin, ledger.rollup.stf_id))
            try:
                receipts = ledger.execute([make_forced_entry(ledger.rollup, ledger.rollup_id, each) for each in forced])
            except LimitHit as hit:
                index = forced[len(hit.receipts)].index
                raise LimitExceeded(
                    f"the forced action {index} hits the limit of {hit.limit}; no block can be built until it is voided"
                ) from None
        self._remember(receipts, block.open.height)
        return block

    def _choose_origin(self) -> int:
        """The newest L1 block that L1 is not expected to take back."""
        return max(self.l1.get_origin(), self.ledger.header.l1_origin)

    # When something is wrong

    def rebuild(self, height: int) -> None:
        """After a C2X: run the blocks from `height` on again, under the code that is loaded now, and seal them anew.

        The log keeps every action at its seq; outcomes may change. Intake is open again afterwards.
        """
        if self._failed:
            self._require_intake()
        if self.ledger.block is not None:
            self._seal_block()
        self.ledger.require_rebuildable(height)
        with self._stopping_on_failure():
            self.ledger.rebuild(height, self.ledger.rollup.stf_id)
            self._finish_rebuild()
        self._stopped = None

    def stop(self, reason: str) -> None:
        """Take no more actions, as after a C2X; `rebuild` or a restart ends it."""
        self._stop(reason)

    def _finish_rebuild(self) -> None:
        """Without a watchdog: what was acknowledged executes again, however long it takes this time."""
        self.ledger.watchdog = None
        block = self.ledger.resume()
        while block is not None and block.replayed:
            self._seal_block()
            block = self.ledger.resume()
        self.ledger.watchdog = self._watchdog

    @contextmanager
    def _stopping_on_failure(self) -> Iterator[None]:
        """Whatever ends this early leaves the ledger's memory ahead of its store: nothing but a restart helps then."""
        try:
            yield
        except BaseException as error:
            if not self._failed:
                self._failed = True
                self._stop(f"{str(error) or type(error).__name__}; restart to go on from what is durable")
            if isinstance(error, Interrupted):
                raise LimitExceeded("an STF ran over its time limit while its outcome was being taken") from None
            raise

    def _stop(self, reason: str) -> None:
        self._stopped = reason
        _log.error("intake_stopped", reason=reason)

    def _require_intake(self) -> None:
        if self._stopped is not None:
            raise IntakeStopped(f"no actions are taken: {self._stopped}")

    def check_builder(self) -> None:
        """Raises `UsageError` unless the key is the builder's for the open block and for the next one."""
        if self.ledger.block is not None:
            self._require_builder(self.ledger.block.open.l1_origin)
        self._require_builder(self._choose_origin())

    def _require_builder(self, l1_origin: int) -> None:
        address, expected = compute_address(self._key), self.l1.get_builder(l1_origin)
        if address != expected:
            raise UsageError(
                f"the key of 0x{address.hex()} is not the rollup's builder 0x{expected.hex()} of L1 block {l1_origin}"
            )
