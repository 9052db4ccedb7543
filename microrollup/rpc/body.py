"""Bodies of requests in memory, bounded one by one and all together."""

from __future__ import annotations

from typing import Final

from starlette.requests import ClientDisconnect
from starlette.types import Receive

from microrollup.rpc.budget import Budget

__all__ = ["ANSWERING", "WHOLE", "Body", "BodyTooLarge"]

WHOLE: Final = "whole"
"""In a request's `state` once the server has all of its body: reading it takes no time then."""

ANSWERING: Final = "answering"
"""In a request's `state`: where its server has a whole answer written in one step, see `microrollup.rpc.http_protocol`.
"""


class BodyTooLarge(Exception):
    """A body that is not read to its end."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        """HTTP status of the answer: 413 for this body, 503 for all of them together, 408 for one that is slow."""


class Body:
    """A request's body; no more than `limit` bytes are held, and nothing beyond the budget of all."""

    def __init__(self, limit: int, bodies: Budget) -> None:
        self.chunks: list[bytes] = []
        self._size = 0
        self._limit = limit
        self._bodies = bodies

    async def read(self, receive: Receive, stated: str) -> None:
        """Read it; `stated` is its `Content-Length`. Raises `BodyTooLarge`, and `ClientDisconnect` if it ends early."""
        if stated.isdecimal() and int(stated[:20]) > self._limit:
            raise BodyTooLarge(413, f"the body is larger than {self._limit} bytes")
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            chunk, more = message.get("body", b""), message.get("more_body", False)
            if self._size + len(chunk) > self._limit:
                raise BodyTooLarge(413, f"the body is larger than {self._limit} bytes")
            if not self._bodies.take(len(chunk)):
                raise BodyTooLarge(503, "too much is being received; try again later")
            self._size += len(chunk)
            self.chunks.append(chunk)

    def release(self) -> None:
        """It is done with."""
        self.chunks = []
        self._bodies.give(self._size)
