"""Keys of a `Map` as bytes, which sort as the keys do: scalars, and composite keys of several components.

A byte string stays as it is, text becomes UTF-8, an unsigned integer 32 bytes, big-endian. A composite key, a tuple, is
the concatenation of its components, of which only the last may be of variable length.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeAlias, cast

import msgspec

from microrollup.codec.schema import (
    BytesType,
    FixedBytesType,
    IntegerType,
    SchemaType,
    SequenceType,
    StringType,
    TupleType,
)
from microrollup.codec.values import compile_check
from microrollup.errors import DeclarationError, DecodeError, ValueOutOfBounds
from microrollup.primitives import MAX_MAP_KEY_BYTES

__all__ = ["MAX_KEY_COMPONENTS", "KeyCodec", "compile_key_codec"]

MAX_KEY_COMPONENTS: Final = 8
"""Components of a composite key: as many integers as fit into the longest key."""

_Encode: TypeAlias = Callable[[Any], bytes]

_INTEGER_BYTES: Final = 32


class KeyCodec(msgspec.Struct, frozen=True):
    """How the keys of one type become bytes and back."""

    classes: type | tuple[type, ...]
    """The very class of a key, or of each component of a composite one."""
    encode: _Encode
    """At most `MAX_MAP_KEY_BYTES` bytes. Raises `ValueOutOfBounds` unless the key is of its type."""
    decode: Callable[[bytes], Any]
    """The way back. Raises `DecodeError` unless the bytes are `encode`'s."""
    encode_prefix: _Encode
    """What all encoded keys with a prefix begin with. Raises `ValueOutOfBounds` if it is not one.

    A prefix is leading components of a composite key, or the beginning of text or bytes, as which the last of the given
    components may stand.
    """


def compile_key_codec(t: SchemaType, where: str = "key") -> KeyCodec:
    """The codec of a key type; `where` names the key in errors. Raises `DeclarationError` for what cannot be a key."""
    encode: _Encode
    restore: Callable[[bytes], Any]
    if isinstance(t, TupleType):
        parts = _list_components(t, where)
        classes: type | tuple[type, ...] = tuple([_find_class(part) for part in t.items])
        encode, restore = _encode_composite(where, parts), _restore_composite(t)
        encode_prefix = _encode_leading(where, parts)
    else:
        classes, encode, restore = _find_class(t), _compile_encoder(t, where), _compile_restore(t)
        encode_prefix = _compile_beginning(t, where)
    return KeyCodec(classes, encode, _decode_by(encode, restore, where), encode_prefix)


def _list_components(t: TupleType, where: str) -> list[_Encode]:
    if len(t.items) > MAX_KEY_COMPONENTS:
        raise DeclarationError(where, f"cannot be a key: it has more than {MAX_KEY_COMPONENTS} components")
    for part in t.items[:-1]:
        if isinstance(part, (BytesType, StringType)):
            raise DeclarationError(where, "cannot be a key: only the last component may be of variable length")
    return [_compile_encoder(part, f"{where}[{index}]") for index, part in enumerate(t.items)]


def _find_class(t: SchemaType) -> type:
    return int if isinstance(t, IntegerType) else str if isinstance(t, StringType) else bytes


def _compile_encoder(t: SchemaType, where: str) -> _Encode:
    check = compile_check(t, where)
    match t:
        case IntegerType(_, False):
            return _encode_integer_key(check)
        case FixedBytesType():
            return _encode_fixed_key(t.size, check)
        case BytesType():
            return _encode_bytes_key(where, check)
        case StringType():
            return _encode_string_key(where, check)
        case IntegerType():
            raise DeclarationError(where, "cannot be a key: the bytes of signed integers do not sort by value")
        case SequenceType():
            raise DeclarationError(where, "cannot be a key: write each component, as in tuple[Address, Uint64]")
        case _:
            raise DeclarationError(where, "cannot be a key; use bytes, text, an unsigned integer, or a tuple of these")


def _encode_integer_key(check: Callable[[Any], None]) -> _Encode:
    def encode(key: Any) -> bytes:
        check(key)
        return cast("int", key).to_bytes(_INTEGER_BYTES, "big")

    return encode


def _encode_fixed_key(size: int, check: Callable[[Any], None]) -> _Encode:
    def encode(key: Any) -> bytes:
        if type(key) is bytes and len(key) == size:
            return key
        check(key)
        raise AssertionError(size)

    return encode


def _encode_bytes_key(where: str, check: Callable[[Any], None]) -> _Encode:
    def encode(key: Any) -> bytes:
        check(key)
        return _check_length(cast("bytes", key), where)

    return encode


def _encode_string_key(where: str, check: Callable[[Any], None]) -> _Encode:
    def encode(key: Any) -> bytes:
        check(key)
        return _check_length(cast("str", key).encode(), where)

    return encode


def _check_length(raw: bytes, where: str) -> bytes:
    if len(raw) > MAX_MAP_KEY_BYTES:
        raise ValueOutOfBounds(where, f"{len(raw)} bytes, a key has at most {MAX_MAP_KEY_BYTES}")
    return raw


def _encode_composite(where: str, parts: list[_Encode]) -> _Encode:
    count = len(parts)

    def encode(key: Any) -> bytes:
        if type(key) is not tuple or len(key) != count:
            raise ValueOutOfBounds(where, f"expected exactly a tuple of {count}, found {type(key).__name__}")
        return _check_length(b"".join([encode_part(part) for encode_part, part in zip(parts, key, strict=True)]), where)

    return encode


def _encode_leading(where: str, parts: list[_Encode]) -> _Encode:
    count = len(parts)

    def encode_prefix(prefix: Any) -> bytes:
        if type(prefix) is not tuple or len(prefix) > count:
            shown = type(prefix).__name__
            raise ValueOutOfBounds(where, f"a prefix is a tuple of at most {count} leading components, not {shown}")
        return _check_length(
            b"".join([encode_part(part) for encode_part, part in zip(parts, prefix, strict=False)]), where
        )

    return encode_prefix


def _compile_beginning(t: SchemaType, where: str) -> _Encode:
    if isinstance(t, (BytesType, StringType)):
        return _compile_encoder(t, where)

    def refuse(_: Any) -> bytes:
        raise ValueOutOfBounds(where, "only text, bytes and composite keys have prefixes; use `start` and `stop`")

    return refuse


# --- and back --------------------------------------------------------------------------------------------------------


def _compile_restore(t: SchemaType) -> Callable[[bytes], Any]:
    if isinstance(t, IntegerType):
        return _restore_integer
    return bytes.decode if isinstance(t, StringType) else _keep


def _keep(raw: bytes) -> bytes:
    return raw


def _restore_integer(raw: bytes) -> int:
    return int.from_bytes(raw, "big")


def _restore_composite(t: TupleType) -> Callable[[bytes], Any]:
    restores = [_compile_restore(part) for part in t.items]
    sizes = [part.size if isinstance(part, FixedBytesType) else _INTEGER_BYTES for part in t.items[:-1]]

    def restore(raw: bytes) -> tuple[Any, ...]:
        key, begin = [], 0
        for size, restore_part in zip(sizes, restores[:-1], strict=True):
            key.append(restore_part(raw[begin : begin + size]))
            begin += size
        return (*key, restores[-1](raw[begin:]))

    return restore


def _decode_by(encode: _Encode, restore: Callable[[bytes], Any], where: str) -> Callable[[bytes], Any]:
    def decode(raw: bytes) -> Any:
        try:
            key = restore(bytes(raw))
            same = encode(key) == raw
        except (UnicodeDecodeError, ValueOutOfBounds) as error:
            raise DecodeError(where, str(error)) from None
        if not same:
            raise DecodeError(where, "not the encoding of a key")
        return key

    return decode
