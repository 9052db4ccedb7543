"""Documents: what one Struct declares is what is written, what is described and what is read."""

from typing import Annotated, Any, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET, Meta, Struct, UnsetType

from microrollup.codec.document import compile_form, read_document, to_document
from microrollup.codec.json_text import parse_json
from microrollup.errors import DeclarationError, MicrorollupError, RefusedError
from microrollup.primitives import Address, Bytes, Bytes32, Int64, Uint8, Uint64, Uint256

SCALARS = {"Uint8", "Uint64", "Int64", "Uint256", "Bytes32", "Address", "Bytes"}


class Leg(Struct, frozen=True, forbid_unknown_fields=True):
    """Read strictly."""

    toes: Uint8
    side: Literal["left", "right"]


class Horse(Struct, frozen=True):
    """One member of each kind."""

    horse_name: str
    born_at: Uint64
    tag: Bytes32
    owner: Address | None
    brand: Bytes
    legs: tuple[Leg, ...]
    wins: list[Int64]
    weight: float
    is_wild: bool
    notes: dict[str, Any]
    wish: Annotated[Any, Meta(title="Wish", description="anything")]
    price: Uint256 = 7
    rider: Annotated[str, Meta(description="who sits on it")] | UnsetType = UNSET


HORSE = Horse(
    "Bo",
    2**53,
    bytes(32),
    None,
    b"\x01",
    (Leg(1, "left"),),
    [-(2**53), 5],
    1.5,
    is_wild=True,
    notes={"a": [1]},
    wish=None,
)
DOCUMENT = {
    "horseName": "Bo",
    "bornAt": "9007199254740992",
    "tag": "0x" + "00" * 32,
    "owner": None,
    "brand": "0x01",
    "legs": [{"toes": 1, "side": "left"}],
    "wins": ["-9007199254740992", 5],
    "weight": 1.5,
    "isWild": True,
    "notes": {"a": [1]},
    "wish": None,
    "price": 7,
}


def test_there_and_back() -> None:
    """Members are camelCase, bytes hex, large integers strings; what is unset is left out; it reads as it was."""
    assert DOCUMENT == to_document(HORSE)
    assert HORSE == read_document(Horse, DOCUMENT)
    ridden = msgspec.structs.replace(HORSE, rider="Al", owner=b"\x02" * 20)
    assert {**DOCUMENT, "rider": "Al", "owner": "0x" + "02" * 20} == to_document(ridden)
    assert ridden == read_document(Horse, to_document(ridden))


def test_what_has_a_default_need_not_be_there() -> None:
    """A member with a default may be missing, one without may not."""
    rest = {name: value for name, value in DOCUMENT.items() if name != "price"}
    assert HORSE == read_document(Horse, rest)
    with pytest.raises(RefusedError, match="no member 'owner'"):
        read_document(Horse, {name: value for name, value in rest.items() if name != "owner"})


def test_unknown_members() -> None:
    """They are refused where the Struct forbids them, and ignored elsewhere."""
    assert HORSE == read_document(Horse, DOCUMENT | {"tail": "long"})
    with pytest.raises(RefusedError, match=r"\$.legs\[\] has an unknown member 'nail'"):
        read_document(Horse, DOCUMENT | {"legs": [{"toes": 1, "side": "left", "nail": 1}]})


@pytest.mark.parametrize(
    ("member", "value", "reason"),
    [
        ("horseName", 1, "not a string"),
        ("bornAt", -1, "not in 0"),
        ("bornAt", 2**64, "not in 0"),
        ("bornAt", 1.5, "not an integer"),
        ("tag", "0x00", "1 bytes, not 32"),
        ("tag", None, "null, not a hex string"),
        ("owner", "0x", "0 bytes, not 20"),
        ("legs", {}, "an object, not an array"),
        ("legs", [[]], "an array, not an object"),
        ("legs", [{"toes": 1, "side": "up"}], "none of left, right"),
        ("legs", [{"toes": 1, "side": []}], "none of left, right"),
        ("legs", [{"toes": 256, "side": "left"}], "not in 0"),
        ("wins", "5", "a string, not an array"),
        ("weight", "1.5", "not a number"),
        ("weight", True, "a boolean, not a number"),
        ("isWild", 1, "not a boolean"),
        ("notes", [], "an array, not an object"),
        ("price", None, "null, not an integer"),
        ("rider", None, "null, not a string"),
    ],
)
def test_other_values_are_refused(member: str, value: object, reason: str) -> None:
    """Each member takes its type and nothing else, and the refusal names it."""
    with pytest.raises(RefusedError, match=reason) as refused:
        read_document(Horse, DOCUMENT | {member: value})
    assert f"$.{member}" in refused.value.detail


def test_a_document_is_an_object() -> None:
    """Anything else is refused."""
    for value in (None, [], "x", 1):
        with pytest.raises(RefusedError, match="not an object"):
            read_document(Horse, value)


def test_fractions_from_a_strict_reader() -> None:
    """A number with a fraction is one, whichever reader parsed it."""
    assert 1.5 == read_document(Horse, DOCUMENT | {"weight": parse_json(b"1.5")}).weight
    assert 2.0 == read_document(Horse, DOCUMENT | {"weight": 2}).weight


def test_the_schema_says_the_same() -> None:
    """Structs and scalars stand by name; required is what has no default; a strict Struct allows nothing more."""
    form = compile_form(Horse)
    assert {"$ref": "#/components/schemas/Horse"} == form.schema
    assert {*SCALARS, "Horse", "Leg", "Wish"} == set(form.components)
    horse, leg = form.components["Horse"], form.components["Leg"]
    assert [name for name in DOCUMENT if name != "price"] == horse["required"]
    assert {"anyOf": [{"$ref": "#/components/schemas/Address"}, {"type": "null"}]} == horse["properties"]["owner"]
    assert {"type": "array", "items": {"$ref": "#/components/schemas/Leg"}} == horse["properties"]["legs"]
    assert {"description": "who sits on it", "type": "string"} == horse["properties"]["rider"]
    assert {"$ref": "#/components/schemas/Wish"} == horse["properties"]["wish"]
    assert {"description": "anything"} == form.components["Wish"]
    assert ("One member of each kind.", "Read strictly.") == (horse["description"], leg["description"])
    assert "additionalProperties" not in horse
    assert {"type": "string", "enum": ["left", "right"]} == leg["properties"]["side"]
    assert leg["additionalProperties"] is False


def test_which_integers_are_strings_is_in_the_schema() -> None:
    """A type that fits into a JavaScript number is a number; a larger one says from where on it is a string."""
    parts = compile_form(Horse).components
    assert {"type": "integer", "minimum": 0, "maximum": 255} == parts["Uint8"]
    assert "uint64: a number up to 2^53 - 1, from 2^53 on a string of decimal digits" == parts["Uint64"]["description"]
    assert {"type": "integer", "minimum": 0, "maximum": 2**53 - 1} == parts["Uint64"]["anyOf"][0]
    assert {"type": "integer", "minimum": 1 - 2**53, "maximum": 2**53 - 1} == parts["Int64"]["anyOf"][0]
    assert "string" == parts["Uint256"]["anyOf"][1]["type"]


def test_what_has_no_json_of_its_own() -> None:
    """Unions, plain integers and sets cannot be declared."""
    for annotation in (int | str, int, set[str], Uint64 | Bytes32):
        with pytest.raises(DeclarationError):
            compile_form(annotation)


@given(
    st.sampled_from(sorted(DOCUMENT)),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
        max_leaves=5,
    ),
)
def test_hostile_documents_raise_refusals_only(name: str, value: object) -> None:
    """Whatever stands in a member, reading it raises nothing but this project's own errors."""
    try:
        read_document(Horse, DOCUMENT | {name: value})
    except MicrorollupError:
        return
