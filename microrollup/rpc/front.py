"""The front of a replicated node: one server whose node comes and goes.

While this node leads, requests go to its application. While another leads they are passed on to that one, and while
nobody does they wait. Calls may be sent twice: they read, or submit actions that are known by their hash.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Final

import httpx
import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from microrollup.rpc.access import Access
from microrollup.rpc.body import Body, BodyTooLarge
from microrollup.rpc.budget import Budget
from microrollup.rpc.envelope import NULL_ID, encode_error
from microrollup.rpc.errors import LIMIT_EXCEEDED, ErrorResponse
from microrollup.rpc.guard import is_allowed_host, is_allowed_origin
from microrollup.rpc.limits import RpcLimits
from microrollup.rpc.origins import allow_origin, answer_preflight
from microrollup.rpc.proxies import FORWARDING
from microrollup.rpc.request_id import begin_request

__all__ = ["Front"]

WAIT_SECONDS: Final = 20.0
"""So long a request waits for a leader: longer than a takeover takes."""
_PAUSE_SECONDS: Final = 0.2
_FORWARDED: Final = b"x-microrollup-forwarded"
"""A request bears it once it was passed on: it is not passed on again."""
_HOP: Final = frozenset(
    {b"host", b"connection", b"content-length", b"transfer-encoding", b"keep-alive", b"upgrade", b"origin"}
)
"""Headers of one connection, and what was judged here: the leader has another name."""
_SERVICE_RESTART: Final = 1012
_TRY_LATER: Final = 1013

_log = structlog.get_logger(__name__)


class Front:
    """An ASGI application in front of the node that leads.

    `use`, `pass_on`, `hold` and `drain` are for other threads.
    """

    def __init__(
        self,
        limits: RpcLimits,
        describe: Callable[[], tuple[bytes, bool]],
        render_metrics: Callable[[], bytes],
        *,
        access: Access | None = None,
    ) -> None:
        """`describe` gives the JSON of `/health`, and whether all is well, while this node does not lead;
        `render_metrics` the text of `/metrics`. `access` as of `make_app`.
        """
        self._limits = limits
        self._access = access or Access()
        self._bodies = Budget(limits.bodies_bytes)
        self._describe = describe
        self._render_metrics = render_metrics
        self._app: ASGIApp | None = None
        self._leader: str | None = None
        self._inside = 0
        self._idle = threading.Event()
        self._idle.set()
        self._sockets: set[asyncio.Event] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._client: httpx.AsyncClient | None = None
        self._waiting = 0

    # For other threads

    def use(self, app: ASGIApp) -> None:
        """The node here leads: its application answers."""
        self._app, self._leader = app, None

    def pass_on(self, url: str | None) -> None:
        """Another node leads, and answers at a URL; None: nobody is known to."""
        self._leader = url

    def hold(self) -> None:
        """Let new requests wait, and end the WebSockets: their clients come again."""
        self._app = self._leader = None
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._end_sockets)

    def drain(self, seconds: float) -> bool:
        """Wait until all requests that the application has are answered; whether they are. `hold` comes before."""
        if self._loop is not None and not self._loop.is_closed():
            passed = threading.Event()  # what the loop does at this moment may still enter
            self._loop.call_soon_threadsafe(passed.set)
            passed.wait(seconds)
        return self._idle.wait(seconds)

    def _end_sockets(self) -> None:
        for ended in self._sockets:
            ended.set()

    # In the event loop

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        scope, send = begin_request(scope, send)
        if scope["type"] == "websocket":
            await self._serve_socket(scope, receive, send)
        elif self._app is not None:
            await self._serve(scope, receive, send)
        else:
            await self._serve_apart(scope, receive, send)

    async def _serve_apart(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A request that no application of this node looks at: the server's own rules come first."""
        headers = dict(reversed(scope["headers"]))  # of those that come twice the first, as in `Entrance`
        host, origin = (headers[name].decode("latin-1") if name in headers else None for name in (b"host", b"origin"))
        if self._access.origins:
            send = allow_origin(scope, send, self._access.origins)
        if not is_allowed_host(host, self._access.hosts):
            answer: Response | None = _refuse("this server has another name; see --allow-host", 421)
        elif not is_allowed_origin(origin, host, self._access.origins):
            answer = _refuse("pages of other origins are not answered; see --allow-origin", 403)
        else:
            answer = answer_preflight(scope, self._access.origins) or self._answer_self(scope["path"])
        if answer is not None:
            await answer(scope, receive, send)
        else:
            await self._serve(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        self._loop = asyncio.get_running_loop()
        async with httpx.AsyncClient(timeout=WAIT_SECONDS, follow_redirects=False, trust_env=False) as self._client:
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})

    def _answer_self(self, path: str) -> Response | None:
        """What a node says of itself while it does not lead."""
        if path not in {"/health", "/metrics"}:
            return None
        if path == "/metrics":
            return Response(self._render_metrics(), media_type="text/plain; version=0.0.4; charset=utf-8")
        body, well = self._describe()
        return Response(body, 200 if well else 503, media_type="application/json")

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._waiting >= self._limits.connections:
            await _refuse("too many requests wait for a leader")(scope, receive, send)
            return
        body = Body(self._limits.body_bytes, self._bodies)
        self._waiting += 1
        try:
            answer = await self._find_answer(scope, receive, send, body)
        except BodyTooLarge as refusal:
            answer = _refuse(str(refusal), refusal.status)
        except (TimeoutError, ClientDisconnect):
            answer = _refuse("the body took too long", 408)
        finally:
            self._waiting -= 1
            body.release()
        if answer is not None:
            await answer(scope, receive, send)

    async def _find_answer(self, scope: Scope, receive: Receive, send: Send, body: Body) -> Response | None:
        """The leader's answer; None if the application here has given it."""
        deadline = time.monotonic() + WAIT_SECONDS
        passed_on = any(name == _FORWARDED for name, _ in scope["headers"])
        raw: bytes | None = None
        while time.monotonic() < deadline:
            if (app := self._app) is not None:
                await self._enter(app, scope, receive if raw is None else _repeat(raw, receive), send)
                return None
            if (leader := self._leader) is not None and not passed_on:
                if raw is None:
                    async with asyncio.timeout(self._limits.body_seconds):
                        await body.read(receive, Request(scope).headers.get("content-length", ""))
                    raw = b"".join(body.chunks)
                answer = await self._ask(leader, scope, raw)
                if answer is not None:
                    return answer
            await asyncio.sleep(_PAUSE_SECONDS)
        return _refuse("no node leads at present; try again")

    async def _enter(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        self._inside += 1
        self._idle.clear()
        try:
            await app(scope, receive, send)
        finally:
            self._inside -= 1
            if not self._inside:
                self._idle.set()

    async def _ask(self, leader: str, scope: Scope, body: bytes) -> Response | None:
        """The leader's answer; None if there is none."""
        query = f"?{scope['query_string'].decode('latin-1')}" if scope["query_string"] else ""
        headers = [(name, value) for name, value in scope["headers"] if name not in _HOP | FORWARDING]
        if (client := self._access.proxies.find_client(scope)) is not None:
            headers.append(self._access.proxies.describe_client(client[0]))
        if self._client is None:
            return None
        asking = asyncio.ensure_future(
            self._client.request(
                scope["method"], f"{leader}{scope['path']}{query}", content=body, headers=[*headers, (_FORWARDED, b"1")]
            )
        )
        try:
            while not (await asyncio.wait({asking}, timeout=_PAUSE_SECONDS))[0]:
                if self._leader != leader:  # one that is paused or cut off would not answer for long
                    return None
            found = asking.result()
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            _log.info("leader_unreachable", leader=leader, reason=str(error) or type(error).__name__)
            return None
        finally:
            asking.cancel()
        kept = {
            name: value
            for name, value in found.headers.items()
            if name.encode("latin-1") not in _HOP and name not in {"content-encoding", "date", "server"}
        }
        return Response(found.content, found.status_code, headers=kept)

    async def _serve_socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """WebSockets are the leader's; what another node gets is closed before it is open."""
        app = self._app
        if app is None:
            await receive()
            await send({"type": "websocket.close", "code": _TRY_LATER})
            return
        ended = asyncio.Event()
        self._sockets.add(ended)
        try:
            await app(scope, _until(receive, ended), send)
            if ended.is_set():
                await send({"type": "websocket.close", "code": _SERVICE_RESTART})
        except RuntimeError:
            if not ended.is_set():  # else the socket was closed by the application already
                raise
        finally:
            self._sockets.discard(ended)


def _until(receive: Receive, ended: asyncio.Event) -> Receive:
    """What is received, until the node is let go: then the client has left, as far as the application knows."""

    async def receive_or_end() -> Message:
        receiving = asyncio.ensure_future(receive())
        ending = asyncio.ensure_future(ended.wait())
        try:
            await asyncio.wait({receiving, ending}, return_when=asyncio.FIRST_COMPLETED)
            if receiving.done():
                return receiving.result()
            return {"type": "websocket.disconnect", "code": _SERVICE_RESTART}
        finally:
            receiving.cancel()
            ending.cancel()

    return receive_or_end


def _repeat(body: bytes, receive: Receive) -> Receive:
    """A body that was read already, and then what comes after it."""
    parts: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive_again() -> Message:
        return parts.pop() if parts else await receive()

    return receive_again


def _refuse(reason: str, status: int = 503) -> Response:
    error = encode_error(NULL_ID, ErrorResponse(LIMIT_EXCEEDED, reason))
    return Response(error, status, headers={"Retry-After": "1"}, media_type="application/json")
