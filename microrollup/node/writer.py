"""The writer: the one thread that owns ledger and sequencer.

It takes what is queued (bounded), has it executed and committed with one sync, answers, and publishes; it closes blocks
when they are full or their time is up, looks for forced actions, and runs what other threads ask of the ledger.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Final, TypeVar

import msgspec
import structlog

from microrollup.crypto.ecdsa import SignerUnavailable
from microrollup.errors import BadEnvelope, IntakeStopped, LimitExceeded, MicrorollupError, NonceGap, RefusedError
from microrollup.execution.authentication import Authenticated
from microrollup.execution.envelope import Enveloped
from microrollup.guard.stack import with_room
from microrollup.ledger.ledger import Ledger
from microrollup.node.bell import Bell
from microrollup.node.chunk import Chunk
from microrollup.node.open_entries import OpenEntries
from microrollup.node.progress import LedgerListener, LedgerProgress
from microrollup.node.submission import Result, Ticket
from microrollup.sequencer.sequencer import Sequencer

__all__ = ["GROUP_SIZE", "Writer", "WriterOptions"]

T = TypeVar("T")

GROUP_SIZE: Final = 1_000
"""Actions of one commit."""

_log = structlog.get_logger(__name__)


class WriterOptions(msgspec.Struct, frozen=True):
    """When blocks are closed, and how long actions wait."""

    block_seconds: float = 1.0
    """An open block is closed so long after its first action."""
    gap_seconds: float = 10.0
    """So long an action waits for lower nonces."""
    poll_seconds: float = 1.0
    """How often L1 is asked for forced actions while no block is open."""
    empty_seconds: float | None = None
    """So long after a block was closed, one without actions is built; None: never."""
    flush_seconds: float = 30.0
    """So long after a block was closed, its rows are written out, if there were not enough of them before."""


class Writer:
    """Runs the sequencer in a thread of its own."""

    def __init__(
        self,
        make_sequencer: Callable[[], Sequencer[Ticket]],
        ledger: Ledger,
        publisher: LedgerListener,
        release: Callable[[Sequence[Ticket]], None],
        options: WriterOptions,
        on_poll: Callable[[], None] = lambda: None,
    ) -> None:
        self._make_sequencer = make_sequencer
        self._ledger = ledger
        self._publisher = publisher
        self._release = release
        self._options = options
        self._on_poll = on_poll
        self._lock = threading.Lock()
        self._bell = Bell()
        self._chunks: deque[Chunk] = deque()
        self._requests: deque[Callable[[], None]] = deque()
        self._closing = False
        self._ended = False
        self._ready: Future[None] = Future()
        self._thread = threading.Thread(target=with_room(self._run), name="writer", daemon=True)
        self._waiting: dict[Ticket, tuple[Authenticated, float]] = {}
        self._block_deadline: tuple[int, float] | None = None
        """Height of the open block, and when it is to be closed."""
        self._next_poll = 0.0
        self._next_empty = self._expect_empty()
        """Height of the newest closed block, and when one without actions is to follow."""
        self._next_flush = math.inf
        """When the rows of closed blocks are to be written out."""
        self._progress = LedgerProgress(ledger, publisher)
        self.stopped: str | None = None
        self.failed = False
        """Whether memory is ahead of what is durable."""

    @property
    def open_entries(self) -> OpenEntries | None:
        """The durable entries of the open block; for any thread."""
        return self._progress.open_entries

    def start(self) -> None:
        """Start the thread; returns when the sequencer has taken over, or raises what it raised."""
        self._thread.start()
        self._ready.result()

    def deliver(self, chunk: Chunk) -> None:
        """Queue a chunk; the intake's own limits bound how many there are."""
        with self._lock:
            if not self._ended:
                self._chunks.append(chunk)
                self._bell.ring()
                return
        self._refuse(chunk)

    def ask(self, request: Callable[[Sequencer[Ticket]], T]) -> Future[T]:
        """Run a function between two groups, in the writer's thread."""
        answer: Future[T] = Future()

        def run() -> None:
            try:
                answer.set_result(request(self._sequencer))
            except BaseException as error:
                answer.set_exception(error)

        with self._lock:
            if self._closing:
                answer.set_exception(IntakeStopped("the node is shutting down"))
                return answer
            self._requests.append(run)
            self._bell.ring()
        return answer

    def stop_intake(self, reason: str) -> None:
        """Take no more actions, as after a C2X; what is queued is refused."""
        self.ask(lambda sequencer: sequencer.stop(reason))

    def close(self) -> None:
        """Finish what is queued, close the open block, and end the thread. The intake must be closed before."""
        with self._lock:
            self._closing = True
            self._bell.ring()
        if self._thread.ident is not None:
            self._thread.join()

    # In the thread

    def _run(self) -> None:
        try:
            self._sequencer = self._make_sequencer()
        except BaseException as error:
            self._ready.set_exception(error)
            return
        try:
            self._note_progress([])
            self._ready.set_result(None)
            while self._step():
                pass
            self._finish()
        except BaseException as error:
            _log.exception("writer_ended")
            self.failed = True
            self._stop(f"the writer ended by a fault ({type(error).__name__}); restart to go on from what is durable")
            self._refuse_everything()
        finally:
            self._sequencer.close()

    def _step(self) -> bool:
        """Wait for work or for time to pass, and do what is to be done; False when it is time to end."""
        self._bell.forget()
        idle = not self._chunks and not self._requests and not self._closing
        if idle and not (self.stopped is None and self._ledger.flushing.is_going_on):
            self._bell.wait(self._compute_patience())
            idle = False
        with self._lock:
            requests, self._requests = self._requests, deque()
            closing = self._closing
        for request in requests:
            request()
            self._note_progress([])
        group = self._collect_group()
        if group:
            self._submit(group)
        self._keep_time()
        if idle:
            self._flush_some()
        return not (closing and not self._chunks)

    def _compute_patience(self) -> float:
        """Seconds until something is due without anybody asking."""
        moments = [self._next_poll, self._next_flush]
        if self._block_deadline is not None:
            moments.append(self._block_deadline[1])
        elif self.stopped is None:
            moments.append(self._next_empty[1])
        moments.append(next(iter(self._waiting.values()), (None, math.inf))[1])
        return max(0.0, min(moments) - time.monotonic())

    def _collect_group(self) -> list[tuple[Ticket, Authenticated | Enveloped]]:
        """Authenticated actions for one commit; those whose authentication failed are answered at once.

        What is ready does not wait for signatures that are still being checked: these come with the next commit.
        """
        group: list[tuple[Ticket, Authenticated | Enveloped]] = []
        failed: list[tuple[Ticket, Result]] = []
        chunks = self._chunks  # only this thread takes any out
        while len(group) < GROUP_SIZE and chunks and (not group or chunks[0].is_ready):
            chunk = chunks.popleft()
            for ticket, outcome in zip(chunk.tickets, chunk.wait(), strict=True):
                if isinstance(outcome, (Enveloped, BadEnvelope)):
                    self._sequencer.spending.charge(ticket, outcome.seconds)
                if isinstance(outcome, (Authenticated, Enveloped)):
                    group.append((ticket, outcome))
                else:
                    failed.append((ticket, outcome))
        if failed:
            self._publisher.note_commit(0.0, [result for _, result in failed])
            self._answer(failed)
        return group

    def _submit(self, group: list[tuple[Ticket, Authenticated | Enveloped]]) -> None:
        deadline = time.monotonic() + self._options.gap_seconds
        for ticket, action in group:
            if isinstance(action, Enveloped):
                continue  # it waits for nothing
            self._waiting[ticket] = (action, deadline)
            self._progress.expect(action)
        started = time.monotonic()
        try:
            outcomes: list[tuple[Ticket, Result]] = [*self._sequencer.submit(group)]
        except BaseException as error:
            refusal = error if isinstance(error, MicrorollupError) else IntakeStopped("the group was lost by a fault")
            outcomes = [(ticket, refusal) for ticket, _ in group]
            if not isinstance(error, MicrorollupError):
                _log.exception("group_failed")
            self._answer_failed(outcomes)
            if not isinstance(error, Exception):
                raise
            return
        seconds = time.monotonic() - started
        self._note_progress(outcomes, seconds)
        for ticket, outcome in outcomes:
            if isinstance(outcome, RefusedError):
                self._forget(ticket)
        self._answer(outcomes)

    def _answer_failed(self, outcomes: list[tuple[Ticket, Result]]) -> None:
        """The group was not committed, or not all of it: nobody is told that anything is durable."""
        for ticket, _ in outcomes:
            self._forget(ticket)
        self._note_stopped()
        self._answer(outcomes)

    def _forget(self, ticket: Ticket) -> None:
        waiting = self._waiting.get(ticket)
        if waiting is not None:
            self._progress.forget(waiting[0])

    def _answer(self, outcomes: Sequence[tuple[Ticket, Result]]) -> None:
        self._release([ticket for ticket, _ in outcomes])
        for ticket, outcome in outcomes:
            self._waiting.pop(ticket, None)
            ticket.decide(outcome)

    def _note_progress(self, outcomes: Sequence[tuple[Ticket, Result]], seconds: float | None = None) -> None:
        """Publish what has become durable since the last time."""
        self._progress.note()
        self._watch_block()
        if seconds is not None:
            self._publisher.note_commit(seconds, [outcome for _, outcome in outcomes])
        self._note_stopped()

    def _watch_block(self) -> None:
        """Let the time of a block run from its first action on, and that of an empty one from the newest block on."""
        if self._next_empty[0] != self._ledger.checkpoint.height:
            self._next_empty = self._expect_empty()
        block = self._ledger.block
        if block is None or block.is_idle:
            self._block_deadline = None
        elif self._block_deadline is None or self._block_deadline[0] != block.open.height:
            self._block_deadline = (block.open.height, time.monotonic() + self._options.block_seconds)

    def _expect_empty(self) -> tuple[int, float]:
        seconds = self._options.empty_seconds
        return self._ledger.checkpoint.height, math.inf if seconds is None else time.monotonic() + seconds

    def _note_stopped(self) -> None:
        reason, self.failed = self._sequencer.stopped, self._sequencer.failed
        if reason != self.stopped:
            self.stopped = reason
            if reason is not None:
                self._publisher.note_stopped()

    def _stop(self, reason: str) -> None:
        self.stopped = reason
        _log.error("intake_stopped", reason=reason)
        self._publisher.note_stopped()

    def _keep_time(self) -> None:
        """Close the block whose time is up, look for forced actions, refuse what has waited too long."""
        now = time.monotonic()
        self._refuse_late(now)
        if self.stopped is not None:
            self._block_deadline = None
            self._next_poll = now + self._options.poll_seconds
            self._next_flush = math.inf
            return
        self._watch_rows(now)
        polls, before = now >= self._next_poll, self._ledger.checkpoint.height
        try:
            if self._block_deadline is not None and now >= self._block_deadline[1]:
                self._sequencer.close_block()
            elif self._block_deadline is None and now >= self._next_empty[1]:
                self._next_empty = self._expect_empty()
                self._sequencer.close_block(allow_empty=True)
            if polls:
                self._next_poll = now + self._options.poll_seconds
                self._on_poll()
                self._sequencer.poll()
            if self._sequencer.gaps.has_moved:
                self._submit([])
        except LimitExceeded as error:
            _log.error("forced_action_hits_limit", reason=str(error))
            self._note_stopped()  # what was executed of the block is not durable
            return
        except MicrorollupError as error:
            _log.error("block_not_closed", reason=str(error))
            self._note_stopped()
            return
        if polls or self._ledger.checkpoint.height != before:
            self._note_progress([])

    def _flush_some(self) -> None:
        """Nobody waits: a little of what is to be written out."""
        try:
            self._sequencer.flush_some()
        except MicrorollupError as error:
            _log.error("rows_not_written", reason=str(error))
            self._note_stopped()

    def _watch_rows(self, now: float) -> None:
        """Let the rows of closed blocks be written out when their time is up."""
        flushing = self._ledger.flushing
        if flushing.unflushed.is_empty or flushing.is_going_on:
            self._next_flush = math.inf
        elif self._next_flush == math.inf:
            self._next_flush = now + self._options.flush_seconds
        elif now >= self._next_flush:
            flushing.freeze()
            self._next_flush = math.inf

    def _refuse_late(self, now: float) -> None:
        late = []
        for ticket, (action, deadline) in self._waiting.items():
            if deadline > now:
                break
            late.append((ticket, action))
        refused: list[tuple[Ticket, Result]] = []
        for ticket, action in late:
            found = self._sequencer.give_up(action)
            self._forget(ticket)
            refused.append((ticket, NonceGap("lower nonces did not come in time") if found is None else found[1]))
        if refused:
            self._publisher.note_commit(0.0, [result for _, result in refused])
            self._answer(refused)

    def _finish(self) -> None:
        """Refuse what waits for lower nonces, close the open block, publish it."""
        waiting = [(ticket, refusal) for ticket, refusal in self._sequencer.give_up_waiting()]
        self._answer(waiting)
        if self._sequencer.stopped is None:
            try:
                self._sequencer.close_block()
            except SignerUnavailable as away:  # the open block is durable: the next start goes on with it
                _log.warning("block_left_open", reason=str(away))
            self._note_progress([])
        self._refuse_everything()

    def _refuse_everything(self) -> None:
        """Answer all that still wait; nothing of theirs was taken."""
        refusal = IntakeStopped(self.stopped or "the node is shutting down")
        with self._lock:
            self._closing = self._ended = True
            chunks, self._chunks = self._chunks, deque()
            requests, self._requests = self._requests, deque()
        for chunk in chunks:
            self._refuse(chunk)
        self._answer([(ticket, refusal) for ticket in list(self._waiting)])
        for request in requests:
            request()

    def _refuse(self, chunk: Chunk) -> None:
        """Answer a chunk that comes too late."""
        chunk.wait()
        refusal = IntakeStopped(self.stopped or "the node is shutting down")
        self._answer([(ticket, refusal) for ticket in chunk.tickets])
