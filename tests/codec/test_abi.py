"""The ABI encoder writes what eth_abi writes; the decoder reads that and nothing else."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from eth_abi.abi import encode as abi_encode
from hypothesis import given, settings
from hypothesis import strategies as st

from microrollup.codec.abi import (
    compile_abi_decoder,
    compile_abi_encoder,
    compile_arguments_decoder,
    compile_arguments_encoder,
)
from microrollup.codec.schema import abi_type, describe_type
from microrollup.errors import DecodeError
from microrollup.primitives import Address, Bytes32, Int8, Uint8, Uint256
from microrollup.testing.strategies import values
from shapes import field_annotations


def describe(annotation: object) -> Any:
    """The description of an annotation in a state."""
    return describe_type(annotation, where="state", path="x")


def flatten(value: Any) -> Any:
    """A value as eth_abi takes it: structs as tuples."""
    if isinstance(value, msgspec.Struct):
        return tuple(flatten(item) for item in msgspec.structs.astuple(value))
    if isinstance(value, tuple | list):
        return tuple(flatten(item) for item in value)
    return value


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_one_value_is_encoded_as_by_eth_abi(data: st.DataObject) -> None:
    """abi.encode(value) equals eth_abi's, and decodes to the value."""
    t = describe(data.draw(field_annotations("state")))
    value = data.draw(values(t))
    raw = compile_abi_encoder(t)(value)
    assert abi_encode([abi_type(t)], [flatten(value)]) == raw
    assert value == compile_abi_decoder(t)(raw)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_an_argument_list_is_encoded_as_by_eth_abi(data: st.DataObject) -> None:
    """abi.encode(a, b, ...) equals eth_abi's, and decodes to the values."""
    types = [describe(annotation) for annotation in data.draw(st.lists(field_annotations("state", 1), max_size=4))]
    arguments = [data.draw(values(t)) for t in types]
    raw = compile_arguments_encoder(types)(arguments)
    assert abi_encode([abi_type(t) for t in types], flatten(arguments)) == raw
    assert arguments == compile_arguments_decoder(types)(raw)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_hostile_bytes_give_decode_errors_only(data: st.DataObject) -> None:
    """Damaged encodings either are the encoding of the value they give or raise `DecodeError`."""
    t = describe(data.draw(field_annotations("state")))
    raw = bytearray(compile_abi_encoder(t)(data.draw(values(t))))
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(raw)))
        raw[place : place + data.draw(st.integers(0, 33))] = data.draw(st.binary(max_size=33))
    try:
        value = compile_abi_decoder(t)(bytes(raw))
    except DecodeError:
        return
    assert bytes(raw) == compile_abi_encoder(t)(value)


def word(value: int) -> bytes:
    """An ABI word."""
    return value.to_bytes(32, "big", signed=value < 0)


@pytest.mark.parametrize(
    ("annotation", "raw"),
    [
        (Uint8, word(256)),
        (Uint8, word(7)[:31]),
        (Uint8, word(7) + b"\0"),
        (Int8, word(-129)),
        (bool, word(2)),
        (Address, b"\x01" + bytes(31)),
        (bytes, word(64) + bytes(32) + word(0)),  # a gap before the data
        (bytes, word(32) + word(1) + b"x" + bytes(30) + b"\x01"),  # dirty padding
        (bytes, word(32) + word(2**256 - 1)),
        (bytes, word(32) + word(33) + bytes(32)),
        (str, word(32) + word(1) + b"\xff" + bytes(31)),
        (tuple[Uint8, ...], word(32) + word(2) + word(1)),
        (tuple[Uint8, ...], word(32) + word(2**255)),
        (tuple[bytes, bytes], word(32) + word(64) + word(64) + word(0)),  # two fields share their data
        (Bytes32, b""),
    ],
)
def test_other_layouts_are_refused(annotation: object, raw: bytes) -> None:
    """Wrong padding, gaps, sharing, missing and surplus bytes raise `DecodeError`."""
    with pytest.raises(DecodeError):
        compile_abi_decoder(describe(annotation))(raw)


def test_arrays_that_share_their_tails_are_refused_at_once() -> None:
    """4 KiB of arrays of arrays whose offsets all point to one tail would be millions of items; here they are none."""
    t = describe(tuple[tuple[tuple[tuple[Uint256, ...], ...], ...], ...])
    level = word(30) + word(30 * 32) * 30
    with pytest.raises(DecodeError, match="not where the data must be"):
        compile_abi_decoder(t)(word(32) + level * 3 + word(30) + word(1) * 30)
