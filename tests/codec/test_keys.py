"""Keys of a `Map` have one encoding each, which sorts as they do; composite keys are their components in a row."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from microrollup.codec.keys import compile_key_codec
from microrollup.codec.schema import describe_type
from microrollup.errors import DeclarationError, DecodeError, ValueOutOfBounds
from microrollup.primitives import Address, Bytes32, Int8, Uint8, Uint64, Uint256

Eight = tuple[Uint8, Uint8, Uint8, Uint8, Uint8, Uint8, Uint8, Uint8]
Nine = tuple[Uint8, Uint8, Uint8, Uint8, Uint8, Uint8, Uint8, Uint8, Uint8]


class Small(msgspec.Struct, frozen=True):
    """A struct, which cannot be a key."""

    owner: Address


def describe(annotation: object) -> Any:
    return describe_type(annotation, where="state", path="key")


@pytest.mark.parametrize(
    ("annotation", "key", "raw"),
    [
        (Address, b"\x11" * 20, b"\x11" * 20),
        (Bytes32, b"\x11" * 32, b"\x11" * 32),
        (bytes, b"", b""),
        (bytes, b"\xff" * 256, b"\xff" * 256),
        (str, "ä", b"\xc3\xa4"),
        (Uint8, 7, bytes(31) + b"\x07"),
        (Uint256, 2**256 - 1, b"\xff" * 32),
        (tuple[Address, Address], (b"\x11" * 20, b"\x22" * 20), b"\x11" * 20 + b"\x22" * 20),
        (tuple[Uint8, str], (7, "ä"), bytes(31) + b"\x07\xc3\xa4"),
        (tuple[Bytes32, bytes], (b"\x11" * 32, b""), b"\x11" * 32),
        (Eight, (1,) * 8, (bytes(31) + b"\x01") * 8),
    ],
)
def test_keys_have_one_form(annotation: object, key: object, raw: bytes) -> None:
    """Byte strings as they are, text as UTF-8, integers as 32 bytes, tuples as one after the other; and back."""
    assert raw == compile_key_codec(describe(annotation)).encode(key)
    assert key == compile_key_codec(describe(annotation)).decode(raw)


@pytest.mark.parametrize(
    ("annotation", "key"),
    [
        (Address, bytes(32)),
        (Address, "x" * 20),
        (bytes, bytes(257)),
        (str, "ä" * 129),
        (str, "\ud800"),
        (Uint8, 256),
        (Uint8, True),
        (tuple[Uint8, Uint8], (1,)),
        (tuple[Uint8, Uint8], (1, 2, 3)),
        (tuple[Uint8, Uint8], [1, 2]),
        (tuple[Uint8, Uint8], (1, True)),
        (tuple[Uint8, Uint8], 1),
        (tuple[Address, bytes], (bytes(20), bytes(237))),
    ],
)
def test_values_that_are_no_keys_are_refused(annotation: object, key: object) -> None:
    """A key must be of its type, and at most 256 bytes encoded."""
    with pytest.raises(ValueOutOfBounds):
        compile_key_codec(describe(annotation)).encode(key)


@pytest.mark.parametrize(
    ("annotation", "raw"),
    [
        (Address, bytes(19)),
        (Uint8, b"\x07"),
        (Uint8, b"\x01" + bytes(31)),
        (str, b"\xff"),
        (bytes, bytes(257)),
        (tuple[Address, Uint8], bytes(51)),
        (tuple[Address, Uint8], bytes(53)),
        (tuple[Address, str], bytes(19)),
        (tuple[Address, str], bytes(20) + b"\xff"),
    ],
)
def test_bytes_that_are_no_keys_are_refused(annotation: object, raw: bytes) -> None:
    """What the encoder would not write, the decoder does not read."""
    with pytest.raises(DecodeError):
        compile_key_codec(describe(annotation)).decode(raw)


@pytest.mark.parametrize(
    "annotation",
    [
        bool,
        Int8,
        Small,
        tuple[Uint8, ...],
        tuple[bytes, Uint8],
        tuple[str, str],
        Nine,
        tuple[tuple[Uint8, Uint8], Uint8],
        tuple[Uint8, Int8],
        tuple[Uint8, bool],
    ],
)
def test_types_that_cannot_be_keys_are_refused(annotation: object) -> None:
    """A key's bytes must sort as the keys do and be told apart from others."""
    with pytest.raises(DeclarationError, match="cannot be a key"):
        compile_key_codec(describe(annotation))


@pytest.mark.parametrize(
    ("annotation", "prefix", "raw"),
    [
        (bytes, b"ab", b"ab"),
        (str, "ä", b"\xc3\xa4"),
        (tuple[Address, Uint8], (), b""),
        (tuple[Address, Uint8], (b"\x11" * 20,), b"\x11" * 20),
        (tuple[Address, Uint8], (b"\x11" * 20, 1), b"\x11" * 20 + bytes(31) + b"\x01"),
        (tuple[Uint8, str], (1, "a"), bytes(31) + b"\x01a"),
    ],
)
def test_prefixes(annotation: object, prefix: object, raw: bytes) -> None:
    """Whole leading components, of which the last may be the beginning of text or bytes."""
    assert raw == compile_key_codec(describe(annotation)).encode_prefix(prefix)


@pytest.mark.parametrize(
    ("annotation", "prefix"),
    [
        (Uint8, 1),
        (Address, b"\x11"),
        (str, b"a"),
        (tuple[Address, Uint8], b"\x11" * 20),
        (tuple[Address, Uint8], (b"\x11" * 19,)),
        (tuple[Address, Uint8], (b"\x11" * 20, True)),
        (tuple[Address, Uint8], (b"\x11" * 20, 1, 1)),
    ],
)
def test_what_is_not_a_prefix(annotation: object, prefix: object) -> None:
    """The beginning of an integer or of bytes of fixed size is not a prefix, nor is a value of another class."""
    with pytest.raises(ValueOutOfBounds):
        compile_key_codec(describe(annotation)).encode_prefix(prefix)


@given(st.lists(st.tuples(st.integers(0, 2**64 - 1), st.binary(max_size=4)), max_size=20))
def test_encodings_sort_as_keys(keys: list[tuple[int, bytes]]) -> None:
    """Composite keys sort by their components, in order, and decode to what was encoded."""
    codec = compile_key_codec(describe(tuple[Uint64, bytes]))
    assert sorted(keys) == sorted(keys, key=codec.encode)
    assert keys == [codec.decode(codec.encode(key)) for key in keys]
