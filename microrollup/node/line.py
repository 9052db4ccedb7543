"""Lines of one kind on their way to the writer, with a pool and a thread of their own."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, TypeAlias

import structlog

from microrollup.errors import MicrorollupError, WorkerDied
from microrollup.execution.authentication_pool import CHUNK_SIZE, AuthenticationPool, Started
from microrollup.node.chunk import Chunk
from microrollup.node.submission import Ticket
from microrollup.node.turns import Turns
from microrollup.sequencer.spending import explain_spent

__all__ = ["Line", "Waiting"]

Waiting: TypeAlias = tuple[bytes, Ticket]
"""A line of JSON, and by what it is known again."""

_CHUNKS_PER_WORKER: Final = 2

_log = structlog.get_logger(__name__)


class Line:
    """Authenticates what is added and delivers it in chunks, from threads of its own or of its pool.

    Signed actions keep their order, and many travel together; a chunk is delivered when it has begun. Envelopes take
    long: they travel alone, their clients take turns, and one is delivered when it is open, after all that began before
    it. So one client's keep their order, and wait for no more than one of each other client's and what has begun.
    """

    def __init__(
        self,
        name: str,
        make_pool: Callable[[], AuthenticationPool],
        deliver: Callable[[Chunk], None],
        find_wait: Callable[[str | None], float] | None = None,
    ) -> None:
        """`find_wait` makes it a line of envelopes: it gives the seconds until one of a client's may be opened again. A
        client that has to wait takes no turn; what it has is refused unopened.
        """
        self._make_pool = make_pool
        self._deliver = deliver
        self._find_wait = find_wait
        self.pool = make_pool()
        self._turns: Turns[Waiting] = Turns()
        self._condition = threading.Condition()
        self._slots = threading.Semaphore(max(1, self.pool.workers) * _CHUNKS_PER_WORKER)
        self._begun: deque[Chunk] = deque()
        """Envelopes that are not delivered yet."""
        self._delivering = threading.Lock()
        self._refusal: MicrorollupError | None = None
        self._ended = False
        self._broken = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def add(self, lines: Sequence[Waiting]) -> None:
        """Let these wait; from any thread."""
        with self._condition:
            for line, ticket in lines:
                self._turns.add(ticket.submission.client if self._find_wait is not None else None, (line, ticket))
            self._condition.notify()

    def refuse(self, refusal: MicrorollupError) -> None:
        """From now on refuse what waits and what comes, with this; for envelopes, which nobody has been promised."""
        with self._condition:
            self._refusal = refusal

    def join(self) -> None:
        """End the thread; nothing may wait or come any more."""
        with self._condition:
            self._ended = True
            self._condition.notify()
        self._thread.join()

    def _run(self) -> None:
        while True:
            with self._condition:
                self._condition.wait_for(lambda: self._turns or self._ended)
                if not self._turns:
                    return
            self._slots.acquire()
            with self._condition:
                taken, refused = self._take()
            if refused:
                self._pass_on(Chunk([ticket for ticket, _ in refused], partial(_refuse, [why for _, why in refused])))
            if taken:
                self._pass_on(self._begin(taken))
            else:
                self._slots.release()

    def _take(self) -> tuple[list[Waiting], list[tuple[Ticket, MicrorollupError]]]:
        """What is to begin, and what is refused before it: all of clients whose turn it would be."""
        if self._find_wait is None:
            return self._turns.take(CHUNK_SIZE), []
        refused: list[tuple[Ticket, MicrorollupError]] = []
        while self._turns:
            wait = self._find_wait(self._turns.next)
            refusal = self._refusal or (explain_spent(wait) if wait > 0 else None)
            if refusal is None:
                return self._turns.take(), refused
            refused += [(ticket, refusal) for _, ticket in self._turns.drop()]
        return [], refused

    def _begin(self, taken: list[Waiting]) -> Chunk:
        if self._broken:
            self.pool.close()
            self.pool = self._make_pool()
            self._broken = False
        start = partial(self.pool.start_lines, [line for line, _ in taken])
        return Chunk([ticket for _, ticket in taken], start, self._end_chunk)

    def _end_chunk(self, failure: WorkerDied | None) -> None:
        """A chunk has been collected: another may begin, in a new pool if a process of this one died."""
        if failure is not None:
            _log.error("authentication_process_died")
            self._broken = True
        self._slots.release()

    def _pass_on(self, chunk: Chunk) -> None:
        if self._find_wait is None:
            self._deliver(chunk)
            return
        with self._delivering:
            self._begun.append(chunk)
        chunk.when_ready(self._deliver_ready)

    def _deliver_ready(self) -> None:
        with self._delivering:
            while self._begun and self._begun[0].is_ready:
                chunk = self._begun.popleft()
                chunk.wait()  # the next one may begin, whatever the writer is at
                self._deliver(chunk)


def _refuse(refusals: list[MicrorollupError]) -> Started:
    return Started(lambda: refusals, lambda: True, lambda call: call())
