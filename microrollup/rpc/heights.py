"""The height that answers show: what a client asks for at least, and what it is told.

A client that talks to several nodes by turns says what it has seen: `minHeight` beside `params`, or a header for all
calls of a request over HTTP. The node waits a while for such a block, and refuses the call if it does not come.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Final

from microrollup.node.confirmations import Confirmations
from microrollup.rpc.caller import Caller
from microrollup.rpc.errors import HEIGHT_NOT_REACHED, INVALID_PARAMS, LIMIT_EXCEEDED, ErrorResponse
from microrollup.rpc.limits import RpcLimits
from microrollup.rpc.news import News
from microrollup.rpc.params import MAX_SAFE
from microrollup.rpc.rates import LOCAL

__all__ = ["HEIGHT_HEADER", "MIN_HEIGHT_HEADER", "Waits", "read_min_height"]

HEIGHT_HEADER = "X-Microrollup-Height"
"""Of an answer: the newest block here when it was begun. What was read is of this one, or of a newer one."""

MIN_HEIGHT_HEADER = "X-Microrollup-Min-Height"

_CLIENTS: Final = 8
"""So many remote addresses it takes at least to use up all that may wait."""


def read_min_height(text: str | None) -> int:
    """The height that a header names; 0 without one. Raises `ErrorResponse`."""
    if text is None:
        return 0
    if not (text.isascii() and text.isdigit() and len(text) <= 16 and int(text) <= MAX_SAFE):
        raise ErrorResponse(INVALID_PARAMS, f"{MIN_HEIGHT_HEADER} is a height")
    return int(text)


class Waits:
    """Waits for blocks. One event loop uses it."""

    def __init__(self, confirmations: Confirmations, get_news: Callable[[], News], limits: RpcLimits) -> None:
        self._confirmations = confirmations
        self._get_news = get_news
        self._limits = limits
        self._waiting: Counter[str] = Counter()
        """Calls that wait, by client."""

    async def reach(self, height: int, caller: Caller) -> int:
        """The newest height, once it is this one at least. Raises `ErrorResponse` if that takes too long."""
        if self._confirmations.latest < height:
            if not caller.gave_up:
                await self._wait_a_while(height, caller)
            latest = self._confirmations.latest
            if latest < height:
                detail = f"the newest block here is {latest}, not {height} or later; try again, or another node"
                raise ErrorResponse(HEIGHT_NOT_REACHED, detail, {"height": latest, "minHeight": height})
        return self._confirmations.latest

    async def _wait_a_while(self, height: int, caller: Caller) -> None:
        client, most = caller.client, self._limits.waiting
        share = most if client == LOCAL else max(1, most // _CLIENTS)
        if self._waiting.total() >= most or self._waiting[client] >= share:
            raise ErrorResponse(LIMIT_EXCEEDED, "too many calls wait for a block; try again later")
        self._waiting[client] += 1
        try:
            async with asyncio.timeout(self._limits.height_seconds):
                await self._wait(height)
        except TimeoutError:
            caller.gave_up = True
        finally:
            self._waiting[client] -= 1
            if not self._waiting[client]:
                del self._waiting[client]

    async def _wait(self, height: int) -> None:
        while True:
            event = self._get_news().event
            if self._confirmations.latest >= height:
                return
            await event.wait()
