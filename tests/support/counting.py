"""An app whose state tells how many actions it has seen, and in which order."""

from __future__ import annotations

from microrollup import Action, Context, Event, MicroRollup, State, Uint64, replace


class Tally(State, frozen=True):
    total: Uint64 = 0


class Add(Action, frozen=True):
    by: Uint64


class Added(Event, frozen=True):
    total: Uint64


def add(state: Tally, action: Add, ctx: Context) -> Tally:
    total = (state.total * 31 + action.by) % 2**61
    ctx.emit(Added(total))
    return replace(state, total=total)


app = MicroRollup(name="counting", version="1", genesis=Tally(), stfs=[add])
