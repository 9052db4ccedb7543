"""How msgspec sees a type: itself where msgspec can hold it exactly, otherwise a twin with conversions.

A twin is needed for integers of more than 64 bits (32 bytes, big-endian two's complement, on the wire) and for structs
that are not declared as strict arrays.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from types import GenericAlias
from typing import Annotated, Any, Final, TypeAlias, cast

import msgspec
from msgspec import Meta

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
    iterate_types,
)
from microrollup.errors import DecodeError

__all__ = ["WireForm", "compile_constructor", "compile_wire_form"]

_Convert: TypeAlias = Callable[[Any], Any]

_WORD: Final = Annotated[bytes, Meta(min_length=32, max_length=32)]


class WireForm(msgspec.Struct, frozen=True):
    """How msgspec sees a type: the annotation to decode into, and the way from and to values of it.

    `lower` and `lift` are None where the value itself is what msgspec encodes and decodes. `lift` raises `DecodeError`.
    """

    annotation: Any
    lower: _Convert | None
    lift: _Convert | None


def compile_wire_form(t: SchemaType) -> WireForm:
    """The msgspec form of a type: the type itself where msgspec can hold it exactly, otherwise a twin."""
    if all(_is_direct(inner) for inner in iterate_types(t)):
        return WireForm(_annotate(t), None, None)
    match t:
        case IntegerType():
            return _wire_wide_integer(t)
        case StructType():
            return _wire_struct(t)
        case TupleType():
            return _wire_tuple(t)
        case SequenceType():
            return _wire_sequence(t)
        case _:
            raise AssertionError(t)


def compile_constructor(t: StructType) -> Callable[[Iterable[Any]], Any]:
    """A function that makes the struct of its fields' values, given in declared order."""
    cls, names = t.cls, [field.name for field in t.fields]
    parameters = inspect.signature(cls).parameters.values()
    if any(parameter.kind is inspect.Parameter.KEYWORD_ONLY for parameter in parameters):
        return lambda values: cls(**dict(zip(names, values, strict=True)))
    return lambda values: cls(*values)


def _is_direct(t: SchemaType) -> bool:
    """True if msgspec itself reads and writes exactly the wanted bytes for this node of a type."""
    if isinstance(t, IntegerType):
        return t.bits <= 64
    if isinstance(t, StructType):
        config = t.cls.__struct_config__
        return config.array_like and config.forbid_unknown_fields and config.tag is None and not config.omit_defaults
    return True


def _annotate(t: SchemaType) -> Any:
    """The annotation of a direct type, built again from its description."""
    match t:
        case IntegerType(64, False):
            return Annotated[int, Meta(ge=0)]
        case IntegerType():
            low, high = compute_bounds(t)
            return Annotated[int, Meta(ge=low, le=high)]
        case FixedBytesType():
            return Annotated[bytes, Meta(min_length=t.size, max_length=t.size)]
        case BytesType():
            return bytes
        case BoolType():
            return bool
        case StringType():
            return str
        case StructType():
            return t.cls
        case TupleType():
            return GenericAlias(tuple, tuple([_annotate(item) for item in t.items]))
        case SequenceType():
            return _sequence_annotation(t.container, _annotate(t.item))


def _sequence_annotation(container: type[Any], item: Any) -> Any:
    return list[item] if container is list else tuple[item, ...]


def _wire_wide_integer(t: IntegerType) -> WireForm:
    low, high = compute_bounds(t)
    signed = t.signed

    def lower(value: int) -> bytes:
        return value.to_bytes(32, "big", signed=signed)

    def lift(raw: bytes) -> int:
        value = int.from_bytes(raw, "big", signed=signed)
        if not low <= value <= high:
            raise DecodeError(abi_type(t), "the integer is out of range")
        return value

    return WireForm(_WORD, lower, lift)


def _keep(value: Any) -> Any:
    return value


def _wire_struct(t: StructType) -> WireForm:
    forms = [compile_wire_form(field.type) for field in t.fields]
    names = [field.name for field in t.fields]
    lowers = [form.lower or _keep for form in forms]
    lifts = [form.lift or _keep for form in forms]
    twin = msgspec.defstruct(
        f"{t.name}Wire",
        [(name, form.annotation) for name, form in zip(names, forms, strict=True)],
        frozen=True,
        array_like=True,
        forbid_unknown_fields=True,
    )
    astuple, construct = msgspec.structs.astuple, compile_constructor(t)

    def lower(value: msgspec.Struct) -> msgspec.Struct:
        return twin(*[convert(item) for convert, item in zip(lowers, astuple(value), strict=True)])

    def lift(wire: msgspec.Struct) -> Any:
        return construct([convert(item) for convert, item in zip(lifts, astuple(wire), strict=True)])

    return WireForm(twin, lower, lift)


def _wire_tuple(t: TupleType) -> WireForm:
    forms = [compile_wire_form(item) for item in t.items]
    lowers = [form.lower or _keep for form in forms]
    lifts = [form.lift or _keep for form in forms]

    def lower(value: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple([convert(item) for convert, item in zip(lowers, value, strict=True)])

    def lift(wire: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple([convert(item) for convert, item in zip(lifts, wire, strict=True)])

    return WireForm(GenericAlias(tuple, tuple([form.annotation for form in forms])), lower, lift)


def _wire_sequence(t: SequenceType) -> WireForm:
    form = compile_wire_form(t.item)
    container = cast("Callable[[list[Any]], Any]", t.container)
    lower_item, lift_item = form.lower or _keep, form.lift or _keep

    def lower(value: Any) -> Any:
        return container([lower_item(item) for item in value])

    def lift(wire: Any) -> Any:
        return container([lift_item(item) for item in wire])

    return WireForm(_sequence_annotation(t.container, form.annotation), lower, lift)
