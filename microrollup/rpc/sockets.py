"""One WebSocket: calls answered as they are done, subscriptions pumped from their feeds, slow readers dropped.

Nothing is queued for a subscriber: a pump reads the next items when the last were taken. A client that takes none
falls behind, and is dropped when it is too far.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final, assert_never

import msgspec
import structlog
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from microrollup.chain.answers.actions import SubscriptionAnswer
from microrollup.rpc.budget import Budget
from microrollup.rpc.caller import Caller
from microrollup.rpc.dispatch import Dispatcher
from microrollup.rpc.envelope import NULL_ID, encode_error
from microrollup.rpc.errors import INTERNAL, LIMIT_EXCEEDED, NOT_FOUND, ErrorResponse, to_rpc_error
from microrollup.rpc.feeds import PAGE_TOKENS, Caches, Feed, Item, make_feed
from microrollup.rpc.method import Api
from microrollup.rpc.news import News
from microrollup.rpc.params import SubscribeParams, UnsubscribeParams
from microrollup.rpc.passing_on import VIA, read_via
from microrollup.rpc.rates import name_client
from microrollup.rpc.write_tokens import WriteTokens

__all__ = ["OUTLET", "READ_BYTES", "TRY_AGAIN_LATER", "Outlet", "Sockets"]

LOOK_SECONDS: Final = 0.25
"""How often a notification that is not taken is looked at."""

LAST_WORD_SECONDS: Final = 1.0
TRY_AGAIN_LATER: Final = 1013
OUTLET: Final = "outlet"
"""Under which the protocol puts a connection's `Outlet` into the scope's state."""
READ_BYTES: Final = 64 << 10
"""So much of what waits for a client has to be read in `send_seconds`."""
_LARGE_BYTES: Final = 64 << 10
"""What is longer is not only sent: most of it has to be read before the next message."""

_encode: Final = msgspec.json.Encoder().encode
_log = structlog.get_logger(__name__)


class Slow(Exception):
    """The other side does not read."""


class Outlet(msgspec.Struct, frozen=True):
    """What the protocol under a WebSocket lends, beyond what ASGI has."""

    abort: Callable[[], None]
    """Ends the connection whatever its other side does."""
    writable: asyncio.Event
    """Set while a message goes out without waiting."""
    get_unread: Callable[[], int]
    """Bytes that wait for the other side to read."""


class Sockets:
    """All WebSockets of a server, counted."""

    def __init__(self, api: Api, dispatcher: Dispatcher, news: Callable[[], News], bodies: Budget) -> None:
        self.api = api
        self.dispatcher = dispatcher
        self.bodies = bodies
        self.caches = Caches()
        self._news = news
        self.subscriptions = 0
        self.dropped = 0
        """Subscribers that were dropped because they did not read."""

    @property
    def news(self) -> News:
        """What wakes pumps."""
        return self._news()

    async def serve(self, websocket: WebSocket, tokens: WriteTokens | None = None) -> None:
        """Answer one connection until it ends."""
        await websocket.accept()
        await _Connection(self, websocket, tokens).run()


class _Connection:
    """One connection."""

    def __init__(self, sockets: Sockets, websocket: WebSocket, tokens: WriteTokens | None) -> None:
        self._sockets = sockets
        self._limits = sockets.api.limits
        self._websocket = websocket
        self._client = name_client(None if websocket.client is None else websocket.client.host)
        self._tokens = tokens
        self._authorization = websocket.headers.getlist("authorization")
        self._via = read_via(websocket.headers.get(VIA))
        self._outlet: Outlet = websocket.scope["state"][OUTLET]
        self._pumps: dict[str, asyncio.Task[None]] = {}
        self._calls: set[asyncio.Task[None]] = set()
        self._slots = asyncio.Semaphore(self._limits.calls_per_socket)
        self._sending = asyncio.Lock()
        self._dropping = False

    async def run(self) -> None:
        try:
            while True:
                await self._slots.acquire()
                message = await self._websocket.receive()
                if message["type"] != "websocket.receive":
                    return
                text = message.get("text")
                body = message.get("bytes") or b"" if text is None else text.encode()
                task = asyncio.create_task(self._work(body))
                self._calls.add(task)
                task.add_done_callback(self._end_call)
        except WebSocketDisconnect:
            return
        finally:
            await self._end()

    def _end_call(self, task: asyncio.Task[None]) -> None:
        self._calls.discard(task)
        self._slots.release()

    async def _end(self) -> None:
        tasks = [*self._pumps.values(), *self._calls]
        self._sockets.subscriptions -= len(self._pumps)
        self._pumps.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # Calls

    async def _work(self, body: bytes) -> None:
        bodies, size = self._sockets.bodies, len(body)
        if not bodies.take(size):
            refusal = ErrorResponse(LIMIT_EXCEEDED, "too much is being received; try again later")
            with suppress(Slow, WebSocketDisconnect, RuntimeError):
                await self._send(encode_error(NULL_ID, refusal), None)
            return
        try:
            await self._answer(body)
        finally:
            bodies.give(size)

    async def _answer(self, body: bytes) -> None:
        after: list[Callable[[], None]] = []

        async def handle(params: Any) -> Any:
            return self._handle(params, after)

        caller = Caller(self._client, handle, tokens=self._tokens, authorization=self._authorization, via=self._via)
        try:
            answer = await self._sockets.dispatcher.answer(body, caller)
            if answer is not None:
                await self._send(answer, None)
        except Slow:
            await self._drop(None)
            return
        except (WebSocketDisconnect, RuntimeError):
            return
        finally:
            self._sockets.dispatcher.release(caller)
        for start in after:
            start()

    def _handle(
        self, params: SubscribeParams | UnsubscribeParams, after: list[Callable[[], None]]
    ) -> SubscriptionAnswer | bool:
        """`subscribe` and `unsubscribe`. Notifications begin after the answer that names the subscription."""
        match params:
            case SubscribeParams():
                return self._subscribe(params, after)
            case UnsubscribeParams():
                return self._unsubscribe(params)
            case _:
                assert_never(params)

    def _unsubscribe(self, params: UnsubscribeParams) -> bool:
        pump = self._pumps.pop(params.subscription, None)
        if pump is None:
            raise ErrorResponse(NOT_FOUND, "no such subscription on this connection")
        self._sockets.subscriptions -= 1
        pump.cancel()
        return True

    def _subscribe(self, params: SubscribeParams, after: list[Callable[[], None]]) -> SubscriptionAnswer:
        if len(self._pumps) >= self._limits.subscriptions_per_socket:
            raise ErrorResponse(
                LIMIT_EXCEEDED, f"{self._limits.subscriptions_per_socket} subscriptions on a connection"
            )
        if self._sockets.subscriptions >= self._limits.subscriptions:
            raise ErrorResponse(LIMIT_EXCEEDED, f"{self._limits.subscriptions} subscriptions on this server")
        feed = make_feed(self._sockets.api, self._sockets.caches, params)
        cursor, identity = feed.cursor, f"0x{secrets.token_hex(8)}"
        ready = asyncio.Event()
        self._sockets.subscriptions += 1
        self._pumps[identity] = asyncio.create_task(self._pump(identity, feed, ready))
        after.append(ready.set)
        return SubscriptionAnswer(identity, cursor)

    # Notifications

    async def _pump(self, identity: str, feed: Feed, ready: asyncio.Event) -> None:
        await ready.wait()
        loop = asyncio.get_running_loop()
        try:
            while True:
                event = self._sockets.news.event
                try:
                    items = feed.read()
                    if items is None:
                        await self._pay_for_history()
                        items = await loop.run_in_executor(None, feed.load)
                except Exception as error:
                    await self._end_subscription(identity, error)
                    return
                if not items and feed.lag <= 0:  # below 0 where it begins with what is still to come
                    await event.wait()
                    continue
                for item in items:
                    await self._send(_notify(identity, item), feed)
                await asyncio.sleep(0)
        except Slow:
            await self._drop(identity)
        except (WebSocketDisconnect, RuntimeError):
            return

    async def _pay_for_history(self) -> None:
        """Wait until the client has room in its rate for a page of the store."""
        rates = self._sockets.dispatcher.rates
        wait = rates.take(self._client)
        while wait > 0:
            await asyncio.sleep(wait)
            wait = rates.take(self._client)
        rates.overdraw(self._client, PAGE_TOKENS - 1)

    async def _end_subscription(self, identity: str, error: Exception) -> None:
        """Tell the subscriber why nothing more comes."""
        refusal = to_rpc_error(error)
        if refusal.code == INTERNAL:
            _log.error("subscription_failed", error=type(error).__name__, exc_info=error)
        if self._pumps.pop(identity, None) is not None:
            self._sockets.subscriptions -= 1
        await self._say_last_word(identity, refusal.detail or "internal error")

    async def _send(self, body: bytes, feed: Feed | None) -> None:
        """Send one message. Raises `Slow` if it is not taken in time, or while too much piles up after it."""
        async with self._sending:
            if self._dropping:
                raise Slow
            if self._outlet.writable.is_set() and len(body) <= _LARGE_BYTES:
                await self._websocket.send_text(body.decode())
                return
            sending = asyncio.ensure_future(self._transmit(body))
            sending.add_done_callback(_note_outcome)
            try:
                await self._watch(sending, feed)
            finally:
                if not sending.done():
                    sending.cancel()

    async def _transmit(self, body: bytes) -> None:
        """Send a message, and wait until most of it has been read."""
        await self._websocket.send_text(body.decode())
        await self._outlet.writable.wait()

    async def _watch(self, sending: asyncio.Future[None], feed: Feed | None) -> None:
        """Wait for a message to be read. Raises `Slow` unless the other side reads some of it in `send_seconds`."""
        looked, unread = time.monotonic(), -1
        while True:
            done, _ = await asyncio.wait({sending}, timeout=LOOK_SECONDS)
            if done:
                sending.result()
                return
            if feed is not None and feed.lag > self._limits.lag:
                raise Slow
            left = self._outlet.get_unread()
            if unread < 0:  # the first look: what the system has taken by now, nobody has read
                unread = left
            if time.monotonic() - looked > self._limits.send_seconds:
                if left > unread - READ_BYTES:
                    raise Slow
                unread, looked = left, time.monotonic()

    async def _drop(self, identity: str | None) -> None:
        """Say why, if the other side can still be told, and end the connection whatever it does."""
        if self._dropping:
            return
        self._dropping = True
        self._sockets.dropped += 1
        _log.info("subscriber_dropped")
        asyncio.get_running_loop().call_later(LAST_WORD_SECONDS, self._outlet.abort)
        await self._say_last_word(identity, "slow")
        with suppress(Exception):
            await _in_time(self._websocket.close(TRY_AGAIN_LATER, "slow"))

    async def _say_last_word(self, identity: str | None, reason: str) -> None:
        params = {"subscription": identity, "error": reason}
        body = _encode({"jsonrpc": "2.0", "method": "rollup_subscription", "params": params})
        if self._websocket.client_state is WebSocketState.CONNECTED:
            with suppress(Exception):
                await _in_time(self._websocket.send_text(body.decode()))


def _note_outcome(task: asyncio.Future[None]) -> None:
    """Its waiter may be gone: then how it ended concerns nobody, and is not to be logged."""
    if not task.cancelled():
        task.exception()


async def _in_time(action: Awaitable[None]) -> None:
    await asyncio.wait_for(action, LAST_WORD_SECONDS)


def _notify(identity: str, item: Item) -> bytes:
    params = {"subscription": identity, "cursor": item.cursor, "result": item.result}
    return _encode({"jsonrpc": "2.0", "method": "rollup_subscription", "params": params})
