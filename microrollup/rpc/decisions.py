"""Waiting in the event loop for what the writer decides: one wake for all that a group decided, however many wait."""

from __future__ import annotations

import asyncio
from collections import deque
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from typing import Generic, TypeVar

__all__ = ["Decisions"]

T = TypeVar("T")


class Decisions(Generic[T]):
    """Like `asyncio.wrap_future`, which wakes the loop once for each future; to be made in the loop.

    Who waits may be cancelled; what it waited for goes on.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._decided: deque[tuple[asyncio.Future[T], Future[T]]] = deque()
        self._scheduled = False

    async def wait(self, future: Future[T]) -> T:
        """The result of a future that another thread sets; raises what it raises."""
        waiter: asyncio.Future[T] = self._loop.create_future()
        future.add_done_callback(partial(self._note, waiter))
        return await waiter

    def _note(self, waiter: asyncio.Future[T], future: Future[T]) -> None:
        """From any thread."""
        self._decided.append((waiter, future))
        if not self._scheduled:
            self._scheduled = True
            with suppress(RuntimeError):  # the loop has ended, and nobody waits
                self._loop.call_soon_threadsafe(self._tell)

    def _tell(self) -> None:
        self._scheduled = False  # before looking: what comes from now on schedules again
        while self._decided:
            waiter, future = self._decided.popleft()
            if waiter.done():
                continue
            error = future.exception()
            if error is None:
                waiter.set_result(future.result())
            else:
                waiter.set_exception(error)
