"""The height that answers show: what a client asks for at least, and what it is told.

A client that talks to several nodes by turns says what it has seen: `minHeight` beside `params`, or a header for all
calls of a request over HTTP. The node waits a while for such a block, and refuses the call if it does not come.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from microrollup.node.confirmations import Confirmations
from microrollup.rpc.errors import HEIGHT_NOT_REACHED, INVALID_PARAMS, LIMIT_EXCEEDED, ErrorResponse
from microrollup.rpc.limits import RpcLimits
from microrollup.rpc.news import News
from microrollup.rpc.params import MAX_SAFE

__all__ = ["HEIGHT_HEADER", "MIN_HEIGHT_HEADER", "Waits", "read_min_height"]

HEIGHT_HEADER = "X-Microrollup-Height"
"""Of an answer: the newest block here when it was begun. What was read is of this one, or of a newer one."""

MIN_HEIGHT_HEADER = "X-Microrollup-Min-Height"


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
        self._waiting = 0

    async def reach(self, height: int) -> int:
        """The newest height, once it is this one at least. Raises `ErrorResponse` if that takes too long."""
        if self._confirmations.latest < height:
            if self._waiting >= self._limits.waiting:
                raise ErrorResponse(LIMIT_EXCEEDED, "too many calls wait for a block; try again later")
            self._waiting += 1
            try:
                async with asyncio.timeout(self._limits.height_seconds):
                    await self._wait(height)
            except TimeoutError:
                latest = self._confirmations.latest
                data = {"height": latest, "minHeight": height}
                detail = f"the newest block here is {latest}, not {height} or later; try again, or another node"
                raise ErrorResponse(HEIGHT_NOT_REACHED, detail, data) from None
            finally:
                self._waiting -= 1
        return self._confirmations.latest

    async def _wait(self, height: int) -> None:
        while True:
            event = self._get_news().event
            if self._confirmations.latest >= height:
                return
            await event.wait()
