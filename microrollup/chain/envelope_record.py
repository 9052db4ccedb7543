"""The record of an action that came in an envelope of the app's own, and its identity."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from microrollup.chain.receipt import EXECUTED
from microrollup.codec.canonical import decode_canonical, encode_canonical
from microrollup.crypto.keccak import keccak256
from microrollup.primitives import MAX_ACTION_BYTES, MAX_ENVELOPE_BYTES

__all__ = [
    "MAX_ENVELOPE_NAME",
    "EnvelopeRecord",
    "compute_envelope_id",
    "decode_envelope_record",
    "encode_envelope_record",
    "is_envelope_record",
    "may_still_come",
]

MAX_ENVELOPE_NAME: Final = 32
"""Characters of an envelope's name."""

_PREFIX: Final = b"\x93\xa8envelope"


class EnvelopeRecord(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag="envelope"):
    """`["envelope", name, raw]`: what an envelope of that name holds, in its own format."""

    name: Annotated[str, msgspec.Meta(max_length=MAX_ENVELOPE_NAME)]
    raw: Annotated[bytes, msgspec.Meta(max_length=MAX_ENVELOPE_BYTES)]


_DECODER: Final = msgspec.msgpack.Decoder(EnvelopeRecord)


def encode_envelope_record(name: str, raw: bytes) -> bytes:
    """The stored record of an envelope of that name."""
    return encode_canonical(EnvelopeRecord(name, raw))


def is_envelope_record(record: bytes) -> bool:
    """Whether a record is an envelope's (by its tag; it may still be malformed)."""
    return record.startswith(_PREFIX)


def may_still_come(record: bytes, status: int) -> bool:
    """Whether an entry is an envelope that did not execute, by its receipt's status: its identity is not taken."""
    return status != EXECUTED and is_envelope_record(record)


def decode_envelope_record(record: bytes) -> EnvelopeRecord:
    """The envelope of its canonical record. Raises `DecodeError`; whether it opens is not looked at."""
    return decode_canonical(_DECODER, record, what="envelope record", limit=MAX_ACTION_BYTES)


def compute_envelope_id(rollup_id: bytes, name: str, envelope_hash: bytes) -> bytes:
    """The identity (action hash) of what came in an envelope:
    `keccak256("envelope" || rollupId || keccak256(name) || hash)`, the 32-byte hash being what the envelope gives
    itself.
    """
    return keccak256(b"envelope" + rollup_id + keccak256(name.encode()) + envelope_hash)
