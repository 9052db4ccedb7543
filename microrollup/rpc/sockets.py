"""One WebSocket: calls answered as they are done, subscriptions pumped from their feeds, slow readers dropped.

Nothing is queued for a subscriber: a pump reads the next items when the last were taken. Whoever does not take them
falls behind, and is dropped when it is too far.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final

import msgspec
import structlog
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from microrollup.rpc.budget import Budget
from microrollup.rpc.dispatch import Caller, Dispatcher
from microrollup.rpc.envelope import NULL_ID, encode_error
from microrollup.rpc.errors import LIMIT_EXCEEDED, NOT_FOUND, RpcError, to_rpc_error
from microrollup.rpc.feeds import Caches, Feed, Item, make_feed
from microrollup.rpc.methods import Api
from microrollup.rpc.news import News
from microrollup.rpc.params import SubscribeParams, UnsubscribeParams
from microrollup.rpc.rates import name_client

__all__ = ["ABORT", "TRY_AGAIN_LATER", "WRITABLE", "Sockets"]

LOOK_SECONDS: Final = 0.25
"""How often a notification that is not taken is looked at."""

LAST_WORD_SECONDS: Final = 1.0
TRY_AGAIN_LATER: Final = 1013
ABORT: Final = "abort"
"""Under which the protocol lends the function that ends a connection whatever its other side does."""
WRITABLE: Final = "writable"
"""Under which it lends the event that is set while a message goes out without waiting."""

_encode: Final = msgspec.json.Encoder().encode
_log = structlog.get_logger(__name__)


class Slow(Exception):
    """The other side does not read."""


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

    async def serve(self, websocket: WebSocket) -> None:
        """Answer one connection until it ends."""
        await websocket.accept()
        await _Connection(self, websocket).run()


class _Connection:
    """One connection."""

    def __init__(self, sockets: Sockets, websocket: WebSocket) -> None:
        self._sockets = sockets
        self._limits = sockets.api.limits
        self._websocket = websocket
        self._client = name_client(None if websocket.client is None else websocket.client.host)
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
            refusal = RpcError(LIMIT_EXCEEDED, "too much is being received; try again later")
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
            return await self._handle(params, after)

        answer = await self._sockets.dispatcher.answer(body, Caller(self._client, handle))
        try:
            if answer is not None:
                await self._send(answer, None)
        except Slow:
            await self._drop(None)
            return
        except (WebSocketDisconnect, RuntimeError):
            return
        for start in after:
            start()

    async def _handle(self, params: Any, after: list[Callable[[], None]]) -> Any:
        """`subscribe` and `unsubscribe`. Notifications begin behind the answer that names the subscription."""
        if isinstance(params, UnsubscribeParams):
            pump = self._pumps.pop(params.subscription, None)
            if pump is None:
                raise RpcError(NOT_FOUND, "no such subscription on this connection")
            self._sockets.subscriptions -= 1
            pump.cancel()
            return True
        return await self._subscribe(params, after)

    async def _subscribe(self, params: SubscribeParams, after: list[Callable[[], None]]) -> Any:
        if len(self._pumps) >= self._limits.subscriptions_per_socket:
            raise RpcError(LIMIT_EXCEEDED, f"{self._limits.subscriptions_per_socket} subscriptions on a connection")
        if self._sockets.subscriptions >= self._limits.subscriptions:
            raise RpcError(LIMIT_EXCEEDED, f"{self._limits.subscriptions} subscriptions on this server")
        feed = make_feed(self._sockets.api, self._sockets.caches, params)
        cursor, identity = feed.cursor, f"0x{secrets.token_hex(8)}"
        ready = asyncio.Event()
        self._sockets.subscriptions += 1
        self._pumps[identity] = asyncio.create_task(self._pump(identity, feed, ready))
        after.append(ready.set)
        return {"subscription": identity, "cursor": cursor}

    # Notifications

    async def _pump(self, identity: str, feed: Feed, ready: asyncio.Event) -> None:
        await ready.wait()
        loop = asyncio.get_running_loop()
        try:
            while True:
                event = self._sockets.news.event
                items = feed.read()
                if items is None:
                    items = await loop.run_in_executor(None, feed.load)
                elif not items and feed.lag <= 0:  # below 0 where it begins with what is still to come
                    await event.wait()
                    continue
                for item in items:
                    await self._send(_notify(identity, item), feed)
                await asyncio.sleep(0)
        except Slow:
            await self._drop(identity)
        except (WebSocketDisconnect, RuntimeError):
            return
        except Exception as error:
            refusal = to_rpc_error(error)
            _log.info("subscription_ended", reason=str(error))
            await self._say_last_word(identity, refusal.detail or "internal error")
            if self._pumps.pop(identity, None) is not None:
                self._sockets.subscriptions -= 1

    async def _send(self, body: bytes, feed: Feed | None) -> None:
        """Send one message. Raises `Slow` if it is not taken in time, or while too much piles up behind it."""
        async with self._sending:
            if self._dropping:
                raise Slow
            if self._is_writable():
                await self._websocket.send_text(body.decode())
                return
            sending = asyncio.ensure_future(self._websocket.send_text(body.decode()))
            sending.add_done_callback(_note_outcome)
            started = time.monotonic()
            try:
                while True:
                    done, _ = await asyncio.wait({sending}, timeout=LOOK_SECONDS)
                    if done:
                        sending.result()
                        return
                    late = time.monotonic() - started > self._limits.send_seconds
                    if late or (feed is not None and feed.lag > self._limits.lag):
                        raise Slow
            finally:
                if not sending.done():
                    sending.cancel()

    def _is_writable(self) -> bool:
        """Whether a message goes out at once, so that nobody has to watch it."""
        writable: asyncio.Event | None = self._websocket.scope["state"].get(WRITABLE)
        return writable is not None and writable.is_set()

    async def _drop(self, identity: str | None) -> None:
        """Say why, if the other side can still be told, and end the connection whatever it does."""
        if self._dropping:
            return
        self._dropping = True
        self._sockets.dropped += 1
        _log.info("subscriber_dropped")
        abort = self._websocket.scope["state"].get(ABORT)
        if abort is not None:
            asyncio.get_running_loop().call_later(LAST_WORD_SECONDS, abort)
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
    """Whoever waited for it may be gone: then how it ended is nobody's business, and not to be logged."""
    if not task.cancelled():
        task.exception()


async def _in_time(action: Awaitable[None]) -> None:
    await asyncio.wait_for(action, LAST_WORD_SECONDS)


def _notify(identity: str, item: Item) -> bytes:
    params = {"subscription": identity, "cursor": item.cursor, "result": item.result}
    return _encode({"jsonrpc": "2.0", "method": "rollup_subscription", "params": params})
