"""Nonces of one sender: asked for once, then counted here; asked for again when the count may be wrong.

Several actions of a sender may be under way, no more than a node lets wait for lower nonces. A nonce that was certainly
not consumed goes to the next action, which closes the gap. A nonce whose fate is unknown makes the count stale: then
nothing new is numbered until all that is under way has ended.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final, Literal

from microrollup.primitives import MAX_GAP_PER_SENDER

__all__ = ["Fate", "NonceSlot", "SenderNonces"]

Fetch = Callable[[], Awaitable[int]]
Fate = Literal["consumed", "free", "unknown"]


class NonceSlot:
    """One nonce, or several consecutive ones from `first` on, while their actions are under way.

    The holder notes the fate; what ends otherwise is unknown.
    """

    __slots__ = ("fate", "first")

    def __init__(self, first: int) -> None:
        self.first: Final = first
        self.fate: Fate = "unknown"


class SenderNonces:
    """The nonces of one sender."""

    def __init__(self, fetch: Fetch) -> None:
        """`fetch` asks a node for the sender's next nonce."""
        self._fetch = fetch
        self._next: int | None = None
        self._free: list[int] = []
        self._lock = asyncio.Lock()
        self._window = asyncio.Semaphore(MAX_GAP_PER_SENDER)
        self._under_way: set[int] = set()
        self._changed = asyncio.Event()

    @asynccontextmanager
    async def take(self) -> AsyncIterator[NonceSlot]:
        """One nonce."""
        async with self._window:
            async with self._lock:
                following = await self._refresh()
                slot = NonceSlot(heapq.heappop(self._free) if self._free else following)
                self._next = max(following, slot.first + 1)
                self._under_way.add(slot.first)
            try:
                yield slot
            finally:
                self._under_way.discard(slot.first)
                changed, self._changed = self._changed, asyncio.Event()
                changed.set()
                self._end(slot)

    @asynccontextmanager
    async def take_all(self, count: int) -> AsyncIterator[NonceSlot]:
        """`count` consecutive nonces, while no other action of the sender is under way."""
        async with self._lock:
            await self._wait_until_idle()
            if self._free:
                self._next = None  # the numbers from the lowest free one on are not consecutive
            slot = NonceSlot(await self._refresh())
            self._next = slot.first + count
            try:
                yield slot
            finally:
                self._end(slot)

    @property
    def is_idle(self) -> bool:
        """Whether nobody uses it now, so that it can be forgotten."""
        return not self._under_way and not self._lock.locked()

    async def wait_for_lower(self, slot: NonceSlot) -> bool:
        """Wait until no action with a lower number is under way; whether there was one."""
        waited = False
        while any(number < slot.first for number in self._under_way):
            waited = True
            await self._changed.wait()
        return waited

    async def _wait_until_idle(self) -> None:
        while self._under_way:
            await self._changed.wait()

    async def _refresh(self) -> int:
        """The next number of the count, after asking again if the count is stale."""
        if self._next is None:
            await self._wait_until_idle()
            self._next = await self._fetch()
            self._free.clear()
        return self._next

    def _end(self, slot: NonceSlot) -> None:
        if slot.fate == "unknown":
            self._next = None
        elif slot.fate == "free" and self._next is not None:
            heapq.heappush(self._free, slot.first)
