"""What annotations mean: one frozen description of a state's, an action's or an event's type, made once.

Every encoder, checker and hasher is compiled from these descriptions; nothing else reads annotations. What cannot be
described is refused at declaration, with the dotted path of the field.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any, Final, Literal, NewType, TypeAlias, TypeVar, get_args, get_origin

import msgspec

from microrollup import primitives
from microrollup.codec.annotations import explain, show_annotation
from microrollup.errors import DeclarationError
from microrollup.primitives import FixedBytes, Integer

__all__ = [
    "BoolType",
    "BytesType",
    "Field",
    "FixedBytesType",
    "IntegerType",
    "SchemaType",
    "SequenceType",
    "StringType",
    "StructType",
    "TupleType",
    "Where",
    "abi_type",
    "compute_bounds",
    "describe_struct",
    "describe_type",
    "iterate_types",
    "render_schema",
    "to_camel_case",
]

Where: TypeAlias = Literal["state", "action", "event"]
"""Where a type stands: a state holds tuples, actions and events hold lists, an action has no defaults."""


class IntegerType(msgspec.Struct, frozen=True):
    """An `int` of `bits` bits (8 to 256): Solidity's uintN, or intN when `signed`."""

    bits: int
    signed: bool


class FixedBytesType(msgspec.Struct, frozen=True):
    """`bytes` of exactly `size` bytes; `abi` is "bytes32" or "address"."""

    size: int
    abi: str


class BytesType(msgspec.Struct, frozen=True):
    """`bytes` of any length."""


class BoolType(msgspec.Struct, frozen=True):
    """`True` or `False`."""


class StringType(msgspec.Struct, frozen=True):
    """`str` that UTF-8 can encode (no lone surrogates)."""


class Field(msgspec.Struct, frozen=True):
    """One field of a struct: the Python name, the camelCase name that wallets and JSON see, the type."""

    name: str
    wire_name: str
    type: SchemaType


class StructType(msgspec.Struct, frozen=True):
    """A frozen msgspec Struct with its fields in declared order."""

    cls: type[msgspec.Struct]
    name: str
    fields: tuple[Field, ...]


class TupleType(msgspec.Struct, frozen=True):
    """A tuple of fixed length (states only); Solidity's nameless tuple."""

    items: tuple[SchemaType, ...]


class SequenceType(msgspec.Struct, frozen=True):
    """Any number of items: `container` is `tuple` in a state, `list` in an action or event."""

    item: SchemaType
    container: type[tuple[object, ...] | list[object]]


SchemaType: TypeAlias = (
    IntegerType | FixedBytesType | BytesType | BoolType | StringType | StructType | TupleType | SequenceType
)

T = TypeVar("T")

_TYPE_NAME: Final = re.compile(r"[A-Z][A-Za-z0-9_]*")
"""Upper case first, so that no struct is taken for one of Solidity's own types in an EIP-712 type string."""
_WIRE_NAME: Final = re.compile(r"[a-zA-Z][a-zA-Z0-9]*")
_PLAIN: Final[dict[object, SchemaType]] = {bytes: BytesType(), bool: BoolType(), str: StringType()}


def describe_struct(cls: type[msgspec.Struct], *, where: Where) -> StructType:
    """The description of a Struct class and of everything in it.

    Raises `DeclarationError` naming the field, by its dotted path from `cls`, that cannot stand where it does.
    """
    return _describe_struct(cls, where, cls.__name__, (), may_be_empty=True)


def describe_type(annotation: object, *, where: Where, path: str) -> SchemaType:
    """The description of one annotation; `path` names it in a `DeclarationError`."""
    return _describe(annotation, where, path, ())


def compute_bounds(integer: IntegerType) -> tuple[int, int]:
    """The least and the greatest value of an integer type."""
    if integer.signed:
        return -(1 << (integer.bits - 1)), (1 << (integer.bits - 1)) - 1
    return 0, (1 << integer.bits) - 1


def to_camel_case(name: str) -> str:
    """`code_hash` -> `codeHash`; underscores at the ends go, so that `from_` means `from`."""
    first, *rest = [part for part in name.split("_") if part] or [""]
    return first + "".join([part[0].upper() + part[1:] for part in rest])


def iterate_types(t: SchemaType) -> Iterator[SchemaType]:
    """`t` and every type inside it, depth first; a type that occurs twice comes twice."""
    yield t
    if isinstance(t, StructType):
        for field in t.fields:
            yield from iterate_types(field.type)
    elif isinstance(t, TupleType):
        for item in t.items:
            yield from iterate_types(item)
    elif isinstance(t, SequenceType):
        yield from iterate_types(t.item)


def abi_type(t: SchemaType) -> str:
    """Solidity's name of the type with structs as tuples: "uint64", "(bytes32,address)[]"."""
    match t:
        case IntegerType(bits, signed):
            return f"{'int' if signed else 'uint'}{bits}"
        case FixedBytesType():
            return t.abi
        case BytesType():
            return "bytes"
        case BoolType():
            return "bool"
        case StringType():
            return "string"
        case StructType():
            return f"({','.join([abi_type(field.type) for field in t.fields])})"
        case TupleType():
            return f"({','.join([abi_type(item) for item in t.items])})"
        case SequenceType():
            return f"{abi_type(t.item)}[]"


def render_schema(t: SchemaType) -> str:
    """The type in microrollup's own canonical text, struct and field names included; part of the stfId's preimage."""
    match t:
        case StructType():
            return f"{t.name}{{{','.join([f'{field.name}:{render_schema(field.type)}' for field in t.fields])}}}"
        case TupleType():
            return f"({','.join([render_schema(item) for item in t.items])})"
        case SequenceType():
            return f"{render_schema(t.item)}[]"
        case _:
            return abi_type(t)


def _describe_struct(
    cls: type[msgspec.Struct], where: Where, path: str, outer: tuple[type, ...], *, may_be_empty: bool = False
) -> StructType:
    if not cls.__struct_config__.frozen:
        raise DeclarationError(path, f"{cls.__name__} can change; declare it with `frozen=True`")
    if not cls.__struct_config__.eq or cls.__eq__ is not msgspec.Struct.__eq__:
        raise DeclarationError(path, f"{cls.__name__} has an equality of its own; values are equal by their fields")
    if cls in outer:
        raise DeclarationError(path, f"{cls.__name__} contains itself")
    if not _TYPE_NAME.fullmatch(cls.__name__):
        raise DeclarationError(
            path, f"{cls.__name__!r} is not a type name for wallets: a capital, then letters and digits"
        )
    try:
        infos = msgspec.structs.fields(cls)
    except Exception as error:  # a forward reference can fail with whatever its expression raises
        raise DeclarationError(path, f"an annotation cannot be read: {error}") from error
    if not infos and not may_be_empty:
        raise DeclarationError(path, f"{cls.__name__} has no fields")
    fields: list[Field] = []
    for info in infos:
        field = _describe_field(info, where, f"{path}.{info.name}", (*outer, cls))
        if any(field.wire_name == other.wire_name for other in fields):
            raise DeclarationError(f"{path}.{info.name}", f"another field is called {field.wire_name} in JSON as well")
        fields.append(field)
    return StructType(cls, cls.__name__, tuple(fields))


def _describe_field(info: msgspec.structs.FieldInfo, where: Where, path: str, outer: tuple[type, ...]) -> Field:
    wire_name = to_camel_case(info.name)
    if not _WIRE_NAME.fullmatch(wire_name):
        raise DeclarationError(path, "the name must be ASCII letters, digits and underscores")
    if where == "action":
        if wire_name == "nonce" and len(outer) == 1:
            raise DeclarationError(path, "every action has a `nonce` already, the sender's; choose another name")
        if wire_name == "sender" and len(outer) == 1:
            raise DeclarationError(
                path, "members of a group of keys sign a `sender`, the group's address; choose another name"
            )
        if not info.required:
            raise DeclarationError(path, "a field of an action has no default: wallets sign every member")
    return Field(info.name, wire_name, _describe(info.type, where, path, outer))


def _describe(annotation: object, where: Where, path: str, outer: tuple[type, ...]) -> SchemaType:
    while isinstance(annotation, NewType):
        annotation = annotation.__supertype__
    origin = get_origin(annotation)
    if origin is Annotated:
        base, *extras = get_args(annotation)
        return _describe_annotated(base, extras, where, path, outer)
    if origin is list:
        return _describe_list(get_args(annotation), where, path, outer)
    if origin is tuple:
        return _describe_tuple(get_args(annotation), where, path, outer)
    if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
        return _describe_struct(annotation, where, path, outer)
    plain: SchemaType | None = _lookup(_PLAIN, annotation)
    if plain is not None:
        return plain
    raise DeclarationError(path, explain(annotation, where))


def _lookup(table: dict[object, T], key: object) -> T | None:
    """The table's entry; None if the key is absent or an annotation that cannot be hashed."""
    try:
        return table.get(key)
    except TypeError:
        return None


def _describe_annotated(
    base: object, extras: list[object], where: Where, path: str, outer: tuple[type, ...]
) -> SchemaType:
    marks = [extra for extra in extras if isinstance(extra, Integer | FixedBytes)]
    bounds = [extra for extra in extras if isinstance(extra, msgspec.Meta)]
    if len(marks) > 1:
        raise DeclarationError(path, "two scalar types in one annotation")
    if not marks:
        if bounds:
            raise DeclarationError(path, "bounds other than the type's own are the STF's to check, with `require`")
        return _describe(base, where, path, outer)
    mark = marks[0]
    own = _get_alias(mark)
    if own is None or own.__origin__ is not base:
        raise DeclarationError(path, f"{mark!r} is none of the scalar types of microrollup")
    if bounds != [extra for extra in own.__metadata__ if isinstance(extra, msgspec.Meta)]:
        raise DeclarationError(path, "bounds other than the type's own are the STF's to check, with `require`")
    if isinstance(mark, Integer):
        return IntegerType(mark.bits, mark.signed)
    return FixedBytesType(mark.size, mark.abi)


def _get_alias(mark: Integer | FixedBytes) -> Any:
    """The annotation in `primitives` that carries this mark, or None."""
    if isinstance(mark, Integer):
        alias = getattr(primitives, f"{'Int' if mark.signed else 'Uint'}{mark.bits}", None)
    else:
        alias = {"bytes32": primitives.Bytes32, "address": primitives.Address}.get(mark.abi)
    return alias if alias is not None and mark in get_args(alias) else None


def _describe_list(args: tuple[object, ...], where: Where, path: str, outer: tuple[type, ...]) -> SequenceType:
    if where == "state":
        item = show_annotation(args[0])
        raise DeclarationError(path, f"list[{item}] can change; use tuple[{item}, ...] in a state")
    return SequenceType(_describe(args[0], where, f"{path}[]", outer), list)


def _describe_tuple(args: tuple[object, ...], where: Where, path: str, outer: tuple[type, ...]) -> SchemaType:
    if where != "state":
        raise DeclarationError(path, f"a tuple has no EIP-712 form; use list[T], or a struct, in an {where}")
    if len(args) == 2 and args[1] is Ellipsis:
        return SequenceType(_describe(args[0], where, f"{path}[]", outer), tuple)
    if not args:
        raise DeclarationError(path, "an empty tuple holds nothing")
    return TupleType(tuple([_describe(arg, where, f"{path}[{i}]", outer) for i, arg in enumerate(args)]))
