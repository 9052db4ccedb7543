"""A shelf: numbered items with owners and ranks, for the tests of indexes."""

from __future__ import annotations

import msgspec

from microrollup import Action, Address, Context, Event, Map, MicroRollup, State, Uint64, replace, require


class Item(msgspec.Struct, frozen=True):
    """What lies at a number."""

    owner: Address
    rank: Uint64


class Shelf(State, frozen=True):
    """What the rollup stores."""

    items: Map[Uint64, Item] = Map()
    placed: Uint64 = 0


class Place(Action, frozen=True):
    """Put an item at a number, in place of what is there."""

    number: Uint64
    rank: Uint64


class Remove(Action, frozen=True):
    """Take an item away."""

    number: Uint64


class Placed(Event, frozen=True):
    """An item was put."""

    number: Uint64
    rank: Uint64


def place(state: Shelf, action: Place, ctx: Context) -> Shelf:
    """Anybody places anywhere."""
    ctx.emit(Placed(action.number, action.rank))
    items = state.items.set(action.number, Item(ctx.sender, action.rank))
    return replace(state, items=items, placed=state.placed + 1)


def remove(state: Shelf, action: Remove, ctx: Context) -> Shelf:
    """Anybody removes what is there."""
    require(action.number in state.items, "nothing there")
    return replace(state, items=state.items.delete(action.number))


app = MicroRollup(
    name="shelf",
    version="1",
    genesis=Shelf(items=Map({number: Item(bytes(20), 7) for number in range(1_000, 1_005)})),
    stfs=[place, remove],
    reads="shelf_reads",
    methods="shelf_methods",
)
