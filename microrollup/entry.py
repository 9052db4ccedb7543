"""Entries: records of the log made ready for execution. Signed actions and forced ones meet here."""

from __future__ import annotations

from typing import Final

import msgspec

from microrollup.action import Action
from microrollup.authentication import Authenticated
from microrollup.codec.canonical import decode_canonical
from microrollup.errors import DecodeError
from microrollup.primitives import MAX_FORCED_PAYLOAD_BYTES
from microrollup.receipt import EXECUTED, INVALID_FORCED, VOIDED_FORCED
from microrollup.record import Close, Forced, Genesis, Open, Rebuild, encode_record
from microrollup.rollup import MicroRollup
from microrollup.settlement.forced import compute_forced_id
from microrollup.stf import Entry

__all__ = [
    "FORCED_FORMAT",
    "decode_forced",
    "decode_kernel_record",
    "encode_forced_payload",
    "is_forced_record",
    "make_forced_entry",
    "make_signed_entry",
]

FORCED_FORMAT: Final = b"\x00"
"""First byte of a payload that this version decodes: `abi.encode(type hash, members without nonce)` follows."""

_FORCED_PREFIX: Final = b"\x96\xa6forced"
_KERNEL_TAGS: Final = frozenset({b"\xa7g", b"\xa4o", b"\xa5c", b"\xa7r"})
"""Length and first letter of the kernel's tags; the names of actions begin with a capital."""
_MAX_FORCED_RECORD_BYTES: Final = MAX_FORCED_PAYLOAD_BYTES + 256
_FORCED_DECODER: Final = msgspec.msgpack.Decoder(Forced)
_KERNEL_DECODER: Final[msgspec.msgpack.Decoder[Genesis | Open | Close | Rebuild]] = msgspec.msgpack.Decoder(
    Genesis | Open | Close | Rebuild
)


def is_forced_record(record: bytes) -> bool:
    """Whether a record is a forced action's (by its tag; it may still be malformed)."""
    return record.startswith(_FORCED_PREFIX)


def decode_forced(record: bytes) -> Forced:
    """The forced entry of its canonical record. Raises `DecodeError`."""
    return decode_canonical(_FORCED_DECODER, record, what="forced record", limit=_MAX_FORCED_RECORD_BYTES)


def decode_kernel_record(record: bytes) -> Genesis | Open | Close | Rebuild | None:
    """The kernel's own record, or None if it is an entry (a signed or forced action). Raises `DecodeError`."""
    if record[1:3] in _KERNEL_TAGS:
        return decode_canonical(_KERNEL_DECODER, record, what="record", limit=64 * 1024)
    return None


def encode_forced_payload(rollup: MicroRollup, action: object) -> bytes:
    """What a user hands to the inbox to force an action: `0x00 || abi.encode(type hash, members)`.

    Raises `DecodeError` if it is no action of this rollup, and `ValueOutOfBounds` for its members.
    """
    for action_type in rollup.action_types:
        if type(action) is action_type.cls:
            action_type.check(action)
            return FORCED_FORMAT + action_type.encode_arguments(action)
    raise DecodeError("forced payload", f"{type(action).__name__} is no action of {rollup.name}")


def make_signed_entry(rollup: MicroRollup, authenticated: Authenticated) -> Entry:
    """The entry of a signed action whose sender is known; authentication has made sure that its record is canonical."""
    record, types = authenticated.record, rollup.action_types
    action = types.to_action(types.decode_trusted(record))
    return Entry(record, authenticated.sender, authenticated.nonce, authenticated.action_hash, action)


def make_forced_entry(rollup: MicroRollup, rollup_id: bytes, forced: Forced) -> Entry:
    """The entry of a forced action: voided, undecodable (status 3), or ready to execute with no kernel nonce."""
    action, status = None, EXECUTED
    if forced.voided:
        status = VOIDED_FORCED
    else:
        try:
            action = _decode_payload(rollup, forced.payload)
        except DecodeError:
            status = INVALID_FORCED
    return Entry(
        record=encode_record(forced),
        sender=forced.sender,
        nonce=-1,
        action_hash=compute_forced_id(rollup_id, forced.index),
        action=action,
        status=status,
    )


def _decode_payload(rollup: MicroRollup, payload: bytes) -> Action:
    if payload[:1] != FORCED_FORMAT or len(payload) < 33 or len(payload) > MAX_FORCED_PAYLOAD_BYTES:
        raise DecodeError("forced payload", "not of a known format")
    action_type = rollup.action_types.by_type_hash.get(payload[1:33])
    if action_type is None:
        raise DecodeError("forced payload", "its type hash is of no action here")
    return action_type.decode_arguments(payload[1:])
