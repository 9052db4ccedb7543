"""Annotations as an author wrote them, and what to write instead of those that cannot be fields."""

from __future__ import annotations

import dataclasses
import enum
import types
from collections.abc import Iterable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import PurePath
from typing import Annotated, Any, Final, Literal, NewType, TypeVar, Union, get_args, get_origin, is_typeddict
from uuid import UUID

from microrollup.primitives import FixedBytes, Integer

__all__ = ["explain", "show_annotation"]

_STRUCT: Final = "write it as a struct: class X(msgspec.Struct, frozen=True)"
_NUMBER: Final = "use an integer of a stated unit, as cents in Uint64"
_CHOICE: Final = "use Uint8 and named constants"
_ORDER: Final = "it has no order; use a Map in the state, or a tuple"
_KEYED: Final = "it is not a value; use a Map in the state"
_SEQUENCE: Final = {"state": "write tuple[T, ...]", "action": "write list[T]", "event": "write list[T]"}
_OPTIONAL: Final = {
    "state": "leave the key out of a Map, or use tuple[T, ...] with none or one",
    "action": "use list[T] with none or one, or an action of its own",
    "event": "use list[T] with none or one, or an event of its own",
}
_KINDS: Final = (
    "use Uint8 ... Uint256, Int8 ... Int256, Address, Bytes32, Bytes, bool, str, a frozen msgspec.Struct, or"
    " sequences of these"
)

_BY_CLASS: Final[tuple[tuple[tuple[type, ...], str], ...]] = (
    ((enum.Enum,), _CHOICE),
    ((int,), "it has no bounds; choose one of Uint8 ... Uint256 or Int8 ... Int256"),
    ((float, complex), f"floating point is not the same on every machine; {_NUMBER}"),
    ((Decimal, Fraction), _NUMBER),
    ((datetime, date, time), "use Uint64 seconds since 1970"),
    ((timedelta,), "use Uint64 seconds"),
    ((UUID,), "use Bytes32, or Bytes"),
    ((PurePath,), "use str"),
    ((bytearray, memoryview), "it can change; use Bytes"),
    ((str,), "use str itself"),
    ((bytes,), "use Bytes itself"),
    ((set, frozenset), _ORDER),
    ((Mapping,), _KEYED),
)
"""Subclasses included, in the order in which they are tried; `bool` never comes here."""


def explain(annotation: object, where: str) -> str:
    """Why an annotation cannot be a field of a state, an action or an event (`where`), and what to write instead."""
    shown, origin = show_annotation(annotation), get_origin(annotation) or annotation
    if origin is Union or origin is types.UnionType:
        others = [option for option in get_args(annotation) if option is not type(None)]
        if len(others) < len(get_args(annotation)):
            return f"{shown}: there is no optional field; {_OPTIONAL[where]}"
        return f"{shown}: a field has exactly one type; use one for all cases, or a field per case"
    return f"{shown} cannot be a field: {_choose_hint(annotation, origin, where)}"


def _choose_hint(annotation: object, origin: object, where: str) -> str:
    if origin is Literal:
        return _CHOICE
    if origin is Any or origin is object:
        return "it says nothing of the value; name the type"
    if isinstance(annotation, TypeVar):
        return "a field is of one type; name it"
    if is_typeddict(origin):
        return _STRUCT
    if not isinstance(origin, type):
        return _KINDS
    if origin.__name__ == "Map" and origin.__module__.startswith("microrollup."):
        if where != "state":
            return f"a Map is a field of a state only; {_SEQUENCE[where]}"
        if not get_args(annotation):
            return "write Map[K, V] with the types of keys and values"
        return "a Map is a field of the state itself; use a composite key, as in Map[tuple[Address, Uint64], V]"
    if dataclasses.is_dataclass(origin) or (issubclass(origin, tuple) and hasattr(origin, "_fields")):
        return _STRUCT
    for classes, hint in _BY_CLASS:
        if issubclass(origin, classes):
            return hint
    if issubclass(origin, Iterable):
        return f"{_SEQUENCE[where]} with the type of the items"
    return _KINDS if origin.__module__ in ("builtins", "typing", "types", "collections.abc") else _STRUCT


def show_annotation(annotation: object) -> str:
    """The annotation in Python's own words: `Uint64`, `list[Address]`, `Map[Bytes32, str]`, `Uint8 | None`."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    match annotation:
        case None | types.NoneType:
            return "None"
        case str():
            return annotation
        case NewType() | TypeVar():
            return annotation.__name__
    if origin is Annotated:
        return _show_annotated(arguments[0], arguments[1:])
    if origin is Union or origin is types.UnionType:
        return " | ".join([show_annotation(option) for option in arguments])
    if origin is Literal:
        return f"Literal[{', '.join([repr(option) for option in arguments])}]"
    if origin is not None:
        inner = ", ".join(["..." if each is Ellipsis else show_annotation(each) for each in arguments])
        return f"{_name(origin)}[{inner or '()'}]"
    return _name(annotation)


def _show_annotated(base: object, extras: tuple[object, ...]) -> str:
    """A scalar of this package by its name; any other with what is annotated."""
    rest = []
    for extra in extras:
        match extra:
            case Integer(bits, signed):
                base = f"{'Int' if signed else 'Uint'}{bits}"
            case FixedBytes():
                base = extra.abi.capitalize()
            case _:
                rest.append(extra)
    if isinstance(base, str):
        return base
    return f"Annotated[{', '.join([show_annotation(base), *map(_name, rest)])}]"


def _name(what: Any) -> str:
    name = getattr(what, "__qualname__", None) or getattr(what, "__name__", None) or repr(what).removeprefix("typing.")
    return str(name).rpartition(".<locals>.")[2]
