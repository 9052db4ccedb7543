"""Intake: lines from anybody, handed to the authentication pool in chunks, and to the writer in their order.

What is in flight is bounded by count and by bytes; more is turned away with `Overloaded`. Single actions that arrive
while the pool is at work travel together, so a chunk grows with the load and a lone action waits for nobody: when
nothing is in flight, few lines are authenticated by their submitter's thread, and go to the writer without a stop.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Final, NoReturn

import structlog

from microrollup.errors import IntakeStopped, MicrorollupError, RefusedError, WorkerDied
from microrollup.execution.authentication import Authenticated, may_be_envelope
from microrollup.execution.authentication_pool import CHUNK_SIZE, AuthenticationPool, Started
from microrollup.execution.envelope import Enveloped
from microrollup.node.errors import NodeFault, Overloaded
from microrollup.node.submission import Result, Submission, Ticket
from microrollup.sequencer.spending import explain_spent

__all__ = ["MAX_IN_FLIGHT", "MAX_IN_FLIGHT_BYTES", "Chunk", "Intake"]

MAX_IN_FLIGHT: Final = 20_000
"""Actions taken and not yet decided: a block of the largest size."""

MAX_IN_FLIGHT_BYTES: Final = 64 << 20

FEW: Final = 4
"""Signatures, 40 us each, that are checked sooner here than handed to another thread or process."""

FEW_SLOW: Final = 4
"""Envelopes that travel together: each may take a quarter of a second to open, and is charged for when all are open."""

_CHUNKS_PER_WORKER: Final = 2

_log = structlog.get_logger(__name__)


class Chunk:
    """Lines whose authentication has begun."""

    __slots__ = ("_end", "_started", "tickets")

    def __init__(
        self, tickets: list[Ticket], start: Callable[[], Started], end: Callable[[WorkerDied | None], None]
    ) -> None:
        """Calls `start`, and `end` when the outcomes have been collected, with what went wrong."""
        self.tickets = tickets
        self._end = end
        try:
            self._started = start()
        except Exception as error:
            self._started = Started(partial(_raise, error), lambda: True)

    @property
    def is_ready(self) -> bool:
        """Whether `wait` returns at once."""
        return self._started.is_done()

    def wait(self) -> list[Authenticated | Enveloped | MicrorollupError]:
        """The outcomes in order; to be called once, by the writer, whom nothing that goes wrong here may end."""
        failure: WorkerDied | None = None
        try:
            return [*self._started.collect()]
        except WorkerDied as error:
            failure = error
            return [error] * len(self.tickets)
        except Exception:
            _log.exception("authentication_failed")
            return [NodeFault("the signatures could not be checked")] * len(self.tickets)
        finally:
            self._end(failure)


class Intake:
    """Takes lines from any thread. `deliver`, set before the start, is given chunks in the order of their lines."""

    deliver: Callable[[Chunk], None]

    def __init__(
        self, make_pool: Callable[[], AuthenticationPool], find_wait: Callable[[str | None], float] | None = None
    ) -> None:
        """`find_wait`, for apps with envelopes, gives the seconds until something of a client's may be opened again: no
        submitter's thread waits for that, and what comes too early is refused unopened.
        """
        self._make_pool = make_pool
        self._find_wait = find_wait
        self._pool = make_pool()
        self._lines: deque[tuple[bytes, Ticket]] = deque()
        self._condition = threading.Condition()
        self._slots = threading.Semaphore(max(1, self._pool.workers) * _CHUNKS_PER_WORKER)
        self._in_flight = 0
        self._bytes = 0
        self._closed: str | None = None
        self._broken = False
        self._thread = threading.Thread(target=self._run, name="intake", daemon=True)

    def start(self) -> None:
        """Begin to take lines."""
        self._thread.start()

    @property
    def depth(self) -> int:
        """Actions in flight."""
        return self._in_flight

    def submit(self, lines: Sequence[bytes], client: str | None = None) -> Future[list[Result]]:
        """Hand in signed actions in their JSON form; the results come in the same order, when all are decided.

        `client` is whose share of the execution time they count against; None for nobody's.

        Raises `Overloaded` when too much is in flight, and `IntakeStopped` once the node ends; then none was taken.
        """
        submission = Submission(len(lines), client)
        is_slow = len(lines) > FEW or any(map(self._is_slow, lines))
        size = sum(map(len, lines))
        with self._condition:
            if self._closed is not None:
                raise IntakeStopped(self._closed)
            if self._in_flight + len(lines) > MAX_IN_FLIGHT or self._bytes + size > MAX_IN_FLIGHT_BYTES:
                raise Overloaded(f"{self._in_flight} actions are in flight already; try again later")
            idle = self._in_flight == 0
            self._in_flight += len(lines)
            self._bytes += size
            tickets = [Ticket(submission, i, len(line)) for i, line in enumerate(lines)]
            if not idle or is_slow:
                self._lines.extend(zip(lines, tickets, strict=True))
                self._condition.notify()
                return submission.future
        self.deliver(Chunk(tickets, partial(self._pool.start_here, lines), _end_nothing))
        return submission.future

    def release(self, tickets: Sequence[Ticket]) -> None:
        """These are decided and no longer in flight."""
        with self._condition:
            self._in_flight -= len(tickets)
            self._bytes -= sum([ticket.size for ticket in tickets])

    def _end_chunk(self, failure: WorkerDied | None) -> None:
        """A chunk has been collected: another may begin, in a new pool if a process of this one died."""
        if failure is not None:
            _log.error("authentication_process_died")
            self._broken = True
        self._slots.release()

    def close(self, reason: str) -> None:
        """Take no more lines; those that were taken still go to the writer."""
        with self._condition:
            self._closed = reason
            self._condition.notify()

    def join(self) -> None:
        """Wait until all lines are with the writer, after `close`."""
        self._thread.join()

    def close_pool(self) -> None:
        """End the pool's processes, when the writer has collected everything."""
        self._pool.close()

    def _run(self) -> None:
        while True:
            with self._condition:
                while not self._lines and self._closed is None:
                    self._condition.wait()
                if not self._lines:
                    return
            self._slots.acquire()
            with self._condition:
                taken = self._take()
            self.deliver(self._begin(taken))

    def _take(self) -> list[tuple[bytes, Ticket]]:
        """The next lines that travel together: all envelopes, or none."""
        if self._find_wait is None:
            return [self._lines.popleft() for _ in range(min(CHUNK_SIZE, len(self._lines)))]
        is_slow = self._is_slow(self._lines[0][0])
        taken: list[tuple[bytes, Ticket]] = []
        while len(taken) < (FEW_SLOW if is_slow else CHUNK_SIZE) and self._lines:
            if self._is_slow(self._lines[0][0]) is not is_slow:
                break
            taken.append(self._lines.popleft())
        return taken

    def _is_slow(self, line: bytes) -> bool:
        return self._find_wait is not None and may_be_envelope(line)

    def _begin(self, taken: list[tuple[bytes, Ticket]]) -> Chunk:
        tickets = [ticket for _, ticket in taken]
        if self._broken:
            self._pool.close()
            self._pool = self._make_pool()
            self._broken = False
        start = partial(self._pool.start_lines, [line for line, _ in taken])
        if self._find_wait is not None and self._is_slow(taken[0][0]):
            waits = [self._find_wait(ticket.submission.client) for ticket in tickets]
            lines = [line for (line, _), wait in zip(taken, waits, strict=True) if wait <= 0]
            start = partial(_start_some, self._pool, lines, waits)
        return Chunk(tickets, start, self._end_chunk)


def _start_some(pool: AuthenticationPool, lines: list[bytes], waits: list[float]) -> Started:
    """Begin with the lines of those who need not wait; the others are refused."""
    started = pool.start_lines(lines)

    def collect() -> list[Authenticated | Enveloped | RefusedError]:
        outcomes = iter(started.collect())
        return [explain_spent(wait) if wait > 0 else next(outcomes) for wait in waits]

    return Started(collect, started.is_done)


def _end_nothing(_: WorkerDied | None) -> None:
    """What was authenticated at once held no slot."""


def _raise(error: Exception) -> NoReturn:
    raise error
