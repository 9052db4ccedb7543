"""Canonical msgpack: what microrollup writes to disk and to DA, and the strict way back.

msgspec reads more than one encoding of a value (non-minimal integers, extra array items, duplicate map keys) and lets
`UnicodeDecodeError` and `RecursionError` out. Here a value is taken only if encoding it again gives the same bytes.
"""

from __future__ import annotations

from typing import Final, Protocol, TypeVar

import msgspec

from microrollup.errors import DecodeError

__all__ = ["decode_canonical", "encode_canonical"]

_T_co = TypeVar("_T_co", covariant=True)
T = TypeVar("T")

_ENCODER: Final = msgspec.msgpack.Encoder()

encode_canonical = _ENCODER.encode
"""Encode a value of Structs, tuples, ints, bytes, bools and strings; shortest forms, arrays only."""


class _Decoder(Protocol[_T_co]):
    def decode(self, buf: bytes, /) -> _T_co: ...


def decode_canonical(decoder: _Decoder[T], raw: bytes, *, what: str, limit: int) -> T:
    """Decode `raw` (at most `limit` bytes) with a typed decoder.

    `what` names the thing in the error. Raises `DecodeError` for anything but the canonical encoding of a value.
    """
    if len(raw) > limit:
        raise DecodeError(what, f"{len(raw)} bytes, the limit is {limit}")
    try:
        value = decoder.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, OverflowError) as error:
        raise DecodeError(what, str(error)) from None
    if _ENCODER.encode(value) != raw:
        raise DecodeError(what, "not the canonical encoding of its value")
    return value
