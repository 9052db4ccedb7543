"""The zoo: a rollup with every kind of field, for the tests of the kernel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Final

import msgspec

from microrollup import (
    Action,
    Address,
    Bytes,
    Context,
    Event,
    Map,
    MicroRollup,
    Revert,
    State,
    Uint8,
    Uint32,
    Uint64,
    Uint256,
    metadata,
    replace,
)


class Animal(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A value with parts."""

    weight: Uint256
    sound: str
    legs: tuple[Uint8, ...]


class Zoo(State, frozen=True):
    """Settled maps, a settled scalar, and both as metadata."""

    animals: Map[str, Animal] = Map()
    tickets: Map[Uint32, Uint64] = Map()
    visitors: Uint64 = 0
    notes: Annotated[Map[Bytes, Bytes], metadata] = Map()
    motto: Annotated[Bytes, metadata] = b""
    guards: Map[Address, Uint8] = Map()


class Edited(Event, frozen=True):
    """Something was done."""

    steps: Uint32


class Step(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One change: `kind` indexes `KINDS`."""

    kind: Uint8
    key: Uint32
    value: Uint64


class Edit(Action, frozen=True):
    """Some changes at once; the whole action is rejected if `reject` says so."""

    steps: list[Step]
    reject: bool


class Misbehave(Action, frozen=True):
    """Runs the function that a test has put into `MISCHIEF` under this name."""

    how: str


KINDS: Final = (
    "set_animal", "delete_animal", "set_ticket", "delete_ticket", "count", "set_note", "delete_note", "set_motto",
    "set_guard", "delete_guard",
)  # fmt: skip


def make_animal(value: int) -> Animal:
    """The animal that `set_animal` keeps for a value."""
    return Animal(value << 180, f"{value:x}", tuple(value.to_bytes(8, "big")[-(value % 4) :]))


def make_guard(key: int) -> bytes:
    """A 20-byte key."""
    return key.to_bytes(20, "big")


def apply_step(zoo: Zoo, step: Step) -> Zoo:
    """The zoo after one change."""
    key, value = step.key, step.value
    match KINDS[step.kind]:
        case "set_animal":
            return replace(zoo, animals=zoo.animals.set(f"animal {key}", make_animal(value)))
        case "delete_animal":
            return replace(zoo, animals=zoo.animals.delete(f"animal {key}"))
        case "set_ticket":
            return replace(zoo, tickets=zoo.tickets.set(key, value))
        case "delete_ticket":
            return replace(zoo, tickets=zoo.tickets.delete(key))
        case "count":
            return replace(zoo, visitors=(zoo.visitors + value) % 2**64)
        case "set_note":
            return replace(zoo, notes=zoo.notes.set(b"%d" % key, b"%d" % value))
        case "delete_note":
            return replace(zoo, notes=zoo.notes.delete(b"%d" % key))
        case "set_motto":
            return replace(zoo, motto=b"%d" % value)
        case "set_guard":
            return replace(zoo, guards=zoo.guards.set(make_guard(key), value % 256))
        case _:
            return replace(zoo, guards=zoo.guards.delete(make_guard(key)))


def edit(state: Zoo, action: Edit, ctx: Context) -> Zoo:
    """Apply all steps."""
    if action.reject:
        raise Revert("rejected as asked")
    for step in action.steps:
        state = apply_step(state, step)
    ctx.emit(Edited(len(action.steps)))
    return state


def edit_wrongly(state: Zoo, action: Edit, ctx: Context) -> Zoo:
    """`edit` with a bug: every ticket costs one more."""
    steps = [Step(step.kind, step.key, step.value + (KINDS[step.kind] == "set_ticket")) for step in action.steps]
    return edit(state, Edit(steps, action.reject), ctx)


Mischief = Callable[[Zoo, Context], Any]

MISCHIEF: Final[dict[str, Mischief]] = {}


def misbehave(state: Zoo, action: Misbehave, ctx: Context) -> Zoo:
    """Whatever the test wants."""
    result: Zoo = MISCHIEF[action.how](state, ctx)
    return result


ALLOWED: Final = ("format", "mutable", "name")
"""What the lint says of this module: it runs whatever a test wants."""


def make_zoo(edit_function: Callable[[Zoo, Edit, Context], Zoo] = edit) -> MicroRollup:
    """The zoo's rollup; all of them show one manifest, so one stfId, whatever code stands in `edit_function`."""
    genesis = Zoo(tickets=Map({3: 30, 1: 10}), notes=Map({b"7": b"seven"}), motto=b"born")
    rollup = MicroRollup(name="zoo", version="1", genesis=genesis, stfs=[edit_function, misbehave], allow=ALLOWED)
    if edit_function is not edit:
        vars(rollup)["manifest"] = make_zoo().manifest
    return rollup


zoo: Final = make_zoo()
buggy_zoo: Final = make_zoo(edit_wrongly)
