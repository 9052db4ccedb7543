"""Solidity's ABI encoding of values by their schema, and the strict way back.

The decoder takes the one layout that `abi.encode` itself produces: tails in order, without gaps or sharing. Libraries
follow any offset, so that a few hundred bytes of arrays that share their tails unfold into millions of items; here the
work is linear in the input. The tests compare both ways with eth_abi.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

import msgspec

from microrollup.codec.schema import (
    BoolType,
    BytesType,
    FixedBytesType,
    IntegerType,
    SchemaType,
    SequenceType,
    StringType,
    StructType,
    TupleType,
    compute_bounds,
)
from microrollup.codec.wire import compile_constructor
from microrollup.errors import DecodeError

__all__ = [
    "Word",
    "compile_abi_decoder",
    "compile_abi_encoder",
    "compile_arguments_decoder",
    "compile_arguments_encoder",
    "compile_word",
]

Word: TypeAlias = Callable[[Any], bytes]
"""Encodes a scalar of at most 32 bytes as one word."""

Encode: TypeAlias = Callable[[Any], bytes]
_Decode: TypeAlias = Callable[[bytes, int], tuple[Any, int]]
"""(input, position) -> (value, position after it)."""

_TRUE: Final = (1).to_bytes(32, "big")
_FALSE: Final = bytes(32)
_WHAT: Final = "abi"


class _Encoder(NamedTuple):
    """How one type is encoded: its words in the head, or a 32-byte offset there if `is_dynamic`."""

    is_dynamic: bool
    head_size: int
    encode: Encode


class _Decoder(NamedTuple):
    """How one type is decoded; the first two as in `_Encoder`."""

    is_dynamic: bool
    head_size: int
    decode: _Decode


def compile_word(t: SchemaType) -> Word | None:
    """The encoder of a scalar as its one 32-byte word; None for all other types."""
    match t:
        case IntegerType():
            return _encode_signed if t.signed else _encode_unsigned
        case FixedBytesType():
            return _encode_bytes32 if t.size == 32 else (bytes(32 - t.size)).__add__
        case BoolType():
            return _encode_bool
        case _:
            return None


def _encode_unsigned(value: int) -> bytes:
    return value.to_bytes(32, "big")


def _encode_signed(value: int) -> bytes:
    return value.to_bytes(32, "big", signed=True)


def _encode_bytes32(value: bytes) -> bytes:
    return value


def _encode_bool(value: bool) -> bytes:
    return _TRUE if value else _FALSE


# --- encoding --------------------------------------------------------------------------------------------------------


def compile_abi_encoder(t: SchemaType) -> Callable[[Any], bytes]:
    """Solidity's `abi.encode(value)` of one (checked) value; a struct is one tuple argument."""
    encoder = _compile_encoder(t)
    if not encoder.is_dynamic:
        return encoder.encode
    encode, head = encoder.encode, _encode_unsigned(32)
    return lambda value: head + encode(value)


def compile_arguments_encoder(types: Sequence[SchemaType]) -> Callable[[Sequence[Any]], bytes]:
    """Solidity's `abi.encode(a, b, ...)` of a list of (checked) values."""
    return _encode_parts([_compile_encoder(t) for t in types])


def _compile_encoder(t: SchemaType) -> _Encoder:
    word = compile_word(t)
    if word is not None:
        return _Encoder(False, 32, word)
    match t:
        case BytesType():
            return _Encoder(True, 32, _encode_byte_string)
        case StringType():
            return _Encoder(True, 32, lambda value: _encode_byte_string(value.encode()))
        case SequenceType():
            return _Encoder(True, 32, _encode_sequence(_compile_encoder(t.item)))
        case StructType():
            encode = _encode_parts(parts := [_compile_encoder(field.type) for field in t.fields])
            astuple = msgspec.structs.astuple
            return _join_encoder(parts, lambda value: encode(astuple(value)))
        case TupleType():
            parts = [_compile_encoder(item) for item in t.items]
            return _join_encoder(parts, _encode_parts(parts))
        case _:
            raise AssertionError(t)


def _join_encoder(parts: Sequence[_Encoder], encode: Encode) -> _Encoder:
    if any(part.is_dynamic for part in parts):
        return _Encoder(True, 32, encode)
    return _Encoder(False, sum([part.head_size for part in parts]), encode)


def _encode_byte_string(value: bytes) -> bytes:
    return _encode_unsigned(len(value)) + value + bytes(-len(value) % 32)


def _encode_parts(parts: Sequence[_Encoder]) -> Encode:
    """Heads one after the other, then the tails in the same order."""
    head_size = sum([part.head_size for part in parts])
    if not any(part.is_dynamic for part in parts):
        encoders = [part.encode for part in parts]
        return lambda values: b"".join([encode(value) for encode, value in zip(encoders, values, strict=True)])

    def encode(values: Sequence[Any]) -> bytes:
        heads, tails, offset = [], [], head_size
        for part, value in zip(parts, values, strict=True):
            encoded = part.encode(value)
            if part.is_dynamic:
                heads.append(_encode_unsigned(offset))
                tails.append(encoded)
                offset += len(encoded)
            else:
                heads.append(encoded)
        return b"".join(heads + tails)

    return encode


def _encode_sequence(item: _Encoder) -> Encode:
    def encode(values: Sequence[Any]) -> bytes:
        encoded = [item.encode(value) for value in values]
        heads = [_encode_unsigned(len(encoded))]
        if item.is_dynamic:
            offset = 32 * len(encoded)
            for tail in encoded:
                heads.append(_encode_unsigned(offset))
                offset += len(tail)
        return b"".join(heads + encoded)

    return encode


# --- decoding --------------------------------------------------------------------------------------------------------


def compile_abi_decoder(t: SchemaType) -> Callable[[bytes], Any]:
    """The strict way back from `compile_abi_encoder`'s bytes. The decoder raises `DecodeError`."""
    decode = compile_arguments_decoder([t])
    return lambda raw: decode(raw)[0]


def compile_arguments_decoder(types: Sequence[SchemaType]) -> Callable[[bytes], list[Any]]:
    """The strict way back from `compile_arguments_encoder`'s bytes. The decoder raises `DecodeError`."""
    parts = [_compile_decoder(t) for t in types]

    def decode(raw: bytes) -> list[Any]:
        values, end = _decode_parts(parts, raw, 0)
        if end != len(raw):
            raise DecodeError(_WHAT, f"{len(raw) - end} bytes too many")
        return values

    return decode


def _compile_decoder(t: SchemaType) -> _Decoder:
    match t:
        case IntegerType():
            return _Decoder(False, 32, _decode_integer(t))
        case FixedBytesType():
            return _Decoder(False, 32, _decode_fixed_bytes(t.size))
        case BoolType():
            return _Decoder(False, 32, _decode_bool)
        case BytesType():
            return _Decoder(True, 32, _decode_byte_string)
        case StringType():
            return _Decoder(True, 32, _decode_string)
        case SequenceType():
            return _Decoder(True, 32, _decode_sequence(t.container, _compile_decoder(t.item)))
        case StructType():
            return _join_decoder([_compile_decoder(field.type) for field in t.fields], compile_constructor(t))
        case TupleType():
            return _join_decoder([_compile_decoder(item) for item in t.items], tuple)


def _join_decoder(parts: Sequence[_Decoder], construct: Callable[[list[Any]], Any]) -> _Decoder:
    def decode(raw: bytes, position: int) -> tuple[Any, int]:
        values, end = _decode_parts(parts, raw, position)
        return construct(values), end

    if any(part.is_dynamic for part in parts):
        return _Decoder(True, 32, decode)
    return _Decoder(False, sum([part.head_size for part in parts]), decode)


def _decode_parts(parts: Sequence[_Decoder], raw: bytes, start: int) -> tuple[list[Any], int]:
    """The values of a head at `start`; each tail must begin exactly where the one before it ended."""
    values = []
    position, tail = start, start + sum([part.head_size for part in parts])
    for part in parts:
        if part.is_dynamic:
            if _read_size(raw, position) != tail - start:
                raise DecodeError(_WHAT, f"the offset at byte {position} is not where the data must be")
            value, tail = part.decode(raw, tail)
            position += 32
        else:
            value, position = part.decode(raw, position)
        values.append(value)
    return values, tail


def _read_word(raw: bytes, position: int) -> bytes:
    word = raw[position : position + 32]
    if len(word) != 32:
        raise DecodeError(_WHAT, f"a word is missing at byte {position}")
    return word


def _read_size(raw: bytes, position: int) -> int:
    return int.from_bytes(_read_word(raw, position), "big")


def _decode_integer(t: IntegerType) -> _Decode:
    low, high = compute_bounds(t)
    signed = t.signed

    def decode(raw: bytes, position: int) -> tuple[int, int]:
        value = int.from_bytes(_read_word(raw, position), "big", signed=signed)
        if not low <= value <= high:
            raise DecodeError(_WHAT, f"the integer at byte {position} is out of range")
        return value, position + 32

    return decode


def _decode_fixed_bytes(size: int) -> _Decode:
    padding = bytes(32 - size)

    def decode(raw: bytes, position: int) -> tuple[bytes, int]:
        word = _read_word(raw, position)
        if word[: 32 - size] != padding:
            raise DecodeError(_WHAT, f"the padding at byte {position} is not zero")
        return word[32 - size :], position + 32

    return decode


def _decode_bool(raw: bytes, position: int) -> tuple[bool, int]:
    word = _read_word(raw, position)
    if word not in (_TRUE, _FALSE):
        raise DecodeError(_WHAT, f"the bool at byte {position} is neither 0 nor 1")
    return word == _TRUE, position + 32


def _decode_byte_string(raw: bytes, position: int) -> tuple[bytes, int]:
    size = _read_size(raw, position)
    start = position + 32
    padded = size + -size % 32
    if padded > len(raw) - start:
        raise DecodeError(_WHAT, f"the byte string at byte {position} is longer than the input")
    if raw[start + size : start + padded] != bytes(padded - size):
        raise DecodeError(_WHAT, f"the padding of the byte string at byte {position} is not zero")
    return raw[start : start + size], start + padded


def _decode_string(raw: bytes, position: int) -> tuple[str, int]:
    value, end = _decode_byte_string(raw, position)
    try:
        return value.decode(), end
    except UnicodeDecodeError:
        raise DecodeError(_WHAT, f"the text at byte {position} is not UTF-8") from None


def _decode_sequence(container: Callable[[list[Any]], Any], item: _Decoder) -> _Decode:
    def decode(raw: bytes, position: int) -> tuple[Any, int]:
        count = _read_size(raw, position)
        start = position + 32
        if count * item.head_size > len(raw) - start:
            raise DecodeError(_WHAT, f"the array at byte {position} is longer than the input")
        values, end = _decode_parts([item] * count, raw, start)
        return container(values), end

    return decode
