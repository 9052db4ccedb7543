"""HTTP paths of an app's own: the parameters of a method from path and body, its answer as JSON, errors by status.

A 4xx says that the question is wrong, a 5xx that another node may answer it; the body of both is `{"message": ...}`, as
clients of ERC-3668 gateways expect it.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from microrollup.codec.json_text import parse_json
from microrollup.declaration.http_route import HttpRoute
from microrollup.errors import RefusedError
from microrollup.rpc.access import Access
from microrollup.rpc.body import Body, BodyTooLarge
from microrollup.rpc.budget import Budget
from microrollup.rpc.caller import Caller
from microrollup.rpc.dispatch import Dispatcher
from microrollup.rpc.errors import (
    HEIGHT_NOT_REACHED,
    INTAKE_STOPPED,
    INTERNAL,
    INVALID_PARAMS,
    INVALID_REQUEST,
    LIMIT_EXCEEDED,
    NOT_FOUND,
    NOT_RETAINED,
    QUERY_FAILED,
    RATE_EXCEEDED,
    SOURCE_UNAVAILABLE,
    UNAUTHORIZED,
    ErrorResponse,
    describe_error,
)
from microrollup.rpc.guard import is_allowed_origin, is_json
from microrollup.rpc.heights import HEIGHT_HEADER, MIN_HEIGHT_HEADER, read_min_height
from microrollup.rpc.method import AppMethod
from microrollup.rpc.passing_on import VIA, read_via
from microrollup.rpc.queries import MAX_QUERY_PARAMS_BYTES
from microrollup.rpc.rates import name_client
from microrollup.rpc.write_tokens import WriteTokens

__all__ = ["make_http_routes"]

_STATUSES: Final = {
    NOT_FOUND: 404,
    NOT_RETAINED: 503,
    INTAKE_STOPPED: 503,
    LIMIT_EXCEEDED: 503,
    RATE_EXCEEDED: 429,
    INTERNAL: 500,
    UNAUTHORIZED: 401,
    SOURCE_UNAVAILABLE: 503,
    HEIGHT_NOT_REACHED: 503,
}
"""Code -> status; 400 for the others."""

_QUERY_STATUSES: Final = {"index_building": 503, "mistyped": 500, "size": 500}
"""The same for codes of `QUERY_FAILED`."""

_KEPT_SECONDS: Final = "600"
"""How long a browser need not ask again whether a page may."""

_LATE: Final = "this took too long; ask for less, or later"
_LATE_OPEN: Final = "this took too long, and an action may have been taken: ask for it, or submit it again"

_Serve = Callable[[Request, Caller], Awaitable[Response]]


def make_http_routes(dispatcher: Dispatcher, bodies: Budget, access: Access) -> list[Route]:
    """The routes of all methods that declare some; those that are not for everybody are for whom `access` names."""
    declared = [
        (method, route)
        for method in dispatcher.methods.values()
        if isinstance(method, AppMethod)
        for route in method.query.routes
    ]
    routes = [
        Route(
            route.path,
            _Page(_Served(dispatcher, bodies, access.origins, method, route), dispatcher, access.tokens),
            methods=[route.verb],
        )
        for method, route in declared
    ]
    public = {route.path for _, route in declared if route.any_origin}
    return [*routes, *[Route(path, _answer_preflight, methods=["OPTIONS"]) for path in sorted(public)]]


async def _answer_preflight(_: Request) -> Response:
    """A browser asks whether a page of any origin may call."""
    headers = {
        "Access-Control-Allow-Origin": "*",
        "Access-Control-Allow-Methods": "GET, POST",
        "Access-Control-Allow-Headers": "content-type",
        "Access-Control-Max-Age": _KEPT_SECONDS,
    }
    return Response(status_code=204, headers=headers)


class _Page:
    """An ASGI application, so that an answer counts until it has been read."""

    def __init__(self, serve: _Served, dispatcher: Dispatcher, tokens: WriteTokens | None) -> None:
        self._serve = serve
        self._dispatcher = dispatcher
        self._tokens = tokens

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        caller = Caller(
            name_client(None if request.client is None else request.client.host),
            tokens=self._tokens,
            authorization=request.headers.getlist("authorization"),
            via=read_via(request.headers.get(VIA)),
        )
        try:
            response = await self._serve.answer(request, caller)
            if caller.height is not None:
                response.headers[HEIGHT_HEADER] = str(caller.height)
            await response(scope, receive, send)
        finally:
            self._dispatcher.release(caller)


class _Served:
    """One route."""

    def __init__(
        self, dispatcher: Dispatcher, bodies: Budget, origins: frozenset[str], method: AppMethod, route: HttpRoute
    ) -> None:
        self._dispatcher = dispatcher
        self._bodies = bodies
        self._origins = origins
        self._method = method
        self._route = route
        self._headers = {"Cache-Control": "no-store"}
        if route.any_origin:
            self._headers["Access-Control-Allow-Origin"] = "*"

    async def answer(self, request: Request, caller: Caller) -> Response:
        """The method's answer, or why there is none."""
        headers = request.headers
        if not self._route.any_origin and not is_allowed_origin(
            headers.get("origin"), headers.get("host"), self._origins
        ):
            return self._refuse(403, "pages of other origins are not answered; see --allow-origin")
        try:
            caller.min_height = read_min_height(headers.get(MIN_HEIGHT_HEADER))
            params = await self._read_params(request)
            async with asyncio.timeout(self._dispatcher.limits.route_seconds):
                answer = await self._dispatcher.run_method(self._method, params, caller)
        except TimeoutError:
            return self._refuse(504, _LATE_OPEN if caller.has_submitted else _LATE)
        except ClientDisconnect:
            return Response(status_code=400)
        except BodyTooLarge as refusal:
            return self._refuse(refusal.status, str(refusal), {"Connection": "close"})
        except ErrorResponse as error:
            return self._refuse_error(error, caller)
        return self._respond(200, answer)

    async def _read_params(self, request: Request) -> bytes:
        """The JSON object of the parameters. Raises `ErrorResponse`, `BodyTooLarge`."""
        params: dict[str, Any] = {}
        if self._route.verb == "POST":
            params = await self._read_body(request)
        for name, text in request.path_params.items():
            if name in params:
                raise ErrorResponse(INVALID_PARAMS, f"`{name}` is in the path already")
            params[name] = text
        return msgspec.json.encode(params)

    async def _read_body(self, request: Request) -> dict[str, Any]:
        if not is_json(request.headers.get("content-type")):
            raise ErrorResponse(INVALID_REQUEST, "the Content-Type is application/json")
        body = Body(MAX_QUERY_PARAMS_BYTES, self._bodies)
        try:
            async with asyncio.timeout(self._dispatcher.limits.body_seconds):
                await body.read(request.receive, request.headers.get("content-length", ""))
            text = b"".join(body.chunks)
            parse_json(text)  # for members that come twice, and for depth
            return dict(msgspec.json.decode(text, type=dict[str, msgspec.Raw]))
        except TimeoutError:
            raise BodyTooLarge(408, "the body took too long") from None
        except RefusedError as error:
            raise ErrorResponse(INVALID_PARAMS, error.detail) from None
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            raise ErrorResponse(INVALID_PARAMS, str(error)) from None
        finally:
            body.release()

    def _refuse_error(self, error: ErrorResponse, caller: Caller) -> Response:
        status, data, more = _STATUSES.get(error.code, 400), error.data or {}, {}
        if error.code == QUERY_FAILED:
            status = _QUERY_STATUSES.get(str(data.get("code")), 400)
        wait_ms = data.get("retryAfterMs")
        if error.code == RATE_EXCEEDED and isinstance(wait_ms, int):
            more["Retry-After"] = str(math.ceil(wait_ms / 1_000))
        if caller.challenge is not None:
            more["WWW-Authenticate"] = caller.challenge
        return self._refuse(status, describe_error(error).message, more)

    def _refuse(self, status: int, message: str, headers: dict[str, str] | None = None) -> Response:
        return self._respond(status, msgspec.json.encode({"message": message}), headers)

    def _respond(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> Response:
        return Response(body, status, headers={**self._headers, **(headers or {})}, media_type="application/json")
