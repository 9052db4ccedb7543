"""Values by their schema: exact type checks, and canonical msgpack.

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
from microrollup.errors import ValueOutOfBounds

__all__ = [
    "MAX_VALUE_BYTES",
    "ValueCodec",
    "compile_check",
    "compile_checked_encoder",
    "compile_codec",
]

MAX_VALUE_BYTES: Final = 64 * 1024 * 1024
"""An encoded value; far above what one action can make, so only damaged or hostile bytes meet it."""

_Check: TypeAlias = Callable[[Any], None]
_Convert: TypeAlias = Callable[[Any], Any]


# --- checks ----------------------------------------------------------------------------------------------------------


def compile_check(t: SchemaType, where: str | None = None) -> _Check:
    """A function that returns None for exactly a value of `t` and raises `ValueOutOfBounds` for anything else.

    Exactly: no subclasses, a bool is not an integer, a struct is an instance of its own class. `where` names the value
    in errors; fields are appended to it with a dot.
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


def _check_integer(path: str, low: int, high: int) -> _Check:
    def check(value: Any) -> None:
        if type(value) is not int:
            raise _refuse_type(path, int, value)
        if not low <= value <= high:
            raise ValueOutOfBounds(path, f"the integer is not in {low} ... {high}")

    return check


def _check_fixed_bytes(path: str, size: int) -> _Check:
    def check(value: Any) -> None:
        if type(value) is not bytes:
            raise _refuse_type(path, bytes, value)
        if len(value) != size:
            raise ValueOutOfBounds(path, f"expected {size} bytes, found {len(value)}")

    return check


def _check_exact_type(path: str, cls: type) -> _Check:
    def check(value: Any) -> None:
        if type(value) is not cls:
            raise _refuse_type(path, cls, value)

    return check


def _check_string(path: str) -> _Check:
    def check(value: Any) -> None:
        if type(value) is not str:
            raise _refuse_type(path, str, value)
        if not value.isascii():
            try:
                value.encode()
            except UnicodeEncodeError:
                raise ValueOutOfBounds(path, "the text holds a lone surrogate, which UTF-8 cannot encode") from None

    return check


def compile_checked_encoder(t: StructType) -> Callable[[Any], tuple[str, bytes]]:
    """A function that returns name and canonical msgpack of exactly a value of `t`; it raises what its check raises."""
    ending, names = " return name, encode(value)", {"name": t.name, "encode": compile_codec(t).encode}
    return cast("Callable[[Any], tuple[str, bytes]]", _write_check(t.name, t, ending, names))


def _check_struct(path: str, t: StructType) -> _Check:
    return cast("_Check", _write_check(path, t, "", {}))


def _write_check(path: str, t: StructType, ending: str, names: dict[str, Any]) -> Callable[[Any], Any]:
    """The check of a struct, as one function written for its fields: it runs for every value that an action sets.

    The generated text accepts; a field that is not plainly right goes to the field's own check, which gives the reason.
    `ending` is the text after it, with `names` of its own.
    """
    scope: dict[str, Any] = {"cls": t.cls, "path": path, "refuse": _refuse_type, "unset": _refuse_unset, **names}
    lines = ["def check(value):", " if type(value) is not cls: raise refuse(path, cls, value)", " try:", "  pass"]
    for position, field in enumerate(t.fields):
        scope[f"check_{position}"] = compile_check(field.type, f"{path}.{field.name}")
        condition = _write_condition(field.type)
        lines.append(f"  item = value.{field.name}")
        lines.append(f"  if not ({condition}): check_{position}(item)" if condition else f"  check_{position}(item)")
    lines += [" except AttributeError: raise unset(path) from None", ending]
    exec("\n".join(lines), scope)
    return cast("Callable[[Any], Any]", scope["check"])


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


def _check_tuple(path: str, checks: list[_Check]) -> _Check:
    def check(value: Any) -> None:
        if type(value) is not tuple:
            raise _refuse_type(path, tuple, value)
        if len(value) != len(checks):
            raise ValueOutOfBounds(path, f"expected {len(checks)} items, found {len(value)}")
        for check_item, item in zip(checks, value, strict=True):
            check_item(item)

    return check


def _check_sequence(path: str, container: type[Any], check_item: _Check) -> _Check:
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


def _compose_encode(lower: _Convert | None) -> Callable[[Any], bytes]:
    if lower is None:
        return encode_canonical
    convert = lower
    return lambda value: encode_canonical(convert(value))


def compile_codec(t: SchemaType, what: str | None = None) -> ValueCodec:
    """The codec of a type; `what` names it in errors."""
    return ValueCodec(compile_wire_form(t), what or (t.name if isinstance(t, StructType) else abi_type(t)))
