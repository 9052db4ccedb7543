"""Pages of other origins that may use the server: an explicit list, answered as browsers ask for it (CORS).

Without a list no answer has a CORS header, and a page that this server did not serve cannot call it. With one, a page
of a listed origin may; every other page still may not.
"""

from __future__ import annotations

import re
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.responses import Response
from starlette.types import Message, Scope, Send

from microrollup.errors import UsageError

__all__ = ["allow_origin", "answer_preflight", "read_origin"]

_ORIGIN: Final = re.compile(r"[a-z][a-z0-9+.-]*://(?:\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::[0-9]{1,5})?")
_DEFAULT_PORTS: Final = {"http": ":80", "https": ":443"}
_METHODS: Final = "GET, POST"
_HEADERS: Final = "content-type, authorization, x-microrollup-min-height"
"""A token goes with a call because the page puts it there; cookies never do: credentials are not allowed."""
_EXPOSED: Final = "retry-after, x-microrollup-height"
_KEPT_SECONDS: Final = "600"
"""How long a browser need not ask again."""


def read_origin(text: str) -> str:
    """An origin as browsers send it: scheme, host, and the port unless it is the scheme's own.

    Raises `UsageError` for anything else: `*` and `null` would let every page in, and a path is never sent.
    """
    origin = text.lower().removesuffix("/")
    if not _ORIGIN.fullmatch(origin):
        raise UsageError(f"{text!r} is not an origin, which is a scheme, a host and a port: https://app.example:8443")
    return origin.removesuffix(_DEFAULT_PORTS.get(origin.partition("://")[0], "/"))


def answer_preflight(scope: Scope, origins: frozenset[str]) -> Response | None:
    """The answer to a browser that asks whether a page may call; `None` for any other request."""
    headers = dict(reversed(scope["headers"]))
    origin = headers.get(b"origin", b"").decode("latin-1")
    if scope["method"] != "OPTIONS" or origin not in origins or b"access-control-request-method" not in headers:
        return None
    allowed = {
        "Access-Control-Allow-Methods": _METHODS,
        "Access-Control-Allow-Headers": _HEADERS,
        "Access-Control-Max-Age": _KEPT_SECONDS,
    }
    if headers.get(b"access-control-request-private-network") == b"true":
        allowed["Access-Control-Allow-Private-Network"] = "true"
    return Response(status_code=204, headers=allowed)


def allow_origin(scope: Scope, send: Send, origins: frozenset[str]) -> Send:
    """`send`, with the headers that let a page of a listed origin read the answer, if one asks."""
    origin = next((value for name, value in scope["headers"] if name == b"origin"), b"").decode("latin-1")

    async def send_with_origin(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers.append("Vary", "Origin")
            if origin in origins:
                headers["Access-Control-Allow-Origin"] = origin
                headers["Access-Control-Expose-Headers"] = _EXPOSED
        await send(message)

    return send_with_origin
