"""JSON objects become values in one way only, and values become JSON that reads back."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microrollup.codec.json import compile_json_reader, to_json_value
from microrollup.codec.json_text import parse_json
from microrollup.codec.schema import describe_type
from microrollup.errors import (
    BadHex,
    MissingMember,
    OutOfRange,
    RefusedError,
    UnknownMember,
    WrongJsonType,
    WrongLength,
)
from microrollup.primitives import Address, Bytes32, Int8, Int256, Uint8, Uint64, Uint256
from microrollup.testing.strategies import values
from shapes import field_annotations


class Pair(msgspec.Struct, frozen=True):
    """A nested struct."""

    first_one: Uint8
    second: bool


def read(annotation: object, text: str) -> Any:
    """What a type's reader makes of a JSON text."""
    where: Any = "event" if "list" in str(annotation) else "state"
    t = describe_type(annotation, where=where, path="x")
    return compile_json_reader(t, "x")(parse_json(text.encode()))


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_every_value_survives(data: st.DataObject) -> None:
    """read(write(v)) == v for any value of any type, through the text of another JSON library."""
    t = describe_type(data.draw(field_annotations("event")), where="event", path="x")
    value = data.draw(values(t))
    text = json.dumps(to_json_value(t, value))
    assert value == compile_json_reader(t, "x")(parse_json(text.encode()))


def test_large_integers_are_written_as_strings() -> None:
    """JavaScript loses digits from 2**53 on."""
    t = describe_type(Int256, where="state", path="x")
    expected = [2**53 - 1, str(2**53), -(2**53) + 1, str(-(2**53))]
    assert expected == [to_json_value(t, value) for value in (2**53 - 1, 2**53, -(2**53) + 1, -(2**53))]


@pytest.mark.parametrize(
    ("annotation", "text", "expected"),
    [
        (Uint8, "0", 0),
        (Uint8, "255", 255),
        (Uint8, '"255"', 255),
        (Uint8, '"0"', 0),
        (Uint8, '"0x0"', 0),
        (Uint8, '"0xfF"', 255),
        (Int8, "-128", -128),
        (Int8, '"-128"', -128),
        (Uint256, str(2**256 - 1), 2**256 - 1),
        (Uint256, f'"{2**256 - 1}"', 2**256 - 1),
        (Uint256, f'"{2**256 - 1:#x}"', 2**256 - 1),
        (bytes, '"0x"', b""),
        (bytes, '"0xaBCd"', b"\xab\xcd"),
        (Address, f'"0x{"1f" * 20}"', b"\x1f" * 20),
        (bool, " true ", True),
        (str, '"\\ud83d\\ude00"', "\U0001f600"),
        (Pair, '{"second":false,"firstOne":1}', Pair(1, False)),
        (list[Uint8], "[1,2]", [1, 2]),
        (tuple[Uint8, bool], "[1,true]", (1, True)),
        (tuple[Uint8, ...], "[1,2]", (1, 2)),
    ],
)
def test_these_forms_are_read(annotation: object, text: str, expected: object) -> None:
    """Integers as number, decimal or 0x string; bytes as 0x-hex in either case; members in any order."""
    assert expected == read(annotation, text)


@pytest.mark.parametrize(
    ("annotation", "text", "error"),
    [
        (Uint8, "256", OutOfRange),
        (Uint8, "-1", OutOfRange),
        (Uint8, '"256"', OutOfRange),
        (Uint64, "18446744073709551616", OutOfRange),
        (Uint256, "1" + "0" * 5000, OutOfRange),
        (Uint256, f'"1{"0" * 5000}"', OutOfRange),
        (Uint256, f'"{2**256}"', OutOfRange),
        *[(Uint8, text, WrongJsonType) for text in ("1.0", "1e0", "1E400", "-0", "-0.0", "true", "null", "[]", "{}")],
        *[
            (Uint8, f'"{text}"', WrongJsonType)
            for text in ("", "-0", "+1", " 1", "1 ", "01", "0x", "0X1", "0x01", "-0x1", "1_0", "1.0", "\u0661", "1\\n")
        ],
        (Int8, '"-01"', WrongJsonType),
        (bytes, "1", WrongJsonType),
        (bytes, "1" + "0" * 100, WrongJsonType),
        (bytes, "1.5", WrongJsonType),
        (bytes, "null", WrongJsonType),
        *[
            (bytes, f'"{text}"', BadHex)
            for text in ("", "0", "00", "0X00", "0x0", "0x0 0", "0x 00", "0xgg", "0xä0", "0x\u0661\u0661")
        ],
        (Bytes32, '"0x00"', WrongLength),
        (Address, f'"0x{"00" * 21}"', WrongLength),
        (bool, "1", WrongJsonType),
        (bool, '"true"', WrongJsonType),
        (str, "1", WrongJsonType),
        (str, "1.5", WrongJsonType),
        (str, "-0", WrongJsonType),
        (str, '"\\ud800"', WrongJsonType),
        (Pair, "[1,true]", WrongJsonType),
        (Pair, "null", WrongJsonType),
        (Pair, '{"firstOne":1}', MissingMember),
        (Pair, '{"first_one":1,"second":true}', MissingMember),
        (Pair, '{"firstOne":1,"second":true,"third":1}', UnknownMember),
        (list[Uint8], '{"0":1}', WrongJsonType),
        (list[Uint8], "[256]", OutOfRange),
        (tuple[Uint8, bool], "[1]", WrongLength),
        (tuple[Uint8, bool], "1", WrongJsonType),
        (tuple[Uint8, ...], "1", WrongJsonType),
    ],
)
def test_other_forms_are_refused(annotation: object, text: str, error: type[RefusedError]) -> None:
    """One class a cause, and the detail names the place."""
    with pytest.raises(error, match=r"^x") as caught:
        read(annotation, text)
    assert error is type(caught.value)


def test_the_error_names_the_inner_member() -> None:
    """A refusal deep inside names the path to it."""
    with pytest.raises(OutOfRange, match=r"x\[\]\.firstOne"):
        read(list[Pair], '[{"firstOne":256,"second":true}]')
