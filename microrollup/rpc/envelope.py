"""Requests of JSON-RPC 2.0, decoded strictly. Params stay raw: each method decodes its own.

Limits come first: size (kept by the body's reader), UTF-8, nesting; then the count of calls.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
import numpy as np

from microrollup.codec.document import to_document
from microrollup.rpc.errors import (
    INVALID_REQUEST,
    LIMIT_EXCEEDED,
    PARSE_ERROR,
    ErrorResponse,
    describe_error,
)
from microrollup.rpc.limits import RpcLimits
from microrollup.rpc.params import MAX_SAFE

__all__ = ["NULL_ID", "RpcRequest", "decode_calls", "encode_error", "encode_result"]

NULL_ID: Final = msgspec.Raw(b"null")

_QUOTE: Final = ord('"')
_CASE: Final = np.uint8(0x20)


class RpcRequest(msgspec.Struct, frozen=True):
    """One call. `id` is None for a notification, which gets no answer."""

    method: str
    params: msgspec.Raw | None
    id: msgspec.Raw | None
    min_height: int | None = None
    """The height that the answer is to show at least; None if it was not said."""


class _Form(msgspec.Struct, forbid_unknown_fields=True):
    """A request object."""

    jsonrpc: str
    method: str
    params: msgspec.Raw = msgspec.Raw(b"")
    id: msgspec.Raw = msgspec.Raw(b"")
    min_height: Annotated[int, msgspec.Meta(ge=0, le=MAX_SAFE)] | None = msgspec.field(name="minHeight", default=None)


class _IdForm(msgspec.Struct):
    """What can be told of an object that is not a request."""

    id: msgspec.Raw = msgspec.Raw(b"")


_ID_DECODER: Final = msgspec.json.Decoder(_IdForm)
_FORM_DECODER: Final = msgspec.json.Decoder(_Form)
_LIST_DECODER: Final = msgspec.json.Decoder(list[msgspec.Raw])
_encode: Final = msgspec.json.Encoder().encode


def decode_calls(body: bytes, limits: RpcLimits) -> tuple[list[RpcRequest | ErrorResponse], bool]:
    """The calls of a body, in order, and whether it is a batch. A malformed one is its error.

    Raises `ErrorResponse` where nothing can be told apart: no JSON, too deep, too many.
    """
    try:
        body.decode()
    except UnicodeDecodeError as error:
        raise ErrorResponse(PARSE_ERROR, f"byte {error.start} is not part of a UTF-8 character") from None
    if not is_shallow(body, limits.json_depth):
        raise ErrorResponse(PARSE_ERROR, f"nests deeper than {limits.json_depth} levels")
    stripped = body.lstrip(b" \t\r\n")
    if not stripped.startswith(b"["):
        return [_decode_call(stripped, limits)], False
    items = _decode(_LIST_DECODER, stripped)
    if not items:
        raise ErrorResponse(INVALID_REQUEST, "the batch is empty")
    if len(items) > limits.batch_calls:
        raise ErrorResponse(LIMIT_EXCEEDED, f"{len(items)} calls in a batch, the limit is {limits.batch_calls}")
    return [_decode_item(bytes(item), limits) for item in items], True


def is_shallow(body: bytes, depth: int) -> bool:
    """Whether a JSON text nests at most `depth` levels, told without decoding it and without stepping through it.

    Brackets count where the quotes before them are even in number, escaped ones left out.
    """
    if body.count(b"[") + body.count(b"{") <= depth:
        return True
    text = np.frombuffer(body.replace(b"\\\\", b"").replace(b'\\"', b""), np.uint8)
    outside = text[np.cumsum(text == _QUOTE, dtype=np.uint32) & 1 == 0]
    folded = outside | _CASE  # [ and { become one byte, ] and } another
    steps = (folded == ord("{")).view(np.int8) - (folded == ord("}")).view(np.int8)
    return int(np.cumsum(steps, dtype=np.int32).max(initial=0)) <= depth


def _decode_item(raw: bytes, limits: RpcLimits) -> RpcRequest | ErrorResponse:
    try:
        return _decode_call(raw, limits)
    except ErrorResponse as error:
        return ErrorResponse(INVALID_REQUEST, error.detail)


def _decode_call(raw: bytes, limits: RpcLimits) -> RpcRequest | ErrorResponse:
    try:
        form = _FORM_DECODER.decode(raw)
    except msgspec.ValidationError as error:
        return _refuse(_find_id(raw), str(error), limits)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise ErrorResponse(PARSE_ERROR, str(error)) from None
    identity, params = bytes(form.id), bytes(form.params)
    if form.jsonrpc != "2.0":
        return _refuse(identity, '`jsonrpc` is not "2.0"', limits)
    if not _is_id(identity, limits):
        return _refuse(b"", f"`id` is a string, a number or null of at most {limits.id_bytes} bytes", limits)
    if params[:1] not in (b"", b"[", b"{"):
        return _refuse(identity, "`params` is neither an array nor an object", limits)
    return RpcRequest(
        form.method,
        msgspec.Raw(params) if params else None,
        msgspec.Raw(identity) if identity else None,
        form.min_height,
    )


def _refuse(identity: bytes, detail: str, limits: RpcLimits) -> ErrorResponse:
    """An object that is not a request: the error keeps the id, so that a client knows which call failed."""
    return ErrorResponse(INVALID_REQUEST, detail, id_=(identity if _is_id(identity, limits) else b"") or b"null")


def _is_id(identity: bytes, limits: RpcLimits) -> bool:
    """Whether the JSON text of a member `id` is one; it is empty where the member is absent."""
    return len(identity) <= limits.id_bytes and identity[:1] not in (b"[", b"{", b"t", b"f")


def _find_id(raw: bytes) -> bytes:
    """The JSON text of the member `id` of something that is not a request; empty where there is none."""
    try:
        return bytes(_ID_DECODER.decode(raw).id)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return b""


def _decode(decoder: msgspec.json.Decoder[Any], raw: bytes) -> Any:
    try:
        return decoder.decode(raw)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise ErrorResponse(PARSE_ERROR, str(error)) from None


def encode_result(identity: msgspec.Raw, result: Any, height: int | None = None) -> bytes:
    """The answer to a call that was carried out; who said a height is told one."""
    answer = {"jsonrpc": "2.0", "id": identity, "result": result}
    return _encode(answer if height is None else answer | {"height": height})


def encode_error(identity: msgspec.Raw, error: ErrorResponse) -> bytes:
    """The answer to a call that was not."""
    return _encode({"jsonrpc": "2.0", "id": identity, "error": to_document(describe_error(error))})
