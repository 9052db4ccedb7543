"""Request ids: what a client or proxy names a request in `X-Request-Id`, in the answer and in every line of the log.

A name is taken if it is short and plain; for anything else one is made. Nothing else depends on it: it does not
prove who asks, and two requests may have the same.
"""

from __future__ import annotations

import itertools
import re
import secrets
from typing import Final

from starlette.types import Message, Scope, Send

from microrollup.logs import REQUEST_ID

__all__ = ["HEADER", "begin_request", "name_request"]

HEADER: Final = b"x-request-id"

_NAME: Final = re.compile(rb"[A-Za-z0-9._:=+/-]{1,128}")
"""UUIDs, ULIDs, base64, and what load balancers write. No space, quote or line break: it goes into log lines."""

_PROCESS: Final = secrets.token_hex(4).encode()
_COUNT: Final = itertools.count()
"""Ids that are made here have 16 hex digits: a random number of this process, and one that counts."""


def name_request(scope: Scope) -> bytes:
    """The id of an HTTP request or a WebSocket. From here on what this task and its children log has it."""
    given = [value for name, value in scope["headers"] if name == HEADER]
    is_name = len(given) == 1 and _NAME.fullmatch(given[0])
    chosen: bytes = given[0] if is_name else b"%s%08x" % (_PROCESS, next(_COUNT))
    REQUEST_ID.set(chosen.decode())
    return chosen


def begin_request(scope: Scope, send: Send) -> tuple[Scope, Send]:
    """The scope of an HTTP request or a WebSocket with its id as the only such header, and a `send` that returns it.

    From here on what this task and its children log has the id.
    """
    chosen = name_request(scope)
    kept = [(name, value) for name, value in scope["headers"] if name != HEADER]
    scope = {**scope, "headers": [*kept, (HEADER, chosen)]}

    async def send_with_id(message: Message) -> None:
        if message["type"] in {"http.response.start", "websocket.accept"}:
            others = [(name, value) for name, value in message.get("headers", ()) if name.lower() != HEADER]
            message = {**message, "headers": [*others, (HEADER, chosen)]}
        await send(message)

    return scope, send_with_id
