"""Waking who waits in the event loop for something new, from any thread."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from microrollup.node.hub import Hub

__all__ = ["News"]


class News:
    """Who will wait takes `event` first, then reads, then waits: nothing is missed in between."""

    def __init__(self, hub: Hub) -> None:
        self._loop = asyncio.get_running_loop()
        self._scheduled = False
        self.event = asyncio.Event()
        self._stop = hub.listen(self._notify)

    def _notify(self) -> None:
        """From any thread; many calls become one wake."""
        if not self._scheduled:
            self._scheduled = True
            with suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        self._scheduled = False
        event, self.event = self.event, asyncio.Event()
        event.set()

    def close(self) -> None:
        """Listen no more."""
        self._stop()
