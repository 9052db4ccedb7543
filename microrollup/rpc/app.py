"""The ASGI application: JSON-RPC by POST and WebSocket at `/`, the explorer, `/health`, `/metrics`, `/openrpc.json`."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Final, TypeAlias

import msgspec
import structlog
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

from microrollup.codec.document import to_document
from microrollup.explorer import INDEX_PATH, SECURITY_HEADERS, load_static_files
from microrollup.node.reading import ReadingNode
from microrollup.node.status import describe_status
from microrollup.rpc.access import Access
from microrollup.rpc.app_methods import make_app_methods
from microrollup.rpc.body import ANSWERING, WHOLE, Body, BodyTooLarge
from microrollup.rpc.budget import Budget
from microrollup.rpc.caller import Caller
from microrollup.rpc.dispatch import Dispatcher
from microrollup.rpc.envelope import NULL_ID, encode_error
from microrollup.rpc.errors import INVALID_REQUEST, LIMIT_EXCEEDED, ErrorResponse
from microrollup.rpc.guard import is_allowed_host, is_allowed_origin, is_json
from microrollup.rpc.heights import HEIGHT_HEADER, MIN_HEIGHT_HEADER, read_min_height
from microrollup.rpc.http_routes import make_http_routes
from microrollup.rpc.limits import RpcLimits
from microrollup.rpc.method import Api, PlainMethod
from microrollup.rpc.methods import make_methods
from microrollup.rpc.news import News
from microrollup.rpc.openrpc import describe_openrpc
from microrollup.rpc.origins import allow_origin, answer_preflight
from microrollup.rpc.passing_on import VIA, read_via
from microrollup.rpc.queries import make_query_methods
from microrollup.rpc.rates import name_client
from microrollup.rpc.request_id import HEADER as REQUEST_HEADER
from microrollup.rpc.request_id import begin_request, name_request
from microrollup.rpc.sockets import TRY_AGAIN_LATER, Sockets

__all__ = ["Entrance", "RpcApp", "make_app"]

_JSON: Final = "application/json"
_METRICS_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_NEGOTIATED: Final = {"Vary": "Accept"}
"""At `/` a browser gets another text than others: a cache must keep them apart."""

_CLOSED: Final = b'{"intake":"stopped","reason":"the node is shutting down"}'
_POLICY_VIOLATION: Final = 1008
_PIECE_BYTES: Final = 64 << 10
_DISCARDED: Final = 4
"""Times the largest body: so much of one that is too large is read and thrown away."""


_HEIGHT: Final = HEIGHT_HEADER.lower().encode()
_MIN_HEIGHT: Final = MIN_HEIGHT_HEADER.lower().encode()
_VIA: Final = VIA.lower().encode()

Headers: TypeAlias = dict[bytes, bytes]
"""Of a request, by lower-case names."""

_log = structlog.get_logger(__name__)


class RpcApp:
    """What the routes share."""

    def __init__(
        self,
        node: ReadingNode,
        limits: RpcLimits,
        more: Sequence[PlainMethod],
        access: Access,
        address: str,
    ) -> None:
        self.node = node
        self.limits = limits
        self.access = access
        self.api = Api(node, limits, lambda: self.sockets.subscriptions)
        self.methods = make_methods([*make_query_methods(node.reads), *make_app_methods(node.methods), *more])
        self.openrpc = msgspec.json.encode(describe_openrpc(self.methods, node.rollup.name, address))
        self._news: News | None = None
        self.bodies = Budget(limits.bodies_bytes)
        self.dispatcher = Dispatcher(self.api, self.methods, self.get_news)
        self.sockets = Sockets(self.api, self.dispatcher, self.get_news, self.bodies)
        node.metrics.watch("subscribers", "Subscriptions over WebSocket.", lambda: self.sockets.subscriptions)
        rates = self.dispatcher.rates
        node.metrics.watch_count("rate_exceeded", "Calls refused, pages of history put off.", lambda: rates.refused)
        node.metrics.watch_count("subscribers_dropped", "Subscribers dropped as slow.", lambda: self.sockets.dropped)

    def get_news(self) -> News:
        """What wakes subscribers; made in the event loop."""
        if self._news is None:
            self._news = News(self.node.hub)
        return self._news

    def close(self) -> None:
        """Let go of the node."""
        if self._news is not None:
            self._news.close()
        self.dispatcher.close()

    # Routes

    async def serve_call(self, scope: Scope, headers: Headers, receive: Receive, send: Send) -> None:
        """JSON-RPC over HTTP, from the request to the last byte that the client reads."""
        named = name_request(scope)
        authorization = [value.decode("latin-1") for name, value in scope["headers"] if name == b"authorization"]
        via = read_via(headers[_VIA].decode("latin-1")) if _VIA in headers else ()
        caller = Caller(_name_client(scope), tokens=self.access.tokens, authorization=authorization, via=via)
        height = self.node.confirmations.latest
        try:
            answer = await self._post(scope, headers, receive, caller)
            shown = b"%d" % (height if caller.height is None else caller.height)
            answer.raw_headers += [(_HEIGHT, shown), (REQUEST_HEADER, named)]
            await answer(scope, receive, send)
        finally:
            self.dispatcher.release(caller)

    async def _post(self, scope: Scope, headers: Headers, receive: Receive, caller: Caller) -> Response:
        if b"origin" in headers and not is_allowed_origin(
            _read(headers, b"origin"), _read(headers, b"host"), self.access.origins
        ):
            reason = "pages of other origins are not answered; see --allow-origin"
            return _refuse(403, ErrorResponse(INVALID_REQUEST, reason))
        if not is_json(_read(headers, b"content-type")):
            return _refuse(415, ErrorResponse(INVALID_REQUEST, "the Content-Type is application/json"))
        try:
            caller.min_height = read_min_height(_read(headers, _MIN_HEIGHT))
        except ErrorResponse as refusal:
            return _refuse(400, refusal)
        body = Body(self.limits.body_bytes, self.bodies)
        try:
            length = _read(headers, b"content-length") or ""
            if WHOLE in scope.get("state", ()):
                await body.read(receive, length)
            else:
                async with asyncio.timeout(self.limits.body_seconds):
                    await body.read(receive, length)
            answer = await self.dispatcher.answer(b"".join(body.chunks), caller)
        except TimeoutError:
            return _refuse(408, ErrorResponse(LIMIT_EXCEEDED, "the body took too long"), close=True)
        except ClientDisconnect:
            return Response(status_code=400)
        except BodyTooLarge as refusal:
            if refusal.status == 413:
                await self._discard(Request(scope, receive))
            return _refuse(refusal.status, ErrorResponse(LIMIT_EXCEEDED, str(refusal)), close=True)
        finally:
            body.release()
        if caller.challenge is not None:
            return Response(answer or b"", 401, {"WWW-Authenticate": caller.challenge}, media_type=_JSON)
        return Response(status_code=204) if answer is None else _Answer(answer)

    async def _discard(self, request: Request) -> None:
        """Read a body that is not taken, for a while: who is cut off while sending does not see the answer."""
        left = _DISCARDED * self.limits.body_bytes
        stated = request.headers.get("content-length", "0")
        with suppress(TimeoutError, ClientDisconnect):
            async with asyncio.timeout(self.limits.body_seconds if int(stated[:20]) <= left else 0):
                async for chunk in request.stream():
                    left -= len(chunk)
                    if left < 0:
                        return

    async def serve_socket(self, websocket: WebSocket) -> None:
        """JSON-RPC over WebSocket, with subscriptions."""
        headers = websocket.headers
        allowed = is_allowed_host(headers.get("host"), self.access.hosts)
        if not allowed or not is_allowed_origin(headers.get("origin"), headers.get("host"), self.access.origins):
            await websocket.close(_POLICY_VIOLATION)
            return
        if self.dispatcher.rates.take(_name_client(websocket.scope)):
            await websocket.close(TRY_AGAIN_LATER)
            return
        await self.sockets.serve(websocket, self.access.tokens)

    def pay(self, serve: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        """A page that costs as much as a call."""

        async def serve_paid(request: Request) -> Response:
            wait = self.dispatcher.rates.take(_name_client(request.scope))
            if wait:
                headers = {"Retry-After": str(math.ceil(wait))}
                return Response("too many requests from one address\n", 429, headers, media_type="text/plain")
            return await serve(request)

        return serve_paid

    async def get_page(self, request: Request) -> Response:
        """A file of the explorer."""
        static = load_static_files().get(request.url.path)
        if static is None:
            return Response("not found", 404, media_type="text/plain")
        headers = {**SECURITY_HEADERS, "ETag": static.etag, "Cache-Control": "no-cache"}
        if request.url.path == INDEX_PATH:
            headers |= _NEGOTIATED
        if request.headers.get("if-none-match") == static.etag:
            return Response(status_code=304, headers=headers)
        return Response(static.body, headers=headers, media_type=static.media_type)

    async def get_root(self, request: Request) -> Response:
        """The explorer for browsers; for others a word on how to ask."""
        if "text/html" in request.headers.get("accept", ""):
            return await self.get_page(request)
        text = "JSON-RPC 2.0: POST here, or open a WebSocket; see /openrpc.json\n"
        return Response(text, headers={**_NEGOTIATED, "Cache-Control": "no-cache"}, media_type="text/plain")

    async def get_health(self, _: Request) -> Response:
        """The node's state; 503 once it has stopped taking actions, or deriving blocks. A follower says 200 anyhow."""
        try:
            status = describe_status(self.node, self.sockets.subscriptions)
        except Exception as error:  # the store or L1 was closed in this moment
            _log.info("health_unknown", error=type(error).__name__)
            return _json(_CLOSED, 503)
        unwell = status.intake == "stopped" and status.follower is None
        return _json(msgspec.json.encode(to_document(status)), 503 if unwell else 200)

    async def get_metrics(self, _: Request) -> Response:
        """Metrics for Prometheus."""
        return Response(self.node.metrics.render(), media_type=_METRICS_TYPE)

    async def get_openrpc(self, _: Request) -> Response:
        """The OpenRPC document."""
        return _json(self.openrpc, 200)


class _Answer(Response):
    """An answer that is handed over in pieces, as the client reads: it is done when nearly all of it has been read."""

    def __init__(self, body: bytes) -> None:
        self.status_code, self.body = 200, body
        self.raw_headers = [(b"content-length", b"%d" % len(body)), (b"content-type", _JSON.encode())]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        del receive
        way = scope.get("state", {}).get(ANSWERING)
        if way is not None and way.is_behind(send) and len(self.body) <= _PIECE_BYTES:
            await way.answer(self.raw_headers, self.body)
            return
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        whole = memoryview(self.body)
        for first in range(0, len(whole), _PIECE_BYTES):
            piece = bytes(whole[first : first + _PIECE_BYTES])
            more = first + _PIECE_BYTES < len(whole)
            await send({"type": "http.response.body", "body": piece, "more_body": more})


def _name_client(scope: Scope) -> str:
    client = scope.get("client")
    return name_client(client[0] if client else None)


def _read(headers: Headers, name: bytes) -> str | None:
    value = headers.get(name)
    return None if value is None else value.decode("latin-1")


def _json(body: bytes, status: int) -> Response:
    return Response(body, status, headers={"Cache-Control": "no-store"}, media_type=_JSON)


def _refuse(status: int, error: ErrorResponse, *, close: bool = False) -> Response:
    headers = {"Connection": "close"} if close else None
    return Response(encode_error(NULL_ID, error), status, headers=headers, media_type=_JSON)


class Entrance:
    """Refuses requests whose `Host` is not this server's, and takes the calls past the router to their one place.

    Routing and its layers of middleware take a sixth of the time of a call that is acknowledged alone.
    """

    def __init__(self, app: ASGIApp, shared: RpcApp) -> None:
        self._app = app
        self._shared = shared

    def close(self) -> None:
        """Let go of the node, where no server tells the application that it ends."""
        self._shared.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        access = self._shared.access
        if access.proxies:
            scope["client"] = access.proxies.find_client(scope)
        headers = dict(reversed(scope["headers"]))  # of those that come twice the first
        is_here = is_allowed_host(_read(headers, b"host"), access.hosts)
        is_call = scope["type"] == "http" and scope["method"] == "POST" and scope["path"] == "/"
        if is_call and is_here and not access.origins:
            await self._shared.serve_call(scope, headers, receive, send)
            return
        scope, send = begin_request(scope, send)
        if scope["type"] == "http":
            if not is_here:
                refusal = _refuse(421, ErrorResponse(INVALID_REQUEST, "this server has another name; see --allow-host"))
                await refusal(scope, receive, send)
                return
            if access.origins:
                send = allow_origin(scope, send, access.origins)
                preflight = answer_preflight(scope, access.origins)
                if preflight is not None:
                    await preflight(scope, receive, send)
                    return
            if is_call:
                await self._shared.serve_call(scope, headers, receive, send)
                return
        await self._app(scope, receive, send)


def make_app(
    node: ReadingNode,
    limits: RpcLimits | None = None,
    *,
    more: Sequence[PlainMethod] = (),
    access: Access | None = None,
    address: str = "http://127.0.0.1:8650",
) -> Entrance:
    """The application of a started node. `more` are the app's own methods, `access` says who may use it."""
    chosen = access or Access()
    shared = RpcApp(node, limits or RpcLimits(), more, chosen, address)

    @asynccontextmanager
    async def live(_: Starlette) -> AsyncIterator[None]:
        try:
            yield
        finally:
            if shared.dispatcher.passing is not None:
                await shared.dispatcher.passing.close()
            shared.close()

    routes = [
        Route("/", shared.pay(shared.get_root), methods=["GET"]),
        WebSocketRoute("/", shared.serve_socket),
        Route("/explorer/{path:path}", shared.pay(shared.get_page), methods=["GET"]),
        Route("/health", shared.pay(shared.get_health), methods=["GET"]),
        Route("/metrics", shared.pay(shared.get_metrics), methods=["GET"]),
        Route("/openrpc.json", shared.pay(shared.get_openrpc), methods=["GET"]),
        *make_http_routes(shared.dispatcher, shared.bodies, chosen),
    ]
    return Entrance(Starlette(routes=routes, lifespan=live), shared)
