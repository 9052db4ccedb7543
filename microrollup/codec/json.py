"""Values of a declared type from plain JSON objects and back, strictly: nothing that a signature would not cover.

The objects come from `json_text.parse_json`, or from any JSON reader where the text has one meaning only.
"""

from __future__ import annotations

import re
from binascii import unhexlify
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias

from microrollup.codec.json_text import MAX_INTEGER_DIGITS, FloatText, HugeInteger, NegativeZero, clip
from microrollup.codec.schema import (
    BoolType,
    BytesType,
    Field,
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
from microrollup.errors import (
    BadHex,
    MissingMember,
    OutOfRange,
    UnknownMember,
    WrongJsonType,
    WrongLength,
)

__all__ = [
    "Read",
    "check_members",
    "compile_json_reader",
    "compile_object_reader",
    "compile_values_reader",
    "hex0x",
    "name_json_type",
    "read_hex",
    "to_json_value",
]

Read: TypeAlias = Callable[[Any], Any]
"""Turns a parsed JSON value into a value of one type; raises a class of `RefusedError`."""

MAX_SAFE_INTEGER: Final = 2**53
"""From here on JavaScript's numbers lose digits, so integers are written as strings."""

_INTEGER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)|0x(?:0|[1-9a-fA-F][0-9a-fA-F]*)", re.ASCII)


# --- plain objects to values -----------------------------------------------------------------------------------------


def compile_json_reader(t: SchemaType, path: str) -> Read:
    """The function from parsed JSON to a value of `t`; `path` names the value in refusals."""
    match t:
        case IntegerType():
            return _read_integer(path, *compute_bounds(t))
        case FixedBytesType():
            return _read_fixed_bytes(path, t.size)
        case BytesType():
            return lambda value: read_hex(value, path)
        case BoolType():
            return lambda value: _read_bool(value, path)
        case StringType():
            return lambda value: _read_string(value, path)
        case StructType():
            return compile_object_reader(t.fields, path, compile_constructor(t))
        case TupleType():
            return _read_tuple(path, [compile_json_reader(item, f"{path}[{i}]") for i, item in enumerate(t.items)])
        case SequenceType():
            return _read_sequence(path, t.container, compile_json_reader(t.item, f"{path}[]"))


def compile_object_reader(fields: Sequence[Field], path: str, construct: Callable[[list[Any]], Any]) -> Read:
    """The function from a JSON object of exactly these members to what `construct` makes of their values, in order."""
    names, read_values = [field.wire_name for field in fields], compile_values_reader(fields, path, construct)
    expected = frozenset(names)

    def read(value: Any) -> Any:
        check_members(value, expected, path)
        return read_values([value[name] for name in names])

    return read


def compile_values_reader(
    fields: Sequence[Field], path: str, construct: Callable[[list[Any]], Any]
) -> Callable[[Sequence[Any]], Any]:
    """The same from the parsed values of an object's members, in declared order."""
    readers = [compile_json_reader(field.type, f"{path}.{field.wire_name}") for field in fields]
    return lambda values: construct([read(value) for read, value in zip(readers, values, strict=True)])


def read_hex(value: Any, path: str) -> bytes:
    """The bytes of `0x` and pairs of hex digits in either case. Raises `WrongJsonType` or `BadHex`."""
    if type(value) is not str:
        raise WrongJsonType(f"{path} is {name_json_type(value)}, not a hex string")
    if value[:2] != "0x":
        raise BadHex(f"{path} does not begin with 0x")
    try:
        return unhexlify(value[2:])
    except ValueError:
        raise BadHex(f"{path} is not pairs of hex digits after 0x") from None


def name_json_type(value: Any) -> str:
    """What a parsed JSON value is, for a refusal: "a number", "null"."""
    if type(value) is FloatText or type(value) is float:
        return "a number with a fraction or an exponent"
    if type(value) is NegativeZero:
        return "-0"
    if value is None:
        return "null"
    names = {bool: "a boolean", int: "a number", HugeInteger: "a number", str: "a string", list: "an array"}
    return names.get(type(value), "an object")


def _read_integer(path: str, low: int, high: int) -> Read:
    def read(value: Any) -> int:
        number = value if type(value) is int else _read_integer_text(value, path)
        if number is None or not low <= number <= high:
            raise OutOfRange(f"{path} is not in {low} ... {high}")
        return number

    return read


def _read_integer_text(value: Any, path: str) -> int | None:
    """The integer of a text; None if it has more digits than any integer type."""
    if type(value) is HugeInteger:
        return None
    if type(value) is not str:
        raise WrongJsonType(f"{path} is {name_json_type(value)}, not an integer")
    if not _INTEGER.fullmatch(value) or value == "-0":
        raise WrongJsonType(f"{path} is neither a plain decimal nor a 0x integer")
    if len(value) > MAX_INTEGER_DIGITS:
        return None
    return int(value, 16) if value.startswith("0x") else int(value)


def _read_fixed_bytes(path: str, size: int) -> Read:
    length = 2 + 2 * size

    def read(value: Any) -> bytes:
        raw = read_hex(value, path)
        if len(value) != length:
            raise WrongLength(f"{path} has {len(raw)} bytes, not {size}")
        return raw

    return read


def _read_bool(value: Any, path: str) -> bool:
    if type(value) is not bool:
        raise WrongJsonType(f"{path} is {name_json_type(value)}, not a boolean")
    return value


def _read_string(value: Any, path: str) -> str:
    if type(value) is not str:
        raise WrongJsonType(f"{path} is {name_json_type(value)}, not a string")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise WrongJsonType(f"{path} holds a lone surrogate, which is not a character") from None
    return value


def check_members(value: Any, names: frozenset[str], path: str, optional: frozenset[str] = frozenset()) -> None:
    """Check that `value` is an object of exactly these members and any of the `optional` ones.

    Raises `WrongJsonType`, `MissingMember` or `UnknownMember`.
    """
    if type(value) is not dict:
        raise WrongJsonType(f"{path} is {name_json_type(value)}, not an object")
    members = value.keys()
    if members == names:
        return
    for name in sorted(names - members):
        raise MissingMember(f"{path} has no member {name!r}")
    for name in sorted(members - names - optional):
        raise UnknownMember(f"{path} has an unknown member {clip(name)}")


def _read_tuple(path: str, readers: list[Read]) -> Read:
    def read(value: Any) -> tuple[Any, ...]:
        if type(value) is not list:
            raise WrongJsonType(f"{path} is {name_json_type(value)}, not an array")
        if len(value) != len(readers):
            raise WrongLength(f"{path} has {len(value)} items, not {len(readers)}")
        return tuple([read_item(item) for read_item, item in zip(readers, value, strict=True)])

    return read


def _read_sequence(path: str, container: Callable[[list[Any]], Any], read_item: Read) -> Read:
    def read(value: Any) -> Any:
        if type(value) is not list:
            raise WrongJsonType(f"{path} is {name_json_type(value)}, not an array")
        return container([read_item(item) for item in value])

    return read


# --- values to plain objects -----------------------------------------------------------------------------------------


def hex0x(raw: bytes) -> str:
    """Bytes as they are written at the edge: 0x and lower-case digits."""
    return f"0x{raw.hex()}"


def to_json_value(t: SchemaType, value: Any) -> Any:
    """The plain JSON objects of a (checked) value, as `compile_json_reader` takes them back.

    Bytes become 0x-hex, integers of 2**53 and more decimal strings, structs objects with camelCase members.
    """
    match t:
        case IntegerType():
            return value if -MAX_SAFE_INTEGER < value < MAX_SAFE_INTEGER else str(value)
        case FixedBytesType() | BytesType():
            return f"0x{value.hex()}"
        case StructType():
            return {field.wire_name: to_json_value(field.type, getattr(value, field.name)) for field in t.fields}
        case TupleType():
            return [to_json_value(item, part) for item, part in zip(t.items, value, strict=True)]
        case SequenceType():
            return [to_json_value(t.item, item) for item in value]
        case _:
            return value
