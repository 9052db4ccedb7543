"""Values by their schema: exact type checks, canonical msgpack, and the bytes of `Map` keys.

A value in canonical msgpack is an array per struct, tuple and sequence. msgpack integers stop at 64 bits: an integer
type of more bits travels as 32 bytes, big-endian two's complement, whatever its value.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeAlias, cast

import msgspec

from microrollup.codec.canonical import decode_canonical, encode_canonical
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
    abi_type,
    compute_bounds,
)
from microrollup.codec.wire import WireForm, compile_wire_form
from microrollup.errors import DeclarationError, DecodeError, ValueOutOfBounds
from microrollup.primitives import MAX_MAP_KEY_BYTES

__all__ = [
    "MAX_VALUE_BYTES",
    "ValueCodec",
    "compile_check",
    "compile_codec",
    "compile_key_decoder",
    "compile_key_encoder",
]

MAX_VALUE_BYTES: Final = 64 * 1024 * 1024
"""An encoded value; far above what one action can make, so only damaged or hostile bytes meet it."""

Check: TypeAlias = Callable[[Any], None]
Convert: TypeAlias = Callable[[Any], Any]


# --- checks ----------------------------------------------------------------------------------------------------------


def compile_check(t: SchemaType, where: str | None = None) -> Check:
    """A function that returns None for exactly a value of `t` and raises `ValueOutOfBounds` for anything else.

    Exactly: no subclasses, a bool is no integer, a struct is an instance of its very class. `where` names the value in
    errors; fields are appended to it with a dot.
    """
    path = where if where is not None else (t.name if isinstance(t, StructType) else "value")
    match t:
        case IntegerType():
            return _check_integer(path, *compute_bounds(t))
        case FixedBytesType():
            return _check_fixed_bytes(path, t.size)
        case BytesType():
            return _check_exact_type(path, bytes)
        case BoolType():
            return _check_exact_type(path, bool)
        case StringType():
            return _check_string(path)
        case StructType():
            return _check_struct(path, t)
        case TupleType():
            return _check_tuple(path, [compile_check(item, f"{path}[{i}]") for i, item in enumerate(t.items)])
        case SequenceType():
            return _check_sequence(path, t.container, compile_check(t.item, f"{path}[]"))


def _refuse_type(path: str, expected: type, value: object) -> ValueOutOfBounds:
    return ValueOutOfBounds(path, f"expected exactly {expected.__name__}, found {type(value).__name__}")


def _check_integer(path: str, low: int, high: int) -> Check:
    def check(value: Any) -> None:
        if type(value) is not int:
            raise _refuse_type(path, int, value)
        if not low <= value <= high:
            raise ValueOutOfBounds(path, f"the integer is not in {low} ... {high}")

    return check


def _check_fixed_bytes(path: str, size: int) -> Check:
    def check(value: Any) -> None:
        if type(value) is not bytes:
            raise _refuse_type(path, bytes, value)
        if len(value) != size:
            raise ValueOutOfBounds(path, f"expected {size} bytes, found {len(value)}")

    return check


def _check_exact_type(path: str, cls: type) -> Check:
    def check(value: Any) -> None:
        if type(value) is not cls:
            raise _refuse_type(path, cls, value)

    return check


def _check_string(path: str) -> Check:
    def check(value: Any) -> None:
        if type(value) is not str:
            raise _refuse_type(path, str, value)
        if not value.isascii():
            try:
                value.encode()
            except UnicodeEncodeError:
                raise ValueOutOfBounds(path, "the text holds a lone surrogate, which UTF-8 cannot encode") from None

    return check


def _check_struct(path: str, t: StructType) -> Check:
    """The check of a struct, as one function written for its fields: it runs for every value that an action sets.

    The generated text accepts; a field that is not plainly right goes to the field's own check, which gives the reason.
    """
    scope: dict[str, Any] = {"cls": t.cls, "path": path, "refuse": _refuse_type, "unset": _refuse_unset}
    lines = ["def check(value):", " if type(value) is not cls: raise refuse(path, cls, value)", " try:", "  pass"]
    for position, field in enumerate(t.fields):
        scope[f"check_{position}"] = compile_check(field.type, f"{path}.{field.name}")
        condition = _write_condition(field.type)
        lines.append(f"  item = value.{field.name}")
        lines.append(f"  if not ({condition}): check_{position}(item)" if condition else f"  check_{position}(item)")
    lines.append(" except AttributeError: raise unset(path) from None")
    exec("\n".join(lines), scope)
    return cast("Check", scope["check"])


def _write_condition(t: SchemaType) -> str:
    """Python text that is true of `item` only if it is a value of `t`; empty where there is no short one."""
    match t:
        case IntegerType():
            low, high = compute_bounds(t)
            return f"type(item) is int and {low} <= item <= {high}"
        case FixedBytesType():
            return f"type(item) is bytes and len(item) == {t.size}"
        case BytesType():
            return "type(item) is bytes"
        case BoolType():
            return "type(item) is bool"
        case StringType():
            return "type(item) is str and item.isascii()"
        case _:
            return ""


def _refuse_unset(path: str) -> ValueOutOfBounds:
    return ValueOutOfBounds(path, "a field is not set")


def _check_tuple(path: str, checks: list[Check]) -> Check:
    def check(value: Any) -> None:
        if type(value) is not tuple:
            raise _refuse_type(path, tuple, value)
        if len(value) != len(checks):
            raise ValueOutOfBounds(path, f"expected {len(checks)} items, found {len(value)}")
        for check_item, item in zip(checks, value, strict=True):
            check_item(item)

    return check


def _check_sequence(path: str, container: type[Any], check_item: Check) -> Check:
    def check(value: Any) -> None:
        if type(value) is not container:
            raise _refuse_type(path, container, value)
        for item in value:
            check_item(item)

    return check


# --- canonical msgpack -----------------------------------------------------------------------------------------------


class ValueCodec:
    """Canonical msgpack of the values of one type. `encode` takes checked values only (see `compile_check`)."""

    __slots__ = ("_decoder", "_lift", "_what", "encode")

    def __init__(self, form: WireForm, what: str) -> None:
        self.encode: Callable[[Any], bytes] = _compose_encode(form.lower)
        self._decoder: msgspec.msgpack.Decoder[Any] = msgspec.msgpack.Decoder(form.annotation)
        self._lift = form.lift
        self._what = what

    def decode(self, raw: bytes) -> Any:
        """The value of its canonical bytes. Raises `DecodeError`."""
        value = decode_canonical(self._decoder, raw, what=self._what, limit=MAX_VALUE_BYTES)
        return value if self._lift is None else self._lift(value)


def _compose_encode(lower: Convert | None) -> Callable[[Any], bytes]:
    if lower is None:
        return encode_canonical
    convert = lower
    return lambda value: encode_canonical(convert(value))


def compile_codec(t: SchemaType, what: str | None = None) -> ValueCodec:
    """The codec of a type; `what` names it in errors."""
    return ValueCodec(compile_wire_form(t), what or (t.name if isinstance(t, StructType) else abi_type(t)))


# --- keys of a Map ---------------------------------------------------------------------------------------------------


def compile_key_encoder(t: SchemaType, where: str = "key") -> Callable[[Any], bytes]:
    """The function from a `Map` key to its bytes, at most `MAX_MAP_KEY_BYTES`, which sort as the keys do.

    Byte strings stay as they are, text becomes UTF-8, an unsigned integer 32 bytes, big-endian.
    Raises `DeclarationError` for a type that cannot be a key; the encoder raises `ValueOutOfBounds`.
    """
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
            raise DeclarationError(where, "a signed integer cannot be a key: its bytes would not sort by value")
        case _:
            raise DeclarationError(where, f"{abi_type(t)} cannot be a key; use bytes, text or an unsigned integer")


def compile_key_decoder(t: SchemaType, where: str = "key") -> Callable[[bytes], Any]:
    """The way back from `compile_key_encoder`'s bytes. The decoder raises `DecodeError` unless they are its output."""
    encode = compile_key_encoder(t, where)
    restore: Convert = _keep
    if isinstance(t, IntegerType):
        restore = _restore_integer_key
    elif isinstance(t, StringType):
        restore = bytes.decode

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


def _keep(value: Any) -> Any:
    return value


def _restore_integer_key(raw: bytes) -> int:
    return int.from_bytes(raw, "big")


def _encode_integer_key(check: Check) -> Callable[[Any], bytes]:
    def encode(key: Any) -> bytes:
        check(key)
        return cast("int", key).to_bytes(32, "big")

    return encode


def _encode_fixed_key(size: int, check: Check) -> Callable[[Any], bytes]:
    def encode(key: Any) -> bytes:
        if type(key) is bytes and len(key) == size:
            return key
        check(key)
        raise AssertionError(size)

    return encode


def _encode_bytes_key(where: str, check: Check) -> Callable[[Any], bytes]:
    def encode(key: Any) -> bytes:
        check(key)
        if len(key) > MAX_MAP_KEY_BYTES:
            raise ValueOutOfBounds(where, f"{len(key)} bytes, a key has at most {MAX_MAP_KEY_BYTES}")
        return cast("bytes", key)

    return encode


def _encode_string_key(where: str, check: Check) -> Callable[[Any], bytes]:
    def encode(key: Any) -> bytes:
        check(key)
        raw = cast("str", key).encode()
        if len(raw) > MAX_MAP_KEY_BYTES:
            raise ValueOutOfBounds(where, f"{len(raw)} bytes, a key has at most {MAX_MAP_KEY_BYTES}")
        return raw

    return encode
