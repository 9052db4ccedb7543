"""How fast a node may be asked: pauses that grow or that it asks for, and sizes that shrink and grow again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from microrollup.settlement.ethereum.errors import L1Throttled
from microrollup.settlement.ethereum.options import EthereumOptions
from microrollup.settlement.ethereum.replies import AgainError

__all__ = ["AdaptiveSize", "Pace", "Patience"]

_FIRST_PAUSE_SECONDS: Final = 0.125
_FIRST_THROTTLED_SECONDS: Final = 1.0
"""Rates are counted per second, or in longer spans."""

_MAX_EVERY: Final = 4096

_log = structlog.get_logger(__name__)


class Pace:
    """The pause that a node asked for. Everybody who asks this node keeps it."""

    sleep: Callable[[float], Awaitable[None]] = staticmethod(asyncio.sleep)
    clock: Callable[[], float] = staticmethod(time.monotonic)

    def __init__(self, place: str, options: EthereumOptions) -> None:
        self._place = place
        self._longest = options.patience_seconds
        self._not_before = 0.0
        self._reason = ""

    def hold(self, seconds: float, reason: str) -> None:
        """Nobody asks for so long."""
        if self.clock() >= self._not_before:
            _log.warning("l1_throttled", seconds=seconds, reason=reason)
        self._not_before = max(self._not_before, self.clock() + seconds)
        self._reason = reason

    async def wait(self) -> None:
        """Until the node may be asked. Raises `L1Throttled`, without a request, if that takes too long."""
        while (left := self._not_before - self.clock()) > 0:
            if left > self._longest:
                raise L1Throttled(self._place, self._reason, left)
            await self.sleep(left)


class Patience:
    """What one request may still take: tries for a node that is busy, time for one that is asked too often."""

    def __init__(self, options: EthereumOptions) -> None:
        self._tries = max(1, options.retries) - 1
        self._left = options.patience_seconds
        self._pause = _FIRST_PAUSE_SECONDS
        self._throttled = _FIRST_THROTTLED_SECONDS

    def find_pause(self, again: AgainError) -> float | None:
        """Seconds until the next try; `None` to give up."""
        if again.cause == "throttled":
            pause = self._throttled if again.pause is None else again.pause
            self._throttled *= 2
        elif self._tries == 0:
            return None
        else:
            pause = self._pause if again.pause is None else again.pause
            self._tries -= 1
            self._pause *= 2
        if pause > self._left:
            return None
        self._left -= pause
        return pause


class AdaptiveSize:
    """A number of things asked for at once: halved where a node takes no more, and doubled after a while of success.

    A limit that is still there is met again after twice as long each time.
    """

    def __init__(self, limit: int, *, every: int) -> None:
        self._limit = limit
        self._every = every
        self._has_grown = False
        self._successes = 0
        self.size = limit

    def shrink(self, refused: int) -> None:
        """So many were refused."""
        self.size = max(1, min(self.size, refused // 2))
        if self._has_grown and self._successes == 0:
            self._every = min(2 * self._every, _MAX_EVERY)
        self._has_grown = False
        self._successes = 0

    def note(self, taken: int) -> None:
        """So many were answered."""
        if taken < self.size or self.size == self._limit:
            return
        self._successes += 1
        if self._successes >= self._every:
            self.size = min(2 * self.size, self._limit)
            self._has_grown = True
            self._successes = 0
