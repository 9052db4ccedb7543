"""Turns: what waits, by client, and whose turn it is."""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import Generic, TypeVar

__all__ = ["Turns"]

T = TypeVar("T")


class Turns(Generic[T]):
    """The clients take turns in the order in which they came; one that has taken its turn and has more comes last.

    What a client has waits in its own order. None is a client like any other. For one thread at a time.
    """

    def __init__(self) -> None:
        self._queues: OrderedDict[str | None, deque[T]] = OrderedDict()
        """Client -> what it has, never nothing; whose turn it is comes first."""

    def __bool__(self) -> bool:
        """Whether anything waits."""
        return bool(self._queues)

    @property
    def next(self) -> str | None:
        """The client whose turn it is; something must wait."""
        return next(iter(self._queues))

    def add(self, client: str | None, item: T) -> None:
        """Let this wait for a turn of its client."""
        self._queues.setdefault(client, deque()).append(item)

    def take(self, most: int = 1) -> list[T]:
        """The next turn: at most so many of its client's, in order."""
        client, queue = self._queues.popitem(last=False)
        taken = [queue.popleft() for _ in range(min(most, len(queue)))]
        if queue:
            self._queues[client] = queue
        return taken

    def drop(self) -> list[T]:
        """All of the client whose turn it is, which then has none."""
        return [*self._queues.popitem(last=False)[1]]
