"""msgspec encodes a type itself where it can, and a twin where it cannot."""

from __future__ import annotations

import msgspec
import pytest

from microrollup.codec.schema import describe_struct
from microrollup.codec.values import compile_codec
from microrollup.codec.wire import compile_constructor, compile_wire_form
from microrollup.primitives import Uint8, Uint64, Uint72


class Strict(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Encoded as it is."""

    count: Uint64


class Tagged(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=True):
    """msgspec would write the tag."""

    count: Uint64


class Object(msgspec.Struct, frozen=True):
    """msgspec would write a map."""

    count: Uint64


class Wide(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """msgspec cannot write the integer."""

    count: Uint72


class Keyword(msgspec.Struct, frozen=True, kw_only=True):
    """Takes its fields by name only."""

    count: Uint64
    small: Uint8 = 0


def test_a_strict_struct_is_its_own_form() -> None:
    """No conversion, and the class itself to decode into: one msgspec call each way."""
    form = compile_wire_form(describe_struct(Strict, where="state"))
    assert (Strict, None, None) == (form.annotation, form.lower, form.lift)


@pytest.mark.parametrize("value", [Tagged(7), Object(7), Wide(7)])
def test_other_structs_have_a_twin(value: msgspec.Struct) -> None:
    """However the class is declared, a struct is the array of its fields."""
    t = describe_struct(type(value), where="state")
    assert compile_wire_form(t).lower is not None
    codec = compile_codec(t)
    body = b"\xc4\x20" + (7).to_bytes(32, "big") if isinstance(value, Wide) else b"\x07"
    assert b"\x91" + body == codec.encode(value)
    assert value == codec.decode(codec.encode(value))


def test_structs_are_made_in_declared_order() -> None:
    """Also those that take their fields by name only."""
    assert Keyword(count=1, small=2) == compile_constructor(describe_struct(Keyword, where="state"))([1, 2])
    assert Strict(1) == compile_constructor(describe_struct(Strict, where="state"))([1])
