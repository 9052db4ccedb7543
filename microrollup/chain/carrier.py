"""Carriers: entries of the inbox's queue that bring many signed actions at once, each for its own signer.

    payload    0x03 || canonical msgpack array of records, at most 5,000 bytes
    receipt    status 0 with one event ["carried", bitmap]; status 3 if the payload is not canonical

The records that a carrier's execution takes follow it in the log as records of their own, with the next sequence
numbers, receipts, and places in `actionsRoot`. A block travels without them: its reader executes the carrier, and so
finds which they are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from microrollup.chain.forced_record import decode_forced, is_forced_record
from microrollup.chain.receipt import EXECUTED, Receipt
from microrollup.codec.canonical import decode_canonical, encode_canonical
from microrollup.errors import DecodeError, TooLarge

__all__ = [
    "CARRIER_EVENT",
    "CARRIER_FORMAT",
    "MAX_CARRIER_BYTES",
    "count_carried",
    "decode_bitmap",
    "decode_carrier",
    "drop_carried",
    "encode_bitmap",
    "encode_carrier",
    "is_carrier_record",
]

CARRIER_FORMAT: Final = b"\x03"
"""First byte of a payload that brings many signed actions."""

MAX_CARRIER_BYTES: Final = 5_000
"""Of a carrier's payload, its first byte included."""

CARRIER_EVENT: Final = "carried"
"""Name of the event in a carrier's receipt; no class of an app begins with a small letter. Its body is the bitmap."""

_WHAT: Final = "carrier"
_DECODER: Final = msgspec.msgpack.Decoder(tuple[msgspec.Raw, ...])
_RECEIPT_DECODER: Final = msgspec.msgpack.Decoder(Receipt)


def encode_carrier(records: Sequence[bytes]) -> bytes:
    """The payload that carries signed actions' stored records, in this order. Raises `TooLarge`."""
    payload = CARRIER_FORMAT + encode_canonical([msgspec.Raw(record) for record in records])
    if len(payload) > MAX_CARRIER_BYTES:
        raise TooLarge(f"a carrier of {len(payload)} bytes, the limit is {MAX_CARRIER_BYTES}: carry fewer at a time")
    return payload


def decode_carrier(payload: bytes) -> tuple[bytes, ...]:
    """The records of a payload that begins with `CARRIER_FORMAT`, each of them still any msgpack value.

    Raises `DecodeError` unless it is a canonical array of at most `MAX_CARRIER_BYTES`.
    """
    if payload[:1] != CARRIER_FORMAT:
        raise DecodeError(_WHAT, "not of its format")
    items = decode_canonical(_DECODER, payload[1:], what=_WHAT, limit=MAX_CARRIER_BYTES - 1)
    return tuple([bytes(item) for item in items])


def encode_bitmap(taken: Sequence[bool]) -> bytes:
    """Which of n records were taken: record i is bit `1 << (i % 8)` of byte `i // 8`; ⌈n/8⌉ bytes."""
    bitmap = bytearray(-(-len(taken) // 8))
    for index, is_taken in enumerate(taken):
        bitmap[index // 8] |= is_taken << (index % 8)
    return bytes(bitmap)


def decode_bitmap(receipt: Receipt, count: int) -> tuple[bool, ...]:
    """Which of a carrier's `count` records were taken, by its receipt; none where it is not status 0."""
    if receipt.status != EXECUTED:
        return (False,) * count
    bitmap = _read_bitmap(receipt)
    return tuple([bool(bitmap[index // 8] >> (index % 8) & 1) for index in range(count)])


def is_carrier_record(record: bytes) -> bool:
    """Whether an entry of the log is a carrier, of whatever status. Raises `DecodeError` for a malformed one."""
    return is_forced_record(record) and decode_forced(record).payload[:1] == CARRIER_FORMAT


def count_carried(receipt: Receipt) -> int:
    """How many records were taken of the carrier with this receipt, and so follow it in the log."""
    return int.from_bytes(_read_bitmap(receipt)).bit_count() if receipt.status == EXECUTED else 0


def drop_carried(records: Sequence[bytes], read_receipt: Callable[[int], bytes]) -> tuple[bytes, ...]:
    """The records of a block as it travels, without those that came in carriers.

    `read_receipt` gives the canonical receipt of a record by its place in the block. Raises `DecodeError` for a receipt
    or a forced record that does not decode.
    """
    kept: list[bytes] = []
    place = 0
    while place < len(records):
        record = records[place]
        kept.append(record)
        if is_carrier_record(record):
            try:
                place += count_carried(_RECEIPT_DECODER.decode(read_receipt(place)))
            except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                raise DecodeError("receipt", str(error)) from None
        place += 1
    return tuple(kept)


def _read_bitmap(receipt: Receipt) -> bytes:
    """Raises `DecodeError` for the receipt of anything else."""
    if len(receipt.events) != 1 or receipt.events[0][0] != CARRIER_EVENT:
        raise DecodeError("receipt", f"not of a carrier: it has no event {CARRIER_EVENT}")
    return receipt.events[0][1]
