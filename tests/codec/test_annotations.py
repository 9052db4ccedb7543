"""Annotations are shown as their author wrote them, and a refusal says what to write instead."""

from __future__ import annotations

import dataclasses
import enum
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, NewType, Optional, TypedDict, TypeVar, Union
from uuid import UUID

import msgspec
import pytest

from microrollup import Action, Event, Map, State
from microrollup.codec.annotations import show_annotation
from microrollup.codec.schema import describe_struct, describe_type
from microrollup.declaration.state import describe_state
from microrollup.errors import DeclarationError
from microrollup.primitives import Address, Bytes, Bytes32, Int24, Uint8, Uint64

T = TypeVar("T")
Height = NewType("Height", Uint64)


class Color(enum.Enum):
    RED = 1


class Level(enum.IntEnum):
    LOW = 1


class Pair(NamedTuple):
    left: int


class Form(TypedDict):
    left: int


@dataclasses.dataclass(frozen=True)
class Record:
    left: int


class Point(msgspec.Struct, frozen=True):
    x: Uint8


class Name(str):
    __slots__ = ()


@pytest.mark.parametrize(
    ("annotation", "shown"),
    [
        (Uint64, "Uint64"),
        (Int24, "Int24"),
        (Address, "Address"),
        (Bytes32, "Bytes32"),
        (bytes, "bytes"),
        (Point, "Point"),
        (Height, "Height"),
        (T, "T"),
        (None, "None"),
        (Any, "Any"),
        ("Missing", "Missing"),
        (list[Uint64], "list[Uint64]"),
        (tuple[Uint64, ...], "tuple[Uint64, ...]"),
        (tuple[Uint8, Address], "tuple[Uint8, Address]"),
        (tuple[()], "tuple[()]"),
        (Map[Bytes32, Map[Uint8, str]], "Map[Bytes32, Map[Uint8, str]]"),
        (Uint64 | None, "Uint64 | None"),
        (Optional[Address], "Address | None"),  # noqa: UP045 - the older spelling is a form of its own
        (Union[Uint64, Bytes32], "Uint64 | Bytes32"),  # noqa: UP007 - the same
        (Literal["a", 1], "Literal['a', 1]"),
        (dict[str, list[Uint8]], "dict[str, list[Uint8]]"),
        (Annotated[bytes, "mark"], "Annotated[bytes, 'mark']"),
    ],
)
def test_annotations_as_they_were_written(annotation: object, shown: str) -> None:
    """Scalars have their names in this package, not the marks that they are made of."""
    assert shown == show_annotation(annotation)


INSTEAD: list[tuple[Any, str]] = [
    (int, "int cannot be a field: it has no bounds; choose one of Uint8"),
    (float, "float cannot be a field: floating point .* use an integer of a stated unit"),
    (complex, "integer of a stated unit"),
    (Decimal, "Decimal cannot be a field: use an integer of a stated unit"),
    (Fraction, "integer of a stated unit"),
    (Color, "Color cannot be a field: use Uint8 and named constants"),
    (Level, "Level cannot be a field: use Uint8 and named constants"),
    (Literal["a"], r"Literal\['a'\] cannot be a field: use Uint8 and named constants"),
    (datetime, "datetime cannot be a field: use Uint64 seconds"),
    (timedelta, "use Uint64 seconds"),
    (Record, r"Record cannot be a field: .*class X\(msgspec.Struct, frozen=True\)"),
    (Pair, r"Pair cannot be a field: .*class X\(msgspec.Struct, frozen=True\)"),
    (Form, r"Form cannot be a field: .*class X\(msgspec.Struct, frozen=True\)"),
    (Path, "use str"),
    (UUID, "use Bytes32"),
    (Name, "use str itself"),
    (bytearray, "it can change; use Bytes"),
    (set[Uint8], r"set\[Uint8\] cannot be a field: it has no order; use a Map"),
    (dict[str, Uint8], r"dict\[str, Uint8\] cannot be a field: it is not a value; use a Map"),
    (Counter, "use a Map"),
    (Any, "name the type"),
    (object, "name the type"),
    (T, "T cannot be a field: a field is of one type"),
    (Callable[[Uint8], Uint8], "use Uint8 ... Uint256"),
    (None, "None cannot be a field: use Uint8 ... Uint256"),
    (Union[Uint64, Bytes32], "exactly one type"),  # noqa: UP007
]


@pytest.mark.parametrize("where", ["state", "action", "event"])
@pytest.mark.parametrize(("annotation", "said"), INSTEAD, ids=lambda value: str(value)[:40])
def test_what_to_write_instead(annotation: object, said: str, where: Any) -> None:
    """Whatever cannot be a field of a state, an action or an event is named, with what to write instead."""
    with pytest.raises(DeclarationError, match=f"^Root.field: .*{said}"):
        describe_type(annotation, where=where, path="Root.field")


@pytest.mark.parametrize(
    ("where", "annotation", "said"),
    [
        (
            "state",
            Uint64 | None,
            r"Uint64 \| None: there is no optional field; leave the key out of a Map",
        ),
        ("action", Uint64 | None, r"Uint64 \| None: there is no optional field; use list\[T\]"),
        ("event", Uint64 | None, r"Uint64 \| None: there is no optional field; use list\[T\]"),
        ("state", list, r"list cannot be a field: write tuple\[T, ...\]"),
        ("action", list, r"list cannot be a field: write list\[T\]"),
        ("state", list[Uint8], r"list\[Uint8\] can change; use tuple\[Uint8, ...\]"),
        ("action", tuple[Uint8, ...], r"use list\[T\], or a struct, in an action"),
        ("event", tuple[Uint8, Uint8], r"use list\[T\], or a struct, in an event"),
        ("state", Sequence[Uint8], r"Sequence\[Uint8\] cannot be a field: write tuple\[T, ...\]"),
        ("action", Iterable[Uint8], r"Iterable\[Uint8\] cannot be a field: write list\[T\]"),
        ("state", deque, r"write tuple\[T, ...\]"),
        ("state", Map[Uint8, Uint8], "a Map is a field of the state itself; use a composite key"),
        ("action", Map[Uint8, Uint8], r"a Map is a field of a state only; write list\[T\]"),
    ],
)
def test_what_to_write_instead_depends_on_the_place(where: Any, annotation: object, said: str) -> None:
    """Sequences, optional values and maps have another form in a state than in an action or event."""
    with pytest.raises(DeclarationError, match=f"^Root.field: .*{said}"):
        describe_type(annotation, where=where, path="Root.field")


@pytest.mark.parametrize(
    ("annotation", "said"),
    [
        (Map, r"Shape.field: Map cannot be a field: write Map\[K, V\]"),
        (Map[Address, Map[Uint8, Uint8]], r"Shape.field: Map\[Uint8, Uint8\] cannot .* composite key"),
        (
            Map[tuple[bytes, Uint8], Uint8],
            r"Shape.field \(key\): tuple\[bytes, Uint8\] cannot be a key: only the last",
        ),
        (Map[Int24, Uint8], r"Shape.field \(key\): Int24 cannot be a key: .*signed"),
        (Map[Point, Uint8], r"Shape.field \(key\): Point cannot be a key; .* tuple of these"),
        (Map[Uint8, Decimal], "Shape.field: Decimal cannot be a field"),
    ],
)
def test_maps_that_cannot_be(annotation: Any, said: str) -> None:
    """A nested map, and a key that cannot be one, are refused by their names, with what to use."""
    cls = msgspec.defstruct("Shape", [("field", annotation)], bases=(State,), frozen=True)
    with pytest.raises(DeclarationError, match=f"^{said}"):
        describe_state(cls)


@pytest.mark.parametrize("base", [Action, Event])
def test_what_can_be_is_taken(base: type[msgspec.Struct]) -> None:
    """The types that the refusals name are taken."""
    members = [
        ("when", Uint64),
        ("kind", Uint8),
        ("text", str),
        ("raw", Bytes),
        ("point", Point),
        ("maybe", list[Point]),
    ]
    cls = msgspec.defstruct("Good", members, bases=(base,), frozen=True)
    assert 6 == len(describe_struct(cls, where="action").fields)
