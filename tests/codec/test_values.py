"""Values are checked exactly, and have one canonical msgpack form each."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microrollup.codec.schema import describe_type
from microrollup.codec.values import compile_check, compile_codec
from microrollup.errors import DecodeError, ValueOutOfBounds
from microrollup.primitives import Address, Bytes32, Int8, Int128, Uint8, Uint64, Uint128, Uint256
from microrollup.testing.strategies import values
from shapes import field_annotations


class Small(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What msgspec encodes as it is."""

    owner: Address
    count: Uint64


class Wide(msgspec.Struct, frozen=True):
    """What needs a twin on the wire."""

    count: Uint8
    amount: Int128


class Text(str):
    """A subclass of str."""

    __slots__ = ()


def describe(annotation: object) -> Any:
    """The description of an annotation in a state."""
    return describe_type(annotation, where="state", path="x")


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_every_value_survives_and_is_checked(data: st.DataObject) -> None:
    """decode(encode(v)) == v for any value of any type, and the check takes the value."""
    t = describe(data.draw(field_annotations("state")))
    value = data.draw(values(t))
    compile_check(t)(value)
    codec = compile_codec(t)
    assert value == codec.decode(codec.encode(value))


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_hostile_bytes_give_decode_errors_only(data: st.DataObject) -> None:
    """Damaged encodings either are the canonical encoding of a value in its bounds or raise `DecodeError`."""
    t = describe(data.draw(field_annotations("state")))
    codec = compile_codec(t)
    raw = bytearray(codec.encode(data.draw(values(t))))
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(raw)))
        raw[place : place + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=2))
    try:
        value = codec.decode(bytes(raw))
    except DecodeError:
        return
    compile_check(t)(value)
    assert bytes(raw) == codec.encode(value)


def test_formats_are_pinned() -> None:
    """Arrays for structs; an integer type of more than 64 bits is 32 bytes, two's complement, whatever the value."""
    assert bytes.fromhex("92c414" + "11" * 20 + "07") == compile_codec(describe(Small)).encode(Small(b"\x11" * 20, 7))
    assert bytes.fromhex("9207c420" + "ff" * 31 + "fe") == compile_codec(describe(Wide)).encode(Wide(7, -2))
    assert bytes.fromhex("cfffffffffffffffff") == compile_codec(describe(Uint64)).encode(2**64 - 1)
    assert bytes.fromhex("92c3a161") == compile_codec(describe(tuple[bool, str])).encode((True, "a"))


@pytest.mark.parametrize(
    ("annotation", "raw"),
    [
        (Uint8, "cc07"),  # 7 with a header of its own
        (Uint8, "cd0100"),  # 256
        (Uint64, "ff"),  # -1
        (bytes, "c5000161"),  # bin16 for one byte
        (bytes, "a161"),  # text
        (str, "a1ff"),  # not UTF-8
        (str, "a3eda080"),  # a lone surrogate
        (bool, "01"),
        (Bytes32, "c40161"),
        (Small, "91c414" + "11" * 20),  # a field short
        (Small, "93c414" + "11" * 20 + "0700"),  # a field more
        (Wide, "9207c420" + "7f" + "ff" * 31),  # beyond int128
        (Uint128, "c420" + "01" + "00" * 31),  # beyond uint128
        (Uint128, "07"),  # a short integer where 32 bytes belong
        (tuple[Uint8, ...], "dc000107"),  # array16 for one item
        (tuple[Uint8, ...], "9107ff"),  # bytes behind
        (Uint8, ""),
    ],
)
def test_other_encodings_are_refused(annotation: object, raw: str) -> None:
    """What is not the one canonical encoding of a value in its bounds raises `DecodeError`."""
    with pytest.raises(DecodeError):
        compile_codec(describe(annotation)).decode(bytes.fromhex(raw))


@pytest.mark.parametrize(
    ("annotation", "value", "where"),
    [
        (Uint8, 256, "value"),
        (Uint8, -1, "value"),
        (Uint8, True, "value"),
        (Uint8, 1.0, "value"),
        (Int8, 128, "value"),
        (Int8, -129, "value"),
        (Uint256, 2**256, "value"),
        (bool, 1, "value"),
        (bytes, bytearray(b"x"), "value"),
        (bytes, "x", "value"),
        (Bytes32, bytes(31), "value"),
        (Address, bytes(32), "value"),
        (str, Text("x"), "value"),
        (str, "\ud800", "value"),
        (Small, Small(bytes(20), -1), "Small.count"),
        (Small, Wide(1, 1), "Small"),
        (tuple[Uint8, ...], [1], "value"),
        (tuple[Uint8, ...], (1, 256), "value[]"),
        (tuple[Uint8, bool], (1,), "value"),
        (tuple[Uint8, bool], (1, 1), "value[1]"),
    ],
)
def test_values_out_of_their_type_are_refused(annotation: object, value: object, where: str) -> None:
    """No subclasses, no conversions, no values beyond the bounds; the error names the place."""
    with pytest.raises(ValueOutOfBounds) as caught:
        compile_check(describe(annotation))(value)
    assert where == caught.value.where
