"""The records of the inbox's queue, as blocks take them, told apart and read."""

from __future__ import annotations

from typing import Final

import msgspec

from microrollup.chain.record import Forced
from microrollup.codec.canonical import decode_canonical
from microrollup.primitives import MAX_FORCED_PAYLOAD_BYTES

__all__ = ["decode_forced", "is_forced_record"]

_PREFIX: Final = b"\x96\xa6forced"
_MAX_BYTES: Final = MAX_FORCED_PAYLOAD_BYTES + 256
_DECODER: Final = msgspec.msgpack.Decoder(Forced)


def is_forced_record(record: bytes) -> bool:
    """Whether a record is one of the inbox's queue (by its tag; it may still be malformed)."""
    return record.startswith(_PREFIX)


def decode_forced(record: bytes) -> Forced:
    """The forced entry of its canonical record. Raises `DecodeError`."""
    return decode_canonical(_DECODER, record, what="forced record", limit=_MAX_BYTES)
