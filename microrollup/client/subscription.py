"""Subscriptions over WebSocket, as asynchronous iterators that go on where they were after a lost connection."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import msgspec

from microrollup.client.errors import BadAnswer, NodeBusy, Unreachable
from microrollup.client.transport import MAX_ANSWER_BYTES, read_answer
from microrollup.errors import RefusedError
from microrollup.execution.authentication import parse_json_fast

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection

__all__ = ["Notification", "Subscriber"]

_FIRST_PAUSE_SECONDS: Final = 0.05
_LONGEST_PAUSE_SECONDS: Final = 2.0
_CLOSE_SECONDS: Final = 1.0
"""What the other side has to answer a goodbye."""

_MAX_EARLY: Final = 1_000
_MAX_SEEN: Final = 10_000
"""Notifications at one cursor that are known again; beyond, the oldest may come twice after a lost connection."""

_MOVING: Final = "confirmation"
"""The member that says how far something is by now: what is told again may have come further."""

_METHOD: Final = "rollup_subscription"
_SUBSCRIBE_ID: Final = 1


class Notification(msgspec.Struct, frozen=True):
    """Something new of a topic."""

    cursor: int
    """From here another subscription goes on; height for blocks and confirmations, seq for receipts and events."""
    result: dict[str, Any]


class _Position:
    """Where a subscription stands: the last cursor, and what came at it, which a resumed one may bring again."""

    def __init__(self, cursor: int | None) -> None:
        self.cursor = cursor
        self._seen: Counter[bytes] = Counter()
        self._again: Counter[bytes] = Counter()

    def begin(self, cursor: int) -> None:
        """Note where the node begins, if nothing else is known."""
        if self.cursor is None:
            self.cursor = cursor

    def resume(self) -> None:
        self._again = self._seen.copy()

    def is_new(self, notification: Notification) -> bool:
        if notification.cursor != self.cursor:
            self.cursor = notification.cursor
            self._seen.clear()
            self._again.clear()
        fixed = {name: value for name, value in notification.result.items() if name != _MOVING}
        digest = hashlib.sha256(msgspec.json.encode(fixed, order="deterministic")).digest()
        if self._again[digest] > 0:
            self._again[digest] -= 1
            return False
        self._seen[digest] += 1
        if len(self._seen) > _MAX_SEEN:
            del self._seen[next(iter(self._seen))]
        return True


class Subscriber:
    """Owns the connections of one client's subscriptions."""

    def __init__(self, url: str, timeout: float) -> None:
        """`timeout` in seconds is how long a node may be out of reach."""
        self._url = "ws" + url.removeprefix("http")
        self._timeout = timeout
        self._connections: set[ClientConnection] = set()
        self._closed = asyncio.Event()

    async def close(self) -> None:
        """End all subscriptions."""
        self._closed.set()
        for connection in list(self._connections):
            await connection.close()

    async def subscribe(
        self, topic: str, *, filters: dict[str, Any] | None = None, cursor: int | None = None
    ) -> AsyncGenerator[Notification, None]:
        """What is new of a topic, from `cursor` on if one is given, until the subscriber is closed.

        A lost connection, and a node that dropped a slow subscriber, are answered by a new subscription from the last
        cursor: nothing that the node retains is missed. Raises `Unreachable` after the time limit without a
        connection, `BadAnswer`, and the `RpcError` of a subscription that the node refuses.
        """
        from websockets.exceptions import WebSocketException  # noqa: PLC0415  # who subscribes to nothing needs none

        position = _Position(cursor)
        lost_at: float | None = None
        pause = _FIRST_PAUSE_SECONDS
        while not self._closed.is_set():
            reason = "the connection was closed"
            position.resume()
            try:
                async with (
                    self._connect() as connection,
                    aclosing(_listen(connection, topic, filters, position.cursor)) as notifications,
                ):
                    async for notification in notifications:
                        lost_at, pause = None, _FIRST_PAUSE_SECONDS
                        if isinstance(notification, int):
                            position.begin(notification)
                        elif position.is_new(notification):
                            yield notification
            except (OSError, WebSocketException, TimeoutError, NodeBusy) as error:
                reason = f"{type(error).__name__}: {error}"
            if self._closed.is_set():
                return
            lost_at = time.monotonic() if lost_at is None else lost_at
            if time.monotonic() - lost_at > self._timeout:
                raise Unreachable(self._url, reason, 0)
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    @asynccontextmanager
    async def _connect(self) -> AsyncIterator[ClientConnection]:
        """A connection that is known until it is closed, so that `close` can do it should nobody iterate any more."""
        from websockets.asyncio.client import connect  # noqa: PLC0415

        connection = await connect(
            self._url, max_size=MAX_ANSWER_BYTES, open_timeout=self._timeout, close_timeout=_CLOSE_SECONDS
        )
        self._connections.add(connection)
        try:
            yield connection
        finally:
            await connection.close()
            self._connections.discard(connection)


async def _listen(
    connection: ClientConnection, topic: str, filters: dict[str, Any] | None, cursor: int | None
) -> AsyncGenerator[Notification | int, None]:
    """The cursor at which the node has subscribed us, then the notifications of one connection until it ends."""
    params: dict[str, Any] = {"topic": topic}
    if filters:
        params["filter"] = filters
    if cursor is not None:
        params["from"] = cursor
    call = {"jsonrpc": "2.0", "id": _SUBSCRIBE_ID, "method": "rollup_subscribe", "params": params}
    await connection.send(msgspec.json.encode(call), text=True)
    subscribed: Any = None
    early: list[Notification] = []
    async for message in connection:
        raw = message.encode() if isinstance(message, str) else message
        try:
            document = parse_json_fast(raw)
        except RefusedError as error:
            raise BadAnswer(f"a notification that is not JSON: {error.detail}") from None
        if isinstance(document, dict) and document.get("method") == _METHOD:
            notification = _read_notification(document)
            if notification is None:
                return
            if subscribed is None:
                if len(early) >= _MAX_EARLY:
                    raise BadAnswer("notifications without end before the answer that names the subscription")
                early.append(notification)
            else:
                yield notification
        elif subscribed is None:
            subscribed = read_answer(raw, _SUBSCRIBE_ID)
            if not isinstance(subscribed, dict) or type(subscribed.get("cursor")) is not int:
                raise BadAnswer("a subscription without a cursor")
            yield subscribed["cursor"]
            for notification in early:
                yield notification


def _read_notification(document: dict[str, Any]) -> Notification | None:
    """The notification of a message; None if it is the last one, to a subscriber that was too slow."""
    params = document.get("params")
    if not isinstance(params, dict):
        raise BadAnswer("a notification without params")
    if "error" in params:
        return None
    cursor, result = params.get("cursor"), params.get("result")
    if type(cursor) is not int or not isinstance(result, dict):
        raise BadAnswer("a notification without a cursor or a result")
    return Notification(cursor, result)
