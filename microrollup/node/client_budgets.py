"""How much of the sequencer's time each client may have: buckets of seconds in a table that is bounded itself.

A bucket fills with a share of the time that passes. An action is executed while there is anything in it, and what it
took is taken out, so that what runs until the next pause may overdraw it.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from microrollup.limits import CLIENT_BURST_SECONDS, CLIENT_SHARE
from microrollup.node.submission import Ticket

__all__ = ["MAX_CLIENTS", "ClientBudgets"]

MAX_CLIENTS: Final = 10_000
"""Clients that are remembered; the one that was charged longest ago is forgotten, and so has a full bucket again."""


class ClientBudgets:
    """The buckets of one node (a `Purse`), in its writer's thread. Tickets without a client have no budget."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()
        """Client -> seconds left at a time; the one that was charged longest ago comes first."""

    def __len__(self) -> int:
        """Clients that are remembered."""
        return len(self._buckets)

    def find_wait(self, ticket: Ticket) -> float:
        """Seconds until the bucket of a ticket's client has something in it; 0.0 if it has now."""
        return self.find_client_wait(ticket.submission.client)

    def find_client_wait(self, client: str | None) -> float:
        """The same for a client; any thread may ask."""
        if client is None or client not in self._buckets:
            return 0.0
        left = self._fill(client, self._clock())
        return 0.0 if left > 0 else -left / CLIENT_SHARE + 1e-3

    def charge(self, ticket: Ticket, seconds: float) -> None:
        """Take what an action took."""
        client = ticket.submission.client
        if client is None:
            return
        now = self._clock()
        self._buckets[client] = (self._fill(client, now) - seconds, now)
        self._buckets.move_to_end(client)
        if len(self._buckets) > MAX_CLIENTS:
            self._buckets.popitem(last=False)

    def find_request(self, ticket: Ticket) -> str | None:
        """The id of the request in which a ticket's action came."""
        return ticket.submission.request_id

    def _fill(self, client: str, now: float) -> float:
        left, then = self._buckets.get(client, (CLIENT_BURST_SECONDS, now))
        return min(CLIENT_BURST_SECONDS, left + (now - then) * CLIENT_SHARE)
