"""An app's queries as methods: params checked here, run by a reader process, answered as they come from there."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import msgspec

from microrollup.codec.json_text import parse_json
from microrollup.declaration.query import HEIGHT, Query, Reads
from microrollup.errors import RefusedError
from microrollup.node.reader_process import QueryReply, QueryRequest
from microrollup.node.readers import Readers
from microrollup.rpc.errors import (
    INTERNAL,
    INVALID_PARAMS,
    LIMIT_EXCEEDED,
    NOT_RETAINED,
    QUERY_FAILED,
    ErrorResponse,
    make_index_data,
)
from microrollup.rpc.method import QueryMethod
from microrollup.rpc.params import MAX_SAFE

__all__ = ["STEPS_PER_CALL", "make_query_methods", "read_arguments", "read_members", "run_query"]

STEPS_PER_CALL: Final = 1_000
"""So many steps of a query count against its caller's rate as one more call does."""

MAX_QUERY_PARAMS_BYTES: Final = 64 << 10
"""Params of one query: so many bytes may wait in the queue, times its length."""

_LIST_DECODER: Final = msgspec.json.Decoder(list[msgspec.Raw])
_OBJECT_DECODER: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_encode: Final = msgspec.json.Encoder().encode


def make_query_methods(reads: Reads | None) -> list[QueryMethod]:
    """One method per query, by their full names."""
    if reads is None:
        return []
    return [
        QueryMethod(
            f"{reads.namespace}_{query.name}",
            query.summary or "A query of the app.",
            query,
            query.answer,
            (LIMIT_EXCEEDED, NOT_RETAINED, QUERY_FAILED),
        )
        for query in reads.queries.values()
    ]


def read_query_params(query: Query, params: bytes) -> QueryRequest:
    """The request of a call's params, by name or by position, `height` last. Raises `ErrorResponse`."""
    raw = read_members(query, params, HEIGHT)
    height = _read_height(raw.pop(HEIGHT, None))
    text = _encode(raw)
    read_arguments(query, text)
    return QueryRequest(query.name, height, text)


def read_arguments(query: Query, text: bytes) -> list[Any]:
    """The arguments of a JSON object. Raises `ErrorResponse`."""
    try:
        return query.read_arguments(parse_json(text))
    except RefusedError as error:
        raise ErrorResponse(INVALID_PARAMS, error.detail) from None


def read_members(query: Query, params: bytes, *more: str) -> dict[str, msgspec.Raw]:
    """The params of a call by name; by position in the order of the parameters, `more` after them.

    Raises `ErrorResponse`.
    """
    if len(params) > MAX_QUERY_PARAMS_BYTES:
        raise ErrorResponse(LIMIT_EXCEEDED, f"the params of a query have at most {MAX_QUERY_PARAMS_BYTES} bytes")
    try:
        raw: dict[str, msgspec.Raw]
        if params.startswith(b"["):
            values = _LIST_DECODER.decode(params)
            names = [*[each.wire_name for each in query.parameters], *more]
            if len(values) > len(names):
                raise ErrorResponse(INVALID_PARAMS, f"at most {len(names)} params")
            raw = dict(zip(names, values, strict=False))
        else:
            parse_json(params)  # for members that come twice
            raw = _OBJECT_DECODER.decode(params)
    except RefusedError as error:
        raise ErrorResponse(INVALID_PARAMS, error.detail) from None
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise ErrorResponse(INVALID_PARAMS, str(error)) from None
    return raw


def _read_height(raw: msgspec.Raw | None) -> int | None:
    height: Any = None if raw is None else parse_json(bytes(raw))
    if height is None or height == "latest":
        return None
    if type(height) is not int or not 0 <= height <= MAX_SAFE:
        raise ErrorResponse(INVALID_PARAMS, f"`{HEIGHT}` is a number, or latest")
    return height


async def run_query(readers: Readers, query: Query, params: bytes) -> tuple[QueryReply, msgspec.Raw | ErrorResponse]:
    """The reply of a reader, and what is answered. Raises `ErrorResponse` for params, `Overloaded`."""
    reply = await asyncio.wrap_future(readers.submit(read_query_params(query, params)))
    match reply.code:
        case "ok":
            return reply, msgspec.Raw(reply.answer)
        case "not_retained":
            return reply, ErrorResponse(NOT_RETAINED, reply.detail)
        case "usage":
            return reply, ErrorResponse(INVALID_PARAMS, reply.detail)
        case "internal":
            return reply, ErrorResponse(INTERNAL)
        case code:
            data: dict[str, Any] = {"code": code, "detail": reply.detail}
            if reply.index is not None:
                data = make_index_data(code, reply.detail, *reply.index)
            return reply, ErrorResponse(QUERY_FAILED, reply.detail, data)
