"""Waiting in the event loop for what the writer decides: one wake for all that a group decided, however many wait."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from typing import Generic, TypeVar

__all__ = ["Decisions"]

T = TypeVar("T")


class Decisions(Generic[T]):
    """Results of other threads, for those who wait in the loop in which this is made.

    Who waits may be cancelled; what it waited for goes on.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._decided: deque[tuple[asyncio.Future[T], T]] = deque()
        self._scheduled = False

    def expect(self) -> asyncio.Future[T]:
        """What to wait for; `tell` gives it a result."""
        return self._loop.create_future()

    def tell(self, waiter: asyncio.Future[T], result: T) -> None:
        """Give it its result; from any thread."""
        self._decided.append((waiter, result))
        if not self._scheduled:
            self._scheduled = True
            with suppress(RuntimeError):  # the loop has ended, and nobody waits
                self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        self._scheduled = False  # before looking: what comes from now on schedules again
        while self._decided:
            waiter, result = self._decided.popleft()
            if not waiter.done():
                waiter.set_result(result)
