"""An app that writes down by which scheme each sender signed."""

from __future__ import annotations

from microrollup import Action, Address, Context, Map, MicroRollup, State, Uint8, replace


class Seen(State, frozen=True):
    """What was seen."""

    schemes: Map[Address, Uint8] = Map()


class Look(Action, frozen=True):
    """Write it down."""


def look(state: Seen, _: Look, ctx: Context) -> Seen:
    """Under the sender."""
    return replace(state, schemes=state.schemes.set(ctx.sender, ctx.scheme))


app = MicroRollup(name="schemes", version="1", genesis=Seen(), stfs=[look])
