"""Intake: lines from anybody, handed to the authentication pool in chunks, and to the writer in their order.

What is in flight is bounded by count and by bytes; more is turned away with `NodeBusy`. Single actions that arrive
while the pool is at work travel together, so a chunk grows with the load and a lone action waits for nobody.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Final

import structlog

from microrollup.authentication import Authenticated
from microrollup.authentication_pool import CHUNK_SIZE, AuthenticationPool
from microrollup.errors import IntakeStopped, RefusedError, WorkerDied
from microrollup.node.errors import NodeBusy
from microrollup.node.submission import Result, Submission, Ticket

__all__ = ["MAX_IN_FLIGHT", "MAX_IN_FLIGHT_BYTES", "Chunk", "Intake"]

MAX_IN_FLIGHT: Final = 20_000
"""Actions taken and not yet decided: a block of the largest size."""

MAX_IN_FLIGHT_BYTES: Final = 64 << 20

_CHUNKS_PER_WORKER: Final = 2

_log = structlog.get_logger(__name__)


class Chunk:
    """Lines whose authentication has begun."""

    __slots__ = ("_collect", "_intake", "tickets")

    def __init__(
        self, intake: Intake, tickets: list[Ticket], collect: Callable[[], list[Authenticated | RefusedError]]
    ) -> None:
        self.tickets = tickets
        self._intake = intake
        self._collect = collect

    def wait(self) -> list[Authenticated | RefusedError | WorkerDied]:
        """The outcomes in order; to be called once, by the writer."""
        try:
            return [*self._collect()]
        except WorkerDied as error:
            self._intake.replace_pool()
            return [error] * len(self.tickets)
        finally:
            self._intake.end_chunk()


class Intake:
    """Takes lines from any thread. `deliver`, set before the start, is given chunks in the order of their lines."""

    deliver: Callable[[Chunk], None]

    def __init__(self, make_pool: Callable[[], AuthenticationPool]) -> None:
        self._make_pool = make_pool
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

    def submit(self, lines: Sequence[bytes]) -> Future[list[Result]]:
        """Hand in signed actions in their JSON form; the results come in the same order, when all are decided.

        Raises `NodeBusy` when too much is in flight, and `IntakeStopped` once the node ends; then none was taken.
        """
        submission = Submission(len(lines))
        size = sum(map(len, lines))
        with self._condition:
            if self._closed is not None:
                raise IntakeStopped(self._closed)
            if self._in_flight + len(lines) > MAX_IN_FLIGHT or self._bytes + size > MAX_IN_FLIGHT_BYTES:
                raise NodeBusy(f"{self._in_flight} actions are in flight already; try again later")
            self._in_flight += len(lines)
            self._bytes += size
            self._lines.extend([(line, Ticket(submission, i, len(line))) for i, line in enumerate(lines)])
            self._condition.notify()
        return submission.future

    def release(self, tickets: Sequence[Ticket]) -> None:
        """These are decided and no longer in flight."""
        with self._condition:
            self._in_flight -= len(tickets)
            self._bytes -= sum([ticket.size for ticket in tickets])

    def end_chunk(self) -> None:
        """A chunk has been collected: another may begin."""
        self._slots.release()

    def replace_pool(self) -> None:
        """A process of the pool died: go on with a new pool."""
        _log.error("authentication_process_died")
        self._broken = True

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
                taken = [self._lines.popleft() for _ in range(min(CHUNK_SIZE, len(self._lines)))]
            self.deliver(self._begin(taken))

    def _begin(self, taken: list[tuple[bytes, Ticket]]) -> Chunk:
        tickets = [ticket for _, ticket in taken]
        if self._broken:
            self._pool.close()
            self._pool = self._make_pool()
            self._broken = False
        try:
            return Chunk(self, tickets, self._pool.start_lines([line for line, _ in taken]))
        except WorkerDied as error:
            return Chunk(self, tickets, _raise_later(error))


def _raise_later(error: WorkerDied) -> Callable[[], list[Authenticated | RefusedError]]:
    def collect() -> list[Authenticated | RefusedError]:
        raise error

    return collect
