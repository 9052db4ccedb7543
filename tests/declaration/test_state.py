"""State shapes: what each field compiles to, and what is refused at declaration, by the field's name."""

from __future__ import annotations

import re
from typing import Annotated, Any

import msgspec
import pytest

from microrollup import Bytes, Bytes32, Int64, Map, State, Uint8, Uint16, Uint64, Uint256, leaf_value, metadata
from microrollup.codec.values import compile_codec
from microrollup.declaration.map import ABSENT
from microrollup.declaration.state import MAX_FIELDS, NONCES, describe_state
from microrollup.errors import DeclarationError, ValueOutOfBounds
from zoo import Zoo


def declare(annotation: Any, name: str = "field") -> type[State]:
    """A state of one field."""
    made = msgspec.defstruct("Declared", [(name, annotation)], bases=(State,), frozen=True)
    assert issubclass(made, State)
    return made


class Loose(msgspec.Struct):
    value: Uint8


class OwnEquality(msgspec.Struct, frozen=True):
    value: Uint8

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = None  # type: ignore[assignment]


class ByIdentity(msgspec.Struct, frozen=True, eq=False):
    value: Uint8


class HoldsFloat(msgspec.Struct, frozen=True):
    inner: float


@pytest.mark.parametrize(
    ("annotation", "named"),
    [
        (float, "field"),
        (int, "field"),
        (set[Uint8], "field"),
        (frozenset[Uint8], "field"),
        (list[Uint8], "field"),
        (dict[Uint8, Uint8], "field"),
        (Any, "field"),
        (object, "field"),
        (bytearray, "field"),
        (complex, "field"),
        (Uint8 | None, "field"),
        (tuple[Uint8, float], "field[1]"),
        (HoldsFloat, "field.inner"),
        (tuple[HoldsFloat, ...], "field[].inner"),
        (Loose, "field"),
        (OwnEquality, "field"),
        (ByIdentity, "field"),
        (Map[Uint8, float], "field"),
        (Map[Uint8, HoldsFloat], "field.inner"),
        (Map[Uint8, list[Uint8]], "field"),
        (Map[Uint8, Map[Uint8, Uint8]], "field"),
        (tuple[Map[Uint8, Uint8], ...], "field[]"),
        (Map[int, Uint8], "field (key)"),
        (Map[float, Uint8], "field (key)"),
        (Map[bool, Uint8], "field (key)"),
        (Map[Int64, Uint8], "field (key)"),
        (Map[tuple[bytes, Uint8], Uint8], "field (key)"),
        (Annotated[float, metadata], "field"),
        (Annotated[Map[int, Uint8], metadata], "field (key)"),
        ("Missing", "Declared"),
    ],
    ids=lambda value: re.sub(r" at 0x\w+", "", str(value)),
)
def test_refused_field(annotation: Any, named: str) -> None:
    """What has no one canonical form, could change, or has no bounds is refused with the field's dotted name."""
    with pytest.raises(DeclarationError) as caught:
        describe_state(declare(annotation))
    assert ("Declared" if named == "Declared" else f"Declared.{named}") == caught.value.where


@pytest.mark.parametrize("annotation", [Map, Map[Uint8, "Missing"], Map["Missing", Uint8]], ids=str)
def test_bare_map(annotation: Any) -> None:
    """A `Map` without types, or with types that do not exist, is refused as a declaration, not with another error."""
    with pytest.raises(DeclarationError):
        describe_state(declare(annotation))


def test_no_state() -> None:
    """A state is a frozen subclass of `State` with 1 to 4,096 fields."""

    class Thawed(State, frozen=False):
        value: Uint8

    empty = msgspec.defstruct("Empty", [], bases=(State,), frozen=True)
    huge = msgspec.defstruct("Huge", [(f"f{i}", Uint8) for i in range(MAX_FIELDS + 1)], bases=(State,), frozen=True)
    for cls in (Thawed, empty, huge, State, int, Loose):
        with pytest.raises(DeclarationError):
            describe_state(cls)  # type: ignore[arg-type]


def test_numbers_and_prefixes() -> None:
    """Settled and metadata fields are numbered apart, in declared order; rows and commitments keep them apart."""
    fields = {field.name: field for field in describe_state(Zoo).fields}
    numbers = {name: (field.settled, field.number, field.row_prefix) for name, field in fields.items()}
    assert {
        "animals": (True, 0, b"\x00\x00"),
        "tickets": (True, 1, b"\x00\x01"),
        "visitors": (True, 2, b"\x00\x02"),
        "notes": (False, 0, b"\x80\x00"),
        "motto": (False, 1, b"\x80\x01"),
        "guards": (True, 3, b"\x00\x03"),
    } == numbers
    assert ["animals", "tickets", "notes", "guards"] == [field.name for field in fields.values() if field.is_map]
    assert (0xFFFF, b"\xff\xff", False) == (NONCES.number, NONCES.row_prefix, NONCES.settled)
    assert NONCES.row_prefix not in {field.row_prefix for field in fields.values()}
    assert "motto" == describe_state(Zoo).get_field("motto").name
    with pytest.raises(KeyError):
        describe_state(Zoo).get_field("nothing")


def test_keys_and_values() -> None:
    """Keys are the design's bytes, values canonical msgpack in rows and `abi.encode` in leaves; each goes back."""

    class Shapes(State, frozen=True):
        by_text: Map[str, Uint16]
        by_number: Map[Uint16, bool]
        by_bytes: Annotated[Map[Bytes, Bytes32], metadata]
        pair: tuple[Uint8, Uint256]

    text, number, raw, pair = describe_state(Shapes).fields
    assert ("ä".encode(), (300).to_bytes(32, "big"), b"\x07") == (
        text.encode_key("ä"), number.encode_key(300), raw.encode_key(b"\x07")
    )  # fmt: skip
    assert b"" == pair.encode_key(None)
    assert ("ä", 300, b"\x07", None) == (
        text.decode_key("ä".encode()), number.decode_key((300).to_bytes(32, "big")), raw.decode_key(b"\x07"),
        pair.decode_key(b""),
    )  # fmt: skip
    assert (256).to_bytes(32, "big") == text.encode_leaf(256)
    assert bytes(31) + b"\x01" == number.encode_leaf(True)
    value = (7, 2**200)
    assert value == pair.decode_row(pair.encode_row(value))
    assert (7).to_bytes(32, "big") + (2**200).to_bytes(32, "big") == pair.encode_leaf(value)
    for bad in ((7,), (7, 2**256), [7, 8], (True, 8)):
        with pytest.raises(ValueOutOfBounds):
            pair.check(bad)


def test_leaf_value() -> None:
    """A declared function gives the leaf's bytes instead: at least one, and bytes."""

    class Own(State, frozen=True):
        good: Annotated[Map[Uint8, Uint16], leaf_value(lambda value: value.to_bytes(2, "big"))]
        empty: Annotated[Uint8, leaf_value(lambda value: b"")]
        text: Annotated[Uint8, leaf_value(lambda value: "x")]  # type: ignore[arg-type,return-value]
        large: Annotated[Uint8, leaf_value(lambda value: bytes((1 << 20) + 1))]

    good, empty, text, large = describe_state(Own).fields
    assert b"\x01\x00" == good.encode_leaf(256)
    for field in (empty, text, large):
        with pytest.raises(ValueOutOfBounds):
            field.encode_leaf(1)


@pytest.mark.parametrize(
    ("marks", "said"),
    [
        ((metadata, leaf_value(bytes)), "metadata has no leaf"),
        ((leaf_value(bytes), metadata), "metadata has no leaf"),
        ((leaf_value(bytes), leaf_value(str.encode)), "one `leaf_value`"),
        ((leaf_value(b"leaf"),), "takes a function"),  # type: ignore[arg-type]
    ],
)
def test_refused_leaf_values(marks: tuple[Any, ...], said: str) -> None:
    """A `leaf_value` that nothing would commit to, or that is none, is refused; one of a settled field is taken."""
    assert describe_state(declare(Annotated[Bytes, leaf_value(bytes)])).fields[0].settled
    with pytest.raises(DeclarationError, match=f"Declared.field: .*{said}"):
        describe_state(declare(Annotated[(Bytes, *marks)]))


def test_schema_text() -> None:
    """The schema names fields, order, kinds and types: whatever changes the meaning of a store changes the text."""
    shapes = [
        declare(Map[Uint8, Uint8]),
        declare(Map[Uint8, Uint16]),
        declare(Map[Uint16, Uint8]),
        declare(Annotated[Map[Uint8, Uint8], metadata]),
        declare(Map[Uint8, Uint8], "other"),
        declare(Uint8),
        declare(tuple[Uint8, Uint8]),
        declare(tuple[Uint8, ...]),
    ]
    assert len(shapes) == len({describe_state(shape).schema for shape in shapes})
    assert "Declared{field:settled:map(uint8,uint8)}" == describe_state(shapes[0]).schema


def test_absent_is_no_value() -> None:
    """The marker of absence shows itself in a debugger and is nothing that a codec would take."""
    assert "ABSENT" == repr(ABSENT)
    field = describe_state(declare(Uint64)).fields[0]
    with pytest.raises(ValueOutOfBounds):
        field.check(ABSENT)
    with pytest.raises(TypeError):
        compile_codec(field.value_type).encode(ABSENT)
