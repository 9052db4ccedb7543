"""States within states: the flat list of fields, what an STF of a part declares, and which shapes are refused."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
import pytest

import nested
import nested_wallets
from microrollup import (
    Action,
    Context,
    Map,
    MicroRollup,
    State,
    Uint8,
    Uint64,
    leaf_value,
    metadata,
    replace,
)
from microrollup.codec.canonical import encode_canonical
from microrollup.declaration.manifest import decode_manifest
from microrollup.declaration.state import MAX_DEPTH, MAX_NAME, describe_state
from microrollup.errors import DeclarationError
from nested import Clock, Game, Grid, Mark, Tick, app, make_genesis
from nested_wallets import Transfer, Wallets


def declare(name: str, **annotations: Any) -> type[State]:
    """A state of these fields."""
    made = msgspec.defstruct(name, list(annotations.items()), bases=(State,), frozen=True)
    assert issubclass(made, State)
    return made


def test_fields_are_flat() -> None:
    """Fields have dotted names, positions depth first, and numbers depth first, settled and metadata apart."""
    fields = [(field.name, field.position, field.settled, field.number) for field in describe_state(Game).fields]
    assert [
        ("wallets.balances", 0, True, 0),
        ("wallets.sent", 1, False, 0),
        ("wallets.supply", 2, True, 1),
        ("players", 3, True, 2),
        ("grid.clock.ticks", 4, False, 1),
        ("grid.clock.round", 5, True, 3),
        ("grid.cells", 6, True, 4),
        ("marks", 7, False, 2),
    ] == fields


def test_the_schema_has_the_structure() -> None:
    """The schema names each state's class where it stands, so a field that moves to another part is another schema."""
    assert (
        "Game{wallets:Wallets{balances:settled:map(address,uint64);sent:metadata:map(address,uint32);"
        "supply:settled:uint64};players:settled:uint32;grid:Grid{clock:Clock{ticks:metadata:uint64;"
        "round:settled:uint32};cells:settled:map(uint32,Cell{owner:uint64,mark:uint8})};"
        "marks:metadata:map(uint8,uint32)}"
    ) == describe_state(Game).schema
    inner, other = declare("Inner", a=Uint8), declare("Other", a=Uint8)
    schemas = [describe_state(declare("Outer", part=each)).schema for each in (inner, other)]
    assert ["Outer{part:Inner{a:settled:uint8}}", "Outer{part:Other{a:settled:uint8}}"] == schemas


def test_parts() -> None:
    """Each class of the shape, the whole state first, with its dotted name."""
    parts = describe_state(Game).parts
    assert [(Game, ""), (Wallets, "wallets"), (Grid, "grid"), (Clock, "grid.clock")] == [
        (cls, part.name) for cls, part in parts.items()
    ]


def test_build_and_read() -> None:
    """A state built of what its fields read is equal to it."""
    described, state = describe_state(Game), make_genesis(5)
    assert state == described.build({field.name: field.read(state) for field in described.fields})


def test_put() -> None:
    """A part is put into the whole; everything outside of it stays the same object."""
    parts, state = describe_state(Game).parts, make_genesis(2)
    clock = Clock(ticks=9)
    after = parts[Clock].put(state, clock)
    assert isinstance(after, Game)
    assert clock is after.grid.clock is parts[Clock].read(after)
    assert (state.wallets, state.marks, state.grid.cells) == (after.wallets, after.marks, after.grid.cells)
    assert state.wallets is after.wallets
    assert state.grid.cells is after.grid.cells
    assert 0 == state.grid.clock.ticks
    assert after is parts[Game].put(state, after)


@pytest.mark.parametrize(
    ("shape", "where", "words"),
    [
        (declare("Twice", one=Wallets, two=Wallets), "Twice.two", "Wallets is one already; a class is one part only"),
        (
            declare("Deep", one=Clock, grid=Grid),
            "Deep.grid.clock",
            "Clock is one already; a class is one part only",
        ),
        (
            declare("Marked", wallets=Annotated[Wallets, metadata]),
            "Marked.wallets",
            "is a state: mark the fields of Wallets instead",
        ),
        (
            declare("Leaf", wallets=Annotated[Wallets, leaf_value(bytes)]),
            "Leaf.wallets",
            "is a state: mark the fields of Wallets instead",
        ),
        (declare("InMap", m=Map[Uint8, Clock]), "InMap.m", "Clock is a state, which is a field of a state only"),
        (declare("InTuple", m=tuple[Clock, ...]), "InTuple.m", "Clock is a state, which is a field of a state only"),
        (declare("Base", part=State), "Base.part", "a state has 1 to 4096 fields"),
        (declare("Long", **{"x" * (MAX_NAME + 1): Uint8}), "Long." + "x" * (MAX_NAME + 1), "at most 128 characters"),
        (declare("Broken", part=declare("Inner", n=float)), "Broken.part.n", "float cannot be a field"),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else "",
)
def test_refused_shapes(shape: type[State], where: str, words: str) -> None:
    """What cannot be a part is refused by its dotted name, with what to write instead."""
    with pytest.raises(DeclarationError) as caught:
        describe_state(shape)
    assert where == caught.value.where
    assert words in caught.value.reason


class Loop(State, frozen=True):
    inner: Loop


class Thawed(State, frozen=False):
    value: Uint8


def test_a_state_within_itself() -> None:
    """A state that holds itself is refused, as is a part that can change."""
    with pytest.raises(DeclarationError, match="Loop is the whole state already"):
        describe_state(Loop)
    with pytest.raises(DeclarationError, match=r"Outer\.part: a state is a subclass of State with frozen=True"):
        describe_state(declare("Outer", part=Thawed))


def test_depth_is_bounded() -> None:
    """16 states within each other are a shape, 17 are not."""
    shape = declare("S", value=Uint8)
    for _ in range(MAX_DEPTH):
        shape = declare("S", s=shape)
    assert 1 == len(describe_state(shape).fields)
    with pytest.raises(DeclarationError, match="at most 16 deep"):
        describe_state(declare("S", s=shape))


class Go(Action, frozen=True):
    pass


def go_half(state: Clock, action: Go, ctx: Context) -> Grid:
    return Grid(clock=state)


class Stranger(State, frozen=True):
    value: Uint64 = 0


def go_elsewhere(state: Stranger, action: Go, ctx: Context) -> Stranger:
    return state


@pytest.mark.parametrize(("stf", "takes"), [(go_half, "Clock and returns Grid"), (go_elsewhere, "Stranger")])
def test_foreign_stfs(stf: Any, takes: str) -> None:
    """An STF takes and returns the whole state or one of its parts; the sentence names them."""
    with pytest.raises(DeclarationError) as caught:
        MicroRollup(name="x", version="1", genesis=make_genesis(1), stfs=[stf])
    assert takes in caught.value.reason
    assert "it must be Game both, as the genesis state is, or one of its parts (Wallets, Grid, Clock)" in str(
        caught.value
    )


def test_parts_of_actions() -> None:
    """The rollup knows which part each action's function is declared for."""
    assert ["grid.clock", "grid", "wallets"] == [app.part_by_entry[cls].name for cls in (Tick, Mark, Transfer)]


@pytest.mark.parametrize(
    ("genesis", "where", "words"),
    [
        (replace(make_genesis(1), wallets={}), "genesis.wallets", "is a dict; the first state of it is a Wallets(...)"),
        (
            replace(make_genesis(1), grid=Grid(clock=Grid())),  # type: ignore[arg-type]
            "genesis.grid.clock",
            "is a Grid; the first state of it is a Clock(...)",
        ),
        (
            replace(make_genesis(1), wallets=Wallets(balances={})),  # type: ignore[arg-type]
            "genesis.wallets.balances",
            "is a dict",
        ),
        (replace(make_genesis(1), grid=Grid(clock=Clock(round=-1))), "genesis.grid.clock.round", "round"),
    ],
)
def test_genesis_of_parts(genesis: Game, where: str, words: str) -> None:
    """A first state whose parts or fields are of other types is refused by the dotted name."""
    with pytest.raises(DeclarationError) as caught:
        MicroRollup(name="x", version="1", genesis=genesis, stfs=[nested.buy])
    assert where == caught.value.where
    assert words in caught.value.reason


def test_manifest() -> None:
    """The manifest has dotted names with their numbers and leaf functions, the modules of parts, and their STFs."""
    manifest = app.manifest
    entries = {entry.name: (entry.number, entry.leaf, entry.metadata) for entry in manifest.fields}
    assert (4, ".:encode_cell", False) == entries["grid.cells"]
    assert (1, None, True) == entries["grid.clock.ticks"]
    assert 8 == len(entries)
    assert describe_state(Game).schema == manifest.state_schema
    assert [".", ".nested_wallets"] == [entry.name for entry in manifest.modules]
    assert manifest == decode_manifest(encode_canonical(manifest))


def test_a_part_is_a_root_of_the_code() -> None:
    """The module of a part's class counts, and so do the events in it."""
    assert nested_wallets.__name__ in app.module_names.values()
    assert {"Sent"} == set(app.event_classes)
