"""The form of carriers: payload, bitmap, and a block's records without what they brought."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microrollup.chain.carrier import (
    CARRIER_EVENT,
    MAX_CARRIER_BYTES,
    count_carried,
    decode_bitmap,
    decode_carrier,
    drop_carried,
    encode_bitmap,
    encode_carrier,
    is_carrier_record,
)
from microrollup.chain.receipt import EXECUTED, INVALID_FORCED, Receipt
from microrollup.chain.record import Forced, encode_record
from microrollup.errors import DecodeError, TooLarge

RECORDS = [encode_record(("Act", [number], 0, bytes(65))) for number in range(5)]


def make_receipt(marks: list[bool], status: int = EXECUTED) -> Receipt:
    events = ((CARRIER_EVENT, encode_bitmap(marks)),) if status == EXECUTED else ()
    return Receipt(7, bytes(32), status, "", events)


def make_record(payload: bytes) -> bytes:
    return encode_record(Forced(0, bytes(20), 1, payload, voided=False))


def test_payload() -> None:
    """Records come back as they went in; none is a carrier too."""
    assert tuple(RECORDS) == decode_carrier(encode_carrier(RECORDS))
    assert b"\x03\x90" == encode_carrier([])
    assert () == decode_carrier(b"\x03\x90")
    assert is_carrier_record(make_record(encode_carrier(RECORDS)))
    assert not is_carrier_record(make_record(b"\x01" + RECORDS[0]))
    assert not is_carrier_record(RECORDS[0])


def test_its_limit() -> None:
    """5,000 bytes with the first one, not 5,001."""
    room = MAX_CARRIER_BYTES - len(encode_carrier([])) - 3
    payload = encode_carrier([encode_record(bytes(room))])
    assert MAX_CARRIER_BYTES == len(payload)
    assert 1 == len(decode_carrier(payload))
    with pytest.raises(TooLarge):
        encode_carrier([encode_record(bytes(room + 1))])
    with pytest.raises(DecodeError):
        decode_carrier(b"\x03\x91" + encode_record(bytes(room + 1)))


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\x03",
        b"\x04\x90",
        b"\x03\x80",
        b"\x03\xc0",
        b"\x03\x91",
        b"\x03\x90\x00",
        b"\x03\xdc\x00\x00",
        b"\x03\xa0",
    ],
)
def test_what_is_none(payload: bytes) -> None:
    """Other tags, other kinds, cut off, followed by bytes, and the long form of a short array."""
    with pytest.raises(DecodeError):
        decode_carrier(payload)


@given(st.lists(st.booleans(), max_size=40))
def test_bitmap(marks: list[bool]) -> None:
    """Record i is bit i % 8 of byte i // 8; as many bytes as it takes."""
    bitmap = encode_bitmap(marks)
    assert -(-len(marks) // 8) == len(bitmap)
    assert marks == [bool(bitmap[i // 8] & 1 << (i % 8)) for i in range(len(marks))]
    receipt = make_receipt(marks)
    assert tuple(marks) == decode_bitmap(receipt, len(marks))
    assert sum(marks) == count_carried(receipt)
    invalid = make_receipt(marks, INVALID_FORCED)
    assert ((False,) * len(marks), 0) == (decode_bitmap(invalid, len(marks)), count_carried(invalid))


def test_a_block_as_it_travels() -> None:
    """What a carrier brought is left out by its receipt, also where the next action is one that it skipped."""
    carrier, plain = make_record(encode_carrier(RECORDS)), make_record(b"\x00")
    records = [plain, carrier, RECORDS[0], RECORDS[2], carrier, plain, RECORDS[1]]
    receipts = {1: make_receipt([True, False, True, False, False]), 4: make_receipt([False] * 5)}
    encoded = {place: encode_record(receipt) for place, receipt in receipts.items()}
    assert (plain, carrier, carrier, plain, RECORDS[1]) == drop_carried(records, encoded.__getitem__)
    with pytest.raises(DecodeError):
        drop_carried(records, lambda place: b"")
    with pytest.raises(DecodeError):
        drop_carried(records, lambda place: encode_record(Receipt(7, bytes(32), EXECUTED, "", ())))
