"""Which annotations may stand in a state, an action or an event, and what they are called outside Python."""

from __future__ import annotations

from typing import Annotated, Any, NewType, Union

import msgspec
import pytest

from microrollup.codec.schema import (
    BoolType,
    BytesType,
    Field,
    FixedBytesType,
    IntegerType,
    SequenceType,
    StringType,
    StructType,
    TupleType,
    abi_type,
    compute_bounds,
    describe_struct,
    describe_type,
    iterate_types,
    render_schema,
    to_camel_case,
)
from microrollup.declaration.action import Action, Event
from microrollup.errors import DeclarationError
from microrollup.primitives import Address, Bytes, Bytes32, FixedBytes, Int24, Integer, Uint8, Uint64, Uint256


class Point(msgspec.Struct, frozen=True):
    """A nested struct."""

    x_axis: Uint64
    y_axis: Int24


class Everything(Action, frozen=True):
    """An action with every kind of field."""

    owner: Address
    code_hash: Bytes32
    data: Bytes
    flag: bool
    label: str
    amount: Uint256
    corners: list[Point]


class Loop(msgspec.Struct, frozen=True):
    """A struct that contains itself."""

    inner: tuple[Loop, ...]


class Mutable(msgspec.Struct):
    """A struct that can change."""

    x: Uint64


class Empty(msgspec.Struct, frozen=True):
    """A struct of nothing."""


def test_an_action_is_described_field_by_field() -> None:
    """Fields keep their order; each has its Python name, its camelCase name and its type."""
    point = StructType(
        Point,
        "Point",
        (Field("x_axis", "xAxis", IntegerType(64, False)), Field("y_axis", "yAxis", IntegerType(24, True))),
    )
    expected = StructType(
        Everything,
        "Everything",
        (
            Field("owner", "owner", FixedBytesType(20, "address")),
            Field("code_hash", "codeHash", FixedBytesType(32, "bytes32")),
            Field("data", "data", BytesType()),
            Field("flag", "flag", BoolType()),
            Field("label", "label", StringType()),
            Field("amount", "amount", IntegerType(256, False)),
            Field("corners", "corners", SequenceType(point, list)),
        ),
    )
    assert expected == describe_struct(Everything, where="action")


def test_types_have_their_solidity_names() -> None:
    """Structs are tuples to the ABI, sequences are dynamic arrays."""
    assert "(address,bytes32,bytes,bool,string,uint256,(uint64,int24)[])" == abi_type(
        describe_struct(Everything, where="action")
    )


def test_the_schema_text_holds_every_name() -> None:
    """The stfId changes with the name of a struct or a field: the text has them all."""
    expected = (
        "Everything{owner:address,code_hash:bytes32,data:bytes,flag:bool,label:string,amount:uint256,"
        "corners:Point{x_axis:uint64,y_axis:int24}[]}"
    )
    assert expected == render_schema(describe_struct(Everything, where="action"))


def test_tuples_and_new_types_stand_in_states() -> None:
    """A state holds tuples, fixed and of any length; a NewType is what it names."""
    height = NewType("height", Uint64)
    found = describe_type(tuple[height, tuple[bool, ...]], where="state", path="s")
    assert TupleType((IntegerType(64, False), SequenceType(BoolType(), tuple))) == found
    assert "(uint64,bool[])" == render_schema(found)
    assert 4 == len(list(iterate_types(found)))


@pytest.mark.parametrize(
    ("name", "expected"),
    [("code_hash", "codeHash"), ("a", "a"), ("from_", "from"), ("a_1b", "a1b"), ("xAxis", "xAxis"), ("_", "")],
)
def test_names_become_camel_case(name: str, expected: str) -> None:
    """Words are joined, their first letters raised but the first word's; outer underscores go."""
    assert expected == to_camel_case(name)


def test_bounds_are_those_of_solidity() -> None:
    """The bounds of uintN and intN."""
    assert (0, 255) == compute_bounds(IntegerType(8, signed=False))
    assert (-(2**255), 2**255 - 1) == compute_bounds(IntegerType(256, signed=True))


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        (int, "no bounds"),
        (float, "floating point"),
        (set[int], "order"),
        (dict[str, int], "Map"),
        (Any, "name the type"),
        (bytearray, "Bytes"),
        (list, r"tuple\[T, ...\]"),
        (tuple, r"tuple\[T"),
        (tuple[()], "empty tuple"),
        (list[Uint64], "tuple"),
        (Uint64 | None, "no optional field"),
        (Union[Uint64, bool], "exactly one type"),  # noqa: UP007 - the older spelling is a form of its own
        (None, "None cannot be a field"),
        (msgspec.UNSET, "UNSET cannot be a field"),
        (Annotated[bytes, msgspec.Meta(max_length=4)], "require"),
        (Annotated[Uint64, msgspec.Meta(le=4)], "require"),
        (Annotated[int, Integer(64, signed=False)], "require"),
        (Annotated[int, Integer(63, signed=False)], "none of the scalar types"),
        (Annotated[str, FixedBytes(32, "bytes32")], "none of the scalar types"),
        (Annotated[Uint64, Integer(8, signed=False)], "two scalar types"),
        (Mutable, "frozen"),
        (Loop, "contains itself"),
        (tuple[Loop, ...], "contains itself"),
        (Empty, "no fields"),
        (msgspec.defstruct("uint64", [("x", Uint64)], frozen=True), "not a type name"),
        (msgspec.defstruct("Unreadable", [("x", "Missing")], frozen=True), "cannot be read"),
    ],
)
def test_what_cannot_be_committed_to_is_refused(annotation: object, words: str) -> None:
    """A state takes no type without bounds, order, immutability or a single ABI form; the error names the path."""
    with pytest.raises(DeclarationError, match=words) as caught:
        describe_type(annotation, where="state", path="Root.field")
    assert caught.value.where.startswith("Root.field")


def _define(name: str, annotation: object, **options: Any) -> type[msgspec.Struct]:
    return msgspec.defstruct("Bad", [(name, annotation, *options.values())], bases=(Action,), frozen=True)


@pytest.mark.parametrize(
    ("cls", "where", "words"),
    [
        (_define("nonce", Uint64), "Bad.nonce", "has a `nonce` already"),
        (_define("nonce_", Uint64), "Bad.nonce_", "has a `nonce` already"),
        (_define("amount", Uint64, default=0), "Bad.amount", "no default"),
        (_define("größe", Uint64), "Bad.größe", "ASCII"),
        (_define("_", Uint64), "Bad._", "ASCII"),
        (_define("pair", tuple[Uint64, Uint64]), "Bad.pair", "EIP-712"),
        (_define("many", tuple[Uint64, ...]), "Bad.many", "EIP-712"),
        (_define("deep", list[list[int]]), r"Bad.deep[][]", "no bounds"),
        (_define("inner", msgspec.defstruct("In", [("x", float)], frozen=True)), "Bad.inner.x", "floating"),
    ],
)
def test_what_cannot_be_signed_is_refused(cls: type[msgspec.Struct], where: str, words: str) -> None:
    """An action takes no field that a wallet would sign otherwise or not at all; the error names the dotted path."""
    with pytest.raises(DeclarationError, match=words) as caught:
        describe_struct(cls, where="action")
    assert where == caught.value.where


def test_two_fields_of_one_wire_name_are_refused() -> None:
    """`code_hash` and `codeHash` would be one member to a wallet, in an action, an event and a struct alike."""
    for bases in ((msgspec.Struct,), (Action,), (Event,)):
        cls = msgspec.defstruct("Bad", [("code_hash", Uint8), ("codeHash", Uint8)], bases=bases, frozen=True)
        with pytest.raises(DeclarationError, match=r"Bad\.codeHash: .*codeHash in JSON as well"):
            describe_struct(cls, where="event" if bases == (Event,) else "action")


def test_a_nonce_is_fine_where_no_sender_has_one() -> None:
    """Only an action's own members collide with the kernel's nonce: an event, or a struct inside, may have the name."""
    inner = msgspec.defstruct("Inner", [("nonce", Uint64)], frozen=True)
    event = msgspec.defstruct("Done", [("nonce", Uint64)], bases=(Event,), frozen=True)
    assert "Done{nonce:uint64}" == render_schema(describe_struct(event, where="event"))
    cls = msgspec.defstruct("Good", [("inner", inner)], bases=(Action,), frozen=True)
    assert "Good{inner:Inner{nonce:uint64}}" == render_schema(describe_struct(cls, where="action"))
