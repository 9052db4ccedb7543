"""Payloads of the inbox's queue: what an entry's bytes ask for.

0x00 || abi.encode(type hash, members without nonce)    an action of L1's caller
0x01 || canonical record of a signed action             an action of its signer; anybody may carry it
0x02 || length of the name (1 byte) || name || raw      what an envelope of the app's own holds; anybody may carry it
"""

from __future__ import annotations

from typing import Final

from microrollup.chain.envelope_record import MAX_ENVELOPE_NAME
from microrollup.chain.receipt import EXECUTED, INVALID_FORCED
from microrollup.chain.record import Forced
from microrollup.declaration.action import Action
from microrollup.declaration.rollup import MicroRollup
from microrollup.errors import DecodeError, TooLarge
from microrollup.execution.authentication import Authenticated, Authenticator
from microrollup.primitives import MAX_FORCED_PAYLOAD_BYTES, ZERO_ADDRESS

__all__ = [
    "CARRIED_FORMAT",
    "ENVELOPE_FORMAT",
    "FORCED_FORMAT",
    "decode_carried_action",
    "decode_envelope_payload",
    "decode_forced_action",
    "encode_carried_payload",
    "encode_envelope_payload",
    "encode_forced_payload",
    "find_carried_envelope",
    "find_carried_record",
    "find_forced_sender",
    "find_opened_envelope",
]

FORCED_FORMAT: Final = b"\x00"
"""First byte of an L1 account's own action."""

CARRIED_FORMAT: Final = b"\x01"
"""First byte of an action that its sender signed and somebody else may carry."""

ENVELOPE_FORMAT: Final = b"\x02"
"""First byte of an envelope of the app's own, which anybody may carry."""

_MIN_BYTES: Final = 33


def encode_forced_payload(rollup: MicroRollup, action: object) -> bytes:
    """What a user hands to the inbox to force an action: `0x00 || abi.encode(type hash, members)`.

    Raises `DecodeError` unless it is an action of this rollup, and `ValueOutOfBounds` for its members.
    """
    for action_type in rollup.action_types:
        if type(action) is action_type.cls:
            action_type.check(action)
            return FORCED_FORMAT + action_type.encode_arguments(action)
    raise DecodeError("forced payload", f"{type(action).__name__} is not an action of {rollup.name}")


def encode_carried_payload(record: bytes) -> bytes:
    """What anybody hands to the inbox for the signer of an action: `0x01 || record`. Raises `TooLarge`."""
    if len(record) >= MAX_FORCED_PAYLOAD_BYTES:
        raise TooLarge(
            f"the signed action has {len(record)} bytes as a record; a payload has room for"
            f" {MAX_FORCED_PAYLOAD_BYTES - 1}"
        )
    return CARRIED_FORMAT + record


def encode_envelope_payload(name: str, raw: bytes) -> bytes:
    """What anybody hands to the inbox to force an envelope: `0x02 || length of the name || name || raw`.

    Raises `DecodeError` for a name that no envelope has, and `TooLarge`.
    """
    if not 1 <= len(name) <= MAX_ENVELOPE_NAME or not name.isascii():
        raise DecodeError("forced payload", f"{name!r:.40} names no envelope")
    payload = ENVELOPE_FORMAT + bytes([len(name)]) + name.encode() + raw
    if len(payload) > MAX_FORCED_PAYLOAD_BYTES:
        room = MAX_FORCED_PAYLOAD_BYTES - 2 - len(name)
        raise TooLarge(f"the envelope has {len(raw)} bytes; a payload has room for {room}")
    return payload


def decode_forced_action(rollup: MicroRollup, payload: bytes) -> Action:
    """The action of a payload that begins with `0x00`. Raises `DecodeError`."""
    if len(payload) < _MIN_BYTES or len(payload) > MAX_FORCED_PAYLOAD_BYTES:
        raise DecodeError("forced payload", "not of a known format")
    action_type = rollup.action_types.by_type_hash.get(payload[1:_MIN_BYTES])
    if action_type is None:
        raise DecodeError("forced payload", "its type hash is of no action here")
    return action_type.decode_arguments(payload[1:])


def decode_carried_action(authenticator: Authenticator, payload: bytes) -> Authenticated:
    """The signed action of a payload that begins with `0x01`, its signature checked.

    Raises `DecodeError` unless it is the canonical record of an action, and a class of `RefusedError` for what nobody
    signed.
    """
    if len(payload) > MAX_FORCED_PAYLOAD_BYTES:
        raise DecodeError("forced payload", "too long")
    return authenticator.authenticate_signed(payload[1:])


def decode_envelope_payload(payload: bytes) -> tuple[str, bytes]:
    """Name and bytes of a payload that begins with `0x02`. Raises `DecodeError`; whether it opens is not looked at."""
    count = payload[1] if len(payload) > 1 else 0
    name, raw = payload[2 : 2 + count], payload[2 + count :]
    if len(payload) > MAX_FORCED_PAYLOAD_BYTES or not 1 <= count <= MAX_ENVELOPE_NAME or len(name) < count:
        raise DecodeError("forced payload", "not of a known format")
    if not name.isascii():
        raise DecodeError("forced payload", "no name of an envelope")
    return name.decode("ascii"), raw


def find_carried_record(forced: Forced, status: int) -> bytes | None:
    """The signed record that an entry of the queue carried and that took its sender's nonce, by its receipt's status.

    None for an entry of another format, a voided one, and one that was invalid.
    """
    if forced.voided or status == INVALID_FORCED or forced.payload[:1] != CARRIED_FORMAT:
        return None
    return forced.payload[1:]


def find_opened_envelope(forced: Forced, status: int) -> tuple[str, bytes] | None:
    """Name and bytes of the envelope that an entry of the queue carried and that opened, by its receipt's status.

    None for an entry of another format, a voided one, and one that was invalid.
    """
    if forced.voided or status == INVALID_FORCED or forced.payload[:1] != ENVELOPE_FORMAT:
        return None
    return decode_envelope_payload(forced.payload)


def find_carried_envelope(forced: Forced, status: int) -> tuple[str, bytes] | None:
    """The same if it executed, so that it is in the log by its own identity too; what did not may still come."""
    return find_opened_envelope(forced, status) if status == EXECUTED else None


def find_forced_sender(forced: Forced, status: int) -> bytes:
    """Who an entry of the queue is of that carried no signed action, 20 bytes: L1's caller, and nobody (zero) for an
    envelope that opened, by its receipt's status.
    """
    return forced.sender if find_opened_envelope(forced, status) is None else ZERO_ADDRESS
