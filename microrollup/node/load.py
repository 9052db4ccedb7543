"""What is in flight: taken and not yet decided, by count and by bytes, of everybody and of each client."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from microrollup.node.errors import Overloaded
from microrollup.node.submission import Ticket

__all__ = [
    "MAX_CLIENT_ENVELOPES",
    "MAX_CLIENT_ENVELOPES_BYTES",
    "MAX_ENVELOPES_IN_FLIGHT",
    "MAX_ENVELOPES_IN_FLIGHT_BYTES",
    "MAX_IN_FLIGHT",
    "MAX_IN_FLIGHT_BYTES",
    "Load",
]

MAX_IN_FLIGHT: Final = 20_000
"""Signed actions taken and not yet decided: a block of the largest size."""

MAX_IN_FLIGHT_BYTES: Final = 64 << 20

MAX_ENVELOPES_IN_FLIGHT: Final = 50_000
"""Envelopes taken and not yet decided. They take no room from signed actions."""

MAX_ENVELOPES_IN_FLIGHT_BYTES: Final = 128 << 20

MAX_CLIENT_ENVELOPES: Final = 1_000
"""Those of one client: what a call may hold."""

MAX_CLIENT_ENVELOPES_BYTES: Final = 4 << 20
"""Bytes of one client's: a request."""


class Load:
    """Counts one kind. For one thread at a time."""

    def __init__(self, what: str, most: tuple[int, int], most_of_client: tuple[int, int] | None = None) -> None:
        """`most` is a count and bytes; `most_of_client` the same for one client, if that is bounded of its own. What is
        nobody's is bounded by `most` alone.
        """
        self._what = what
        self._most = most
        self._most_of_client = most_of_client
        self._all = (0, 0)
        self._clients: dict[str, tuple[int, int]] = {}

    def __len__(self) -> int:
        """How many are in flight."""
        return self._all[0]

    def require(self, tickets: Sequence[Ticket], client: str | None) -> None:
        """Raise `Overloaded` unless there is room for these too."""
        if _exceeds(_sum(self._all, tickets), self._most):
            raise Overloaded(f"{len(self)} {self._what} are in flight already; try again later")
        if client is None or self._most_of_client is None:
            return
        own = self._clients.get(client, (0, 0))
        if _exceeds(_sum(own, tickets), self._most_of_client):
            most, size = self._most_of_client
            raise Overloaded(
                f"{own[0]} {self._what} of this client are in flight already, and it may have {most}, of {size} bytes"
                " together; try again when some are decided"
            )

    def add(self, tickets: Sequence[Ticket]) -> None:
        """These are taken."""
        self._change(tickets, 1)

    def remove(self, tickets: Sequence[Ticket]) -> None:
        """These are decided."""
        self._change(tickets, -1)

    def _change(self, tickets: Sequence[Ticket], sign: int) -> None:
        self._all = _sum(self._all, tickets, sign)
        if self._most_of_client is None:
            return
        for ticket in tickets:
            client = ticket.submission.client
            if client is None:
                continue
            self._clients[client] = own = _sum(self._clients.get(client, (0, 0)), [ticket], sign)
            if own[0] == 0:
                del self._clients[client]


def _sum(load: tuple[int, int], tickets: Sequence[Ticket], sign: int = 1) -> tuple[int, int]:
    return load[0] + sign * len(tickets), load[1] + sign * sum([ticket.size for ticket in tickets])


def _exceeds(load: tuple[int, int], most: tuple[int, int]) -> bool:
    return load[0] > most[0] or load[1] > most[1]
