"""Canonical msgpack: one encoding of a value, and a decoder that raises nothing but `DecodeError`."""

from __future__ import annotations

from random import Random
from typing import Annotated, Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microrollup.codec.canonical import decode_canonical, encode_canonical
from microrollup.errors import DecodeError


class Thing(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    number: Annotated[int, msgspec.Meta(ge=0)]
    raw: bytes
    text: str
    flag: bool
    nested: tuple[tuple[str, bytes], ...]


DECODER = msgspec.msgpack.Decoder(Thing)
LIMIT = 10_000
THINGS = st.builds(
    Thing,
    number=st.integers(0, 2**64 - 1),
    raw=st.binary(max_size=40),
    text=st.text(st.characters(exclude_categories=["Cs"]), max_size=40),
    flag=st.booleans(),
    nested=st.lists(
        st.tuples(st.text(st.characters(exclude_categories=["Cs"]), max_size=5), st.binary(max_size=5))
    ).map(tuple),
)
GOOD = encode_canonical(Thing(5, b"raw", "text", True, (("a", b"b"),)))


def decode(raw: bytes) -> Thing:
    return decode_canonical(DECODER, raw, what="thing", limit=LIMIT)


@given(THINGS)
@settings(max_examples=150)
def test_round_trip(thing: Thing) -> None:
    """Decoding gives the value back, and encoding it the same bytes."""
    raw = encode_canonical(thing)
    assert thing == decode(raw)
    assert raw == encode_canonical(decode(raw))


@pytest.mark.parametrize(
    "raw",
    [
        GOOD.replace(b"\x05", b"\xcc\x05", 1),
        GOOD.replace(b"\x05", b"\xcd\x00\x05", 1),
        GOOD.replace(b"\x05", b"\xcf" + bytes(7) + b"\x05", 1),
        GOOD.replace(b"\x05", b"\xd0\x05", 1),
        GOOD.replace(b"\xc4\x03raw", b"\xc5\x00\x03raw"),
        GOOD.replace(b"\xa4text", b"\xd9\x04text"),
        GOOD.replace(b"\xc4\x03raw", b"\xa3raw"),
        b"\xdc\x00\x05" + GOOD[1:],
        b"\x96" + GOOD[1:] + b"\x00",
        b"\x94" + GOOD[1:-6],
        GOOD + b"\x00",
        GOOD[:-1],
        b"",
        b"\x80",
        b"\xc1",
        b"\xff" * 50,
        GOOD.replace(b"text", b"te\xfft"),
        GOOD.replace(b"text", b"\xed\xa0\x80t"),
        GOOD.replace(b"\x05", b"\xff", 1),
        GOOD.replace(b"\x05", b"\xcb" + bytes(8), 1),
        GOOD.replace(b"\xc3", b"\x01"),
        GOOD.replace(b"\xc3", b"\xc0"),
        b"\x91" * 9_000,
        b"\xdd\xff\xff\xff\xff",
        b"\x95\x00\xc6\xff\xff\xff\xff",
        bytes(LIMIT + 1),
    ],
)
def test_refused(raw: bytes) -> None:
    """Other spellings, more or fewer items, other types, bad text, deep nesting and long input are `DecodeError`s."""
    with pytest.raises(DecodeError) as caught:
        decode(raw)
    assert "thing" == caught.value.what
    assert caught.value.reason


def test_limit() -> None:
    """As many bytes as the limit says are taken, one more is not."""
    thing = Thing(0, bytes(LIMIT - 10), "", False, ())
    size = len(encode_canonical(thing))
    fitting = Thing(0, bytes(LIMIT - 10 + LIMIT - size), "", False, ())
    assert LIMIT == len(encode_canonical(fitting))
    assert fitting == decode(encode_canonical(fitting))
    with pytest.raises(DecodeError, match="limit"):
        decode(encode_canonical(Thing(0, fitting.raw + b"\x00", "", False, ())))


def test_hostile_bytes() -> None:
    """Random bytes, and mutated good ones, decode canonically or raise `DecodeError`."""
    rng = Random(1)
    for _ in range(5_000):
        raw: Any = bytearray(GOOD) if rng.random() < 0.7 else bytearray(rng.randbytes(rng.randrange(30)))
        for _ in range(rng.randrange(1, 4)):
            if raw:
                raw[rng.randrange(len(raw))] = rng.randrange(256)
        try:
            assert bytes(raw) == encode_canonical(decode(bytes(raw)))
        except DecodeError:
            continue
