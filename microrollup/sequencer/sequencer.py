"""The sequencer: the one writer. Admits authenticated actions in order, executes them, makes them durable in groups,
acknowledges, and closes and seals blocks.

    submit(group): admit -> execute -> log -> one sync -> outcomes
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Final, Generic, TypeVar

import msgspec
import structlog

from microrollup.chain.block import Header
from microrollup.chain.receipt import Receipt
from microrollup.crypto.ecdsa import SigningKey
from microrollup.errors import ActionLimit, DomainChanged, NonceGap, RefusedError, UsageError
from microrollup.execution.authentication import Authenticated
from microrollup.execution.envelope import Enveloped
from microrollup.execution.stf import Entry, LimitHit, NotExecuted, NotTaken, OverBudget, Paused
from microrollup.execution.watchdog import Watchdog
from microrollup.ledger.ledger import Ledger
from microrollup.ledger.open_block import OpenBlock
from microrollup.limits import ACTION_SECONDS, BLOCK_SECONDS, relaxed_limits, reserved_memory
from microrollup.primitives import MAX_BLOCK_ACTIONS, MAX_BLOCK_RECORD_BYTES
from microrollup.sequencer.arrivals import Arrivals, ArrivedEnvelope, explain_failure
from microrollup.sequencer.cut_blocks import find_cut_bytes, is_open_block_cut
from microrollup.sequencer.gaps import GapQueue
from microrollup.sequencer.known import KnownActions
from microrollup.sequencer.opening import open_block, require_builder
from microrollup.sequencer.sealing import SignerPatience, never_wait, seal_patiently
from microrollup.sequencer.spending import Spending
from microrollup.sequencer.stoppable import Stoppable
from microrollup.sequencer.upgrading import explain_refusal, find_due_upgrade, find_next_block, open_upgrade
from microrollup.settlement.protocol import L1View

__all__ = ["DEFAULT_BLOCK_SIZE", "Decision", "Sequenced", "Sequencer"]

T = TypeVar("T")

DEFAULT_BLOCK_SIZE: Final = 3_200
"""What fits a batch of blobs, for the keystore's actions."""

_log = structlog.get_logger(__name__)

_BATCH_OVERHEAD_BYTES: Final = 8_192
"""What a batch of one block has beside its records: opening, seal, and what data that do not compress grow by."""


class Sequenced(msgspec.Struct, frozen=True):
    """C0: the action is durable and executed at `seq`. The receipt says what became of it (C1 or C1X)."""

    height: int
    receipt: Receipt


Decision = Sequenced | RefusedError


class Sequencer(Stoppable, Generic[T]):
    """Owns the right to append to a ledger. Single-threaded; the caller brings groups.

    `T` is the type of the tickets by which the caller knows its actions again: an action that waits for lower nonces is
    answered by a later call.
    """

    def __init__(
        self,
        ledger: Ledger,
        builder: SigningKey,
        l1: L1View,
        *,
        block_size: int = DEFAULT_BLOCK_SIZE,
        clock: Callable[[], float] = time.time,
        action_seconds: float = ACTION_SECONDS,
        upgrade: bool = False,
        patience: SignerPatience = never_wait,
    ) -> None:
        """Take over a ledger, and finish what a rebuild or crash left. `upgrade`: build upgrades that are announced;
        else intake stops where one is due.

        Raises `UsageError` for a block size out of range.
        """
        if not 1 <= block_size <= MAX_BLOCK_ACTIONS:
            raise UsageError(f"a block holds 1 to {MAX_BLOCK_ACTIONS} actions, not {block_size}")
        super().__init__(ledger)
        self.l1 = l1
        self._key = builder
        self._block_size = block_size
        self._upgrades = upgrade
        self._clock = clock
        self._patience = patience
        self._max_record_bytes = min(MAX_BLOCK_RECORD_BYTES, l1.get_max_batch_bytes() - _BATCH_OVERHEAD_BYTES)
        self.gaps: GapQueue[T] = GapQueue()
        self.known = KnownActions(ledger)
        self._arrivals = Arrivals(ledger, self.known)
        self.spending: Spending[T] = Spending()
        self._block_seconds, self._cut_bytes = 0.0, 0
        self._watchdog = Watchdog(action_seconds)
        try:
            self._finish_rebuild()
            self._cut_bytes = find_cut_bytes(ledger, l1)
            if ledger.block is not None:
                ledger.block.cut = is_open_block_cut(ledger.block, ledger.checkpoint.forced_count, l1)
                self.known.remember_block(ledger.block)
                self._watchdog.watch(ledger.block.context)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Stop the watchdog. The ledger stays open, and so does its block: a restart goes on with it."""
        self._watchdog.close()

    @property
    def _capacity(self) -> int:
        return min(self._block_size + (self.ledger.rollup.on_block is not None), MAX_BLOCK_ACTIONS)

    # Taking actions

    def submit(self, group: Iterable[tuple[T, Authenticated | Enveloped]]) -> list[tuple[T, Decision]]:
        """Admit, execute and make durable; the outcomes of all that are decided now, by ticket.

        What waits for lower nonces has no outcome yet. An envelope that does not execute is refused, not logged.
        Raises `IntakeStopped` once intake has stopped, and `CommitFailed` when the disk refuses: then nothing of the
        group is acknowledged.
        """
        self._require_intake()
        outcomes: list[tuple[T, Decision]] = []
        received = [(ticket, self._arrivals.receive(action)) for ticket, action in group]
        queue = deque((*self.gaps.take_released(self.ledger.state.nonces.get), *received))
        with self._stopping_on_failure:
            while queue:
                self._take(queue, outcomes)
            self.ledger.commit()
        return outcomes

    def give_up_waiting(self) -> list[tuple[T, Decision]]:
        """Refuse all that still wait for lower nonces (`nonce_gap`)."""
        return [(ticket, refusal) for ticket, refusal in self.gaps.clear()]

    def give_up(self, action: Authenticated) -> tuple[T, RefusedError] | None:
        """Refuse one action that waits for lower nonces (`nonce_gap`); None if it does not wait."""
        if (waiting := self.gaps.pop(action.sender, action.nonce)) is None:
            return None
        due, sender = self.ledger.state.nonces.get(action.sender, 0), action.sender.hex()
        detail = f"nonce {action.nonce} came, but {due}, the next nonce of 0x{sender}, did not come in time"
        return waiting[0], NonceGap(detail)

    def _take(self, queue: deque[tuple[T, Authenticated]], outcomes: list[tuple[T, Decision]]) -> None:
        """Fill the open block with what may follow now, execute it, and close the block if it is full."""
        self._skip_inadmissible(queue, outcomes)
        if not queue:
            return
        block = self._require_block(queue[0][1])
        queue.extendleft(reversed(self.gaps.take_released(self.ledger.state.nonces.get)))
        room = self._capacity - len(block.records)
        space = self._get_space() - block.record_bytes
        nonces: dict[bytes, int] = {}
        taken: list[tuple[T, Authenticated]] = []
        entries: list[Entry] = []
        full = False
        while queue:
            ticket, action = queue[0]
            goes_alone = type(action) is ArrivedEnvelope  # if it does not execute, nothing has to be made ready again
            if taken and (goes_alone or self.spending.is_group(len(taken))):
                break
            sender, expected = action.sender, nonces.get(action.sender)
            if expected is None:
                expected = self._arrivals.find_next(action)
            if action.nonce != expected or self._is_unwelcome(ticket, action):
                if action.nonce < expected and sender in nonces:
                    break  # what is taken must be executed before this one can be told apart from it
                queue.popleft()
                self._set_aside(ticket, action, expected, outcomes)
                continue
            space -= len(action.record)
            if len(taken) >= room or space < 0:
                full = True
                break
            nonces[sender] = expected + 1
            taken.append(queue.popleft())
            entries.append(self._arrivals.make_entry(action))
            if goes_alone:
                break
            if (waiting := self.gaps.pop(sender, expected + 1)) is not None:
                queue.appendleft(waiting)
        full |= self._execute(block, taken, entries, queue, outcomes)
        if full or len(block.records) >= self._capacity or self._block_seconds >= BLOCK_SECONDS:
            self.close_block()

    def _skip_inadmissible(self, queue: deque[tuple[T, Authenticated]], outcomes: list[tuple[T, Decision]]) -> None:
        """Set aside what cannot be executed now, so that a block is opened only for an action that can."""
        while queue:
            ticket, action = queue[0]
            expected = self._arrivals.find_next(action)
            if action.nonce == expected and not self._is_unwelcome(ticket, action):
                return
            queue.popleft()
            self._set_aside(ticket, action, expected, outcomes)

    def _execute(
        self,
        block: OpenBlock,
        taken: list[tuple[T, Authenticated]],
        entries: list[Entry],
        queue: deque[tuple[T, Authenticated]],
        outcomes: list[tuple[T, Decision]],
    ) -> bool:
        """Execute what was taken; what stops execution is refused, or goes back into the queue if its block is full.

        Returns whether it is.
        """
        started, full, height = time.monotonic(), False, block.open.height
        try:
            with reserved_memory(), self.spending.watch(block.context, taken):
                receipts = self.ledger.execute(entries)
        except Paused as paused:
            receipts = paused.receipts
            queue.extendleft(reversed(taken[len(receipts) :]))
        except (NotExecuted, NotTaken) as stopped:
            receipts = stopped.receipts
            (ticket, _), *rest = taken[len(receipts) :]
            outcomes.append((ticket, explain_failure(stopped)))
            queue.extendleft(reversed(rest))
        except (LimitHit, OverBudget) as stopped:
            receipts = stopped.receipts
            limit = stopped.limit if isinstance(stopped, LimitHit) else stopped.excess.limit
            full = isinstance(stopped, OverBudget) and not stopped.alone
            rest = taken[len(receipts) :]
            if not full:
                ticket, action = rest.pop(0)
                self.known.remember_limit(action.action_hash, limit)
                outcomes.append((ticket, ActionLimit(f"executing it hits the limit of {limit}")))
                _log.warning("action_refused", sender=action.sender.hex(), limit=limit, **self.spending.name(ticket))
            queue.extendleft(reversed(rest))
        self._block_seconds += time.monotonic() - started + self._arrivals.sum_opening([each for _, each in taken])
        self.known.remember(receipts)
        outcomes.extend(
            [(ticket, Sequenced(height, receipt)) for (ticket, _), receipt in zip(taken, receipts, strict=False)]
        )
        return full

    def _is_unwelcome(self, ticket: T, action: Authenticated) -> bool:
        if action.version != self.ledger.authenticator.version:
            return True
        return self.known.find_limit(action.action_hash) is not None or self.spending.is_spent(ticket, action.sender)

    def _set_aside(self, ticket: T, action: Authenticated, expected: int, outcomes: list[tuple[T, Decision]]) -> None:
        """Queue an action that is early, refuse one that is late or has hit a limit."""
        try:
            if action.version != self.ledger.authenticator.version:
                raise DomainChanged(f"the rollup is at version {self.ledger.rollup.version} now: sign for it")
            if action.nonce >= expected:
                self.spending.require(ticket, action.sender)
            if action.nonce == expected:
                raise self.known.explain_limit(action.action_hash)
            if action.nonce > expected:
                self.gaps.add(ticket, action, expected)
                return
            raise self.known.explain_late(action, expected)
        except RefusedError as refusal:
            outcomes.append((ticket, refusal))

    # Blocks

    def poll(self) -> Header | None:
        """Build a block if a forced action or an upgrade is due and none is open; for when nothing comes in."""
        self._require_intake()
        block = self.ledger.block
        if block is not None and not block.is_idle:
            return None
        l1_origin = self._choose_origin()
        if find_due_upgrade(self.ledger, self.l1, l1_origin) is not None:
            if block is not None:
                self._seal_block()
            return self._upgrade()
        if self.l1.get_forced_count(l1_origin) <= self.ledger.checkpoint.forced_count:
            return None
        if block is not None:
            self._seal_block()  # the action that it was opened for hit a limit; it cannot take what is due now
        self._open_block()
        return self.close_block()

    def close_block(self, *, allow_empty: bool = False) -> Header | None:
        """Close and seal the open block; None if there is nothing in it. `allow_empty` makes an empty one then."""
        block = self.ledger.block
        if not allow_empty and (block is None or block.is_idle):
            return None
        if block is None:
            self._require_intake()
            self._open_block()
        return self._seal_block()

    def _seal_block(self) -> Header:
        if self._failed:
            self._require_intake()
        block = self.ledger.block
        with self._stopping_on_failure, relaxed_limits():
            round_ = 0 if block is None else block.round
            closing = self.ledger.compute_header()
            seal = seal_patiently(self._key, closing.header, round_, self._patience)
            header = self.ledger.finish(closing, seal)
        self.known.note_closed()
        self._block_seconds = 0.0
        self._cut_bytes = self._cut_bytes + block.record_bytes if block is not None and block.cut else 0
        return header

    def _get_space(self) -> int:
        """Bytes of records that the open block may hold, so that it fits a batch with the cut blocks before it."""
        return min(self._max_record_bytes, MAX_BLOCK_RECORD_BYTES - self._cut_bytes)

    def _require_block(self, first: Authenticated) -> OpenBlock:
        block = self.ledger.block
        if block is not None and not block.is_idle and block.record_bytes + len(first.record) > self._get_space():
            self.close_block()
            block = None
        if block is not None and block.is_idle and block.open.l1_origin < self._choose_origin():
            self._seal_block()  # opened in vain, and a while ago: its time and its view of L1 are out of date
            block = None
        while block is None or block.cut or len(block.records) >= self._capacity:
            if block is not None:
                self.close_block()
            block = self._open_block()
        return block

    def _open_block(self) -> OpenBlock:
        """Open the next block on what L1 says now; due forced actions are its first entries."""
        self._upgrade()
        return self._open_at(self._choose_origin())

    def _upgrade(self) -> Header | None:
        """Build what an announced code asks for whose effect is reached: blocks of the old code up to there, as long as
        forced actions are left that L1 included before it, then the upgrade.
        """
        ledger, header = self.ledger, None
        while (due := find_due_upgrade(ledger, self.l1, self._choose_origin())) is not None:
            l1_origin, look = find_next_block(ledger, self.l1, self._choose_origin())
            refusal = explain_refusal(ledger, look or due, consent=self._upgrades)
            if refusal is not None:
                self._stop(refusal)
                self._require_intake()
            if look is None:
                self._open_at(l1_origin)
            else:
                with self._stopping_on_failure, relaxed_limits():
                    require_builder(self._key, look.builder, l1_origin)
                    self.known.remember_block(open_upgrade(ledger, l1_origin, look, int(self._clock())))
                self.gaps.release_all()
            header = self._seal_block()
        return header

    def _open_at(self, l1_origin: int) -> OpenBlock:
        ledger = self.ledger
        look = self.l1.look(l1_origin, ledger.checkpoint.forced_count)
        with self._stopping_on_failure:  # what a former builder seals is refused by everybody
            require_builder(self._key, look.builder, l1_origin)
            block = open_block(ledger, l1_origin, look, int(self._clock()), self._watchdog)
        self.known.remember_block(block)
        self.gaps.note_moved(block.carried_senders)
        return block

    def _choose_origin(self) -> int:
        """The newest L1 block that L1 is not expected to take back."""
        return max(self.l1.get_origin(), self.ledger.header.l1_origin)

    # When something is wrong

    def rebuild(self, height: int) -> None:
        """After a C2X: run the blocks from `height` on again, each under its own code, and seal them anew.

        The log keeps every action at its seq; outcomes may change. Intake is open again afterwards.
        """
        if self._failed:
            self._require_intake()
        if self.ledger.block is not None:
            self._seal_block()
        self.ledger.require_rebuildable(height)
        with self._stopping_on_failure:
            self.ledger.rebuild(height)
            self._finish_rebuild()
        self._stopped = None

    def _finish_rebuild(self) -> None:
        """Without a watchdog: what was acknowledged executes again, however long it takes this time."""
        self.ledger.watchdog = None
        block = self.ledger.resume()
        while block is not None and block.replayed:
            self._seal_block()
            block = self.ledger.resume()
        self.ledger.watchdog = self._watchdog

    def check_builder(self) -> None:
        """Raises `UsageError` unless the key is the builder's for the open block and for the next one."""
        opened = [] if self.ledger.block is None else [self.ledger.block.open.l1_origin]
        for origin in (*opened, self._choose_origin()):
            require_builder(self._key, self.l1.get_builder(origin), origin)
