"""The hub: what is new, kept for a while by topic, so that any number of subscribers read the same objects.

Nothing is pushed into subscribers' queues. A subscriber holds a cursor and reads from the ring of its topic, or from
the store where the ring does not reach back; so a slow one costs nothing, and a lost connection goes on at its cursor.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final, Generic, TypeVar

__all__ = ["RING_SIZE", "Hub", "Ring"]

T = TypeVar("T")

RING_SIZE: Final = 4_096


class Ring(Generic[T]):
    """The newest items of a topic, numbered consecutively. One thread appends at a time; any thread reads."""

    def __init__(self, first: int, on_append: Callable[[], None], size: int = RING_SIZE) -> None:
        """`first` is the number of the first item that will be appended."""
        self._first = first
        self._next = first
        self._size = size
        self._items: dict[int, T] = {}
        self._lock = threading.Lock()
        self._on_append = on_append

    @property
    def next(self) -> int:
        """The number of the next item."""
        return self._next

    def append(self, item: T, *, wake: bool = True) -> None:
        """Add the next item; `wake` tells who waits, which may be put off until the last of a group."""
        with self._lock:
            self._items[self._next] = item
            self._next += 1
            if len(self._items) > self._size:
                del self._items[self._first]
                self._first += 1
        if wake:
            self._on_append()

    def wake(self) -> None:
        """Tell who waits."""
        self._on_append()

    def read(self, cursor: int, limit: int) -> list[T] | None:
        """Up to `limit` items from number `cursor` on; None if the ring does not reach back so far."""
        with self._lock:
            if cursor < self._first:
                return None
            return [self._items[number] for number in range(cursor, min(self._next, cursor + limit))]


class Hub:
    """Wakes all that wait for anything new."""

    def __init__(self) -> None:
        self._listeners: list[Callable[[], None]] = []

    def listen(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call `listener` (from any thread; it must not block) after each change; returns how to stop that."""
        self._listeners = [*self._listeners, listener]

        def stop() -> None:
            self._listeners = [other for other in self._listeners if other is not listener]

        return stop

    def wake(self) -> None:
        """Something is new."""
        for listener in self._listeners:
            listener()
