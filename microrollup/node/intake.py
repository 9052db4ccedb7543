"""Intake: lines from anybody, handed to authentication in chunks, and to the writer in their order.

What is in flight is bounded by count and by bytes; more is turned away with `Overloaded`. Single actions that arrive
while the pool is at work travel together, so a chunk grows with the load and a lone action waits for nobody: when
nothing but envelopes is in flight, few lines are authenticated by their submitter's thread, and go to the writer
without a stop.

Envelopes take long to open, and have a line of their own, so signed actions wait for nobody's; the clients take turns
in it. Where one submission has both, its order is kept: each part goes on its way when the one before it is with the
writer.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from functools import partial
from itertools import groupby
from typing import Final

from microrollup.errors import IntakeStopped
from microrollup.execution.authentication import may_be_envelope
from microrollup.execution.authentication_pool import AuthenticationPool
from microrollup.node.chunk import Chunk
from microrollup.node.line import Line, Waiting
from microrollup.node.load import (
    MAX_CLIENT_ENVELOPES,
    MAX_CLIENT_ENVELOPES_BYTES,
    MAX_ENVELOPES_IN_FLIGHT,
    MAX_ENVELOPES_IN_FLIGHT_BYTES,
    MAX_IN_FLIGHT,
    MAX_IN_FLIGHT_BYTES,
    Load,
)
from microrollup.node.submission import Result, Submission, Tell, Ticket, make_future

__all__ = ["Intake"]

FEW: Final = 4
"""Signatures, 40 us each, that are checked sooner here than handed to another thread or process."""


class Intake:
    """Takes lines from any thread. `deliver`, set before the start, is given chunks in the order of their lines."""

    deliver: Callable[[Chunk], None]

    def __init__(
        self,
        make_pool: Callable[[], AuthenticationPool],
        make_opening_pool: Callable[[], AuthenticationPool] | None = None,
        find_wait: Callable[[str | None], float] = lambda _: 0.0,
    ) -> None:
        """`make_opening_pool` is for apps with envelopes, and makes what opens them. `find_wait` gives the seconds
        until something of a client's may be opened again: what comes too early is refused unopened.
        """
        self._signed = Line("intake", make_pool, self._pass_on)
        self._envelopes: Line | None = None
        if make_opening_pool is not None:
            self._envelopes = Line("opening", make_opening_pool, self._pass_on, find_wait)
        self._lock = threading.Lock()
        self._delivered = threading.Condition(self._lock)
        self._load = Load("actions", (MAX_IN_FLIGHT, MAX_IN_FLIGHT_BYTES))
        self._envelope_load = Load(
            "envelopes",
            (MAX_ENVELOPES_IN_FLIGHT, MAX_ENVELOPES_IN_FLIGHT_BYTES),
            (MAX_CLIENT_ENVELOPES, MAX_CLIENT_ENVELOPES_BYTES),
        )
        self._undelivered = 0
        self._closed: str | None = None

    @property
    def _lines(self) -> list[Line]:
        return [self._signed] if self._envelopes is None else [self._signed, self._envelopes]

    def start(self) -> None:
        """Begin to take lines."""
        for line in self._lines:
            line.start()

    @property
    def depth(self) -> int:
        """Actions in flight, envelopes among them."""
        return len(self._load) + len(self._envelope_load)

    def submit(self, lines: Sequence[bytes], client: str | None = None) -> Future[list[Result]]:
        """`hand_in`, with the results as a future."""
        return make_future(partial(self.hand_in, lines, client))

    def hand_in(self, lines: Sequence[bytes], client: str | None, tell: Tell) -> None:
        """Hand in signed actions and envelopes in their JSON form; `tell` is called with the results, in the same
        order, when all are decided.

        `client` is whose share of the execution time they count against, and whose turns they take; None for nobody's.

        Raises `Overloaded` when too much is in flight, and `IntakeStopped` once the node ends; then none was taken.
        """
        submission = Submission(len(lines), client, tell)
        if self._envelopes is None:
            tickets = [Ticket(submission, i, len(line)) for i, line in enumerate(lines)]
        else:
            kinds = map(may_be_envelope, lines)
            pairs = zip(lines, kinds, strict=True)
            tickets = [Ticket(submission, i, len(line), is_envelope=kind) for i, (line, kind) in enumerate(pairs)]
        signed, envelopes = _split(tickets)
        with self._lock:
            if self._closed is not None:
                raise IntakeStopped(self._closed)
            self._load.require(signed, client)
            if envelopes:
                self._envelope_load.require(envelopes, client)
                self._envelope_load.add(envelopes)
            idle = len(self._load) == 0
            self._load.add(signed)
            here = idle and not envelopes and len(lines) <= FEW
            if not here:
                self._undelivered += len(lines)
                parts = _make_parts(lines, tickets) if envelopes else iter([list(zip(lines, tickets, strict=True))])
                self._send(parts)
        if here:
            self.deliver(Chunk(tickets, partial(self._signed.pool.start_here, lines)))

    def release(self, tickets: Sequence[Ticket]) -> None:
        """These are decided and no longer in flight."""
        signed, envelopes = _split(tickets)
        with self._lock:
            self._load.remove(signed)
            if envelopes:
                self._envelope_load.remove(envelopes)

    def close(self, reason: str) -> None:
        """Take no more lines; those that were taken still go to the writer, envelopes as refused if they have not
        begun.
        """
        with self._lock:
            self._closed = reason
        if self._envelopes is not None:
            self._envelopes.refuse(IntakeStopped(reason))

    def join(self) -> None:
        """Wait until all lines are with the writer, after `close`."""
        with self._delivered:
            self._delivered.wait_for(lambda: self._undelivered == 0)
        for line in self._lines:
            line.join()

    def close_pool(self) -> None:
        """End the pools' processes, when the writer has collected everything."""
        for line in self._lines:
            line.pool.close()

    def _send(self, parts: Iterator[list[Waiting]]) -> None:
        """Send the next part of a submission on its way, and let the others follow it."""
        part = next(parts, None)
        if not part:
            return
        last = part[-1][1]
        last.followed_by = partial(self._send, parts)
        line = self._signed if self._envelopes is None or not last.is_envelope else self._envelopes
        line.add(part)

    def _pass_on(self, chunk: Chunk) -> None:
        tickets = chunk.tickets
        self.deliver(chunk)
        for ticket in tickets:
            if ticket.followed_by is not None:
                ticket.followed_by()
        with self._lock:
            self._undelivered -= len(tickets)
            self._delivered.notify_all()


def _split(tickets: Sequence[Ticket]) -> tuple[Sequence[Ticket], Sequence[Ticket]]:
    """Those of signed actions, and those of envelopes."""
    envelopes = [ticket for ticket in tickets if ticket.is_envelope]
    return ([ticket for ticket in tickets if not ticket.is_envelope], envelopes) if envelopes else (tickets, envelopes)


def _make_parts(lines: Sequence[bytes], tickets: Sequence[Ticket]) -> Iterator[list[Waiting]]:
    """Runs of signed actions and of envelopes, by turns."""
    for _, part in groupby(zip(lines, tickets, strict=True), lambda waiting: waiting[1].is_envelope):
        yield list(part)
