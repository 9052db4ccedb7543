"""An app whose actions take as many steps, or change as many rows, as they say."""

from __future__ import annotations

from microrollup import Action, Bytes, Context, Map, MicroRollup, State, Uint32, Uint64, replace


class Burners(State, frozen=True):
    """What is left of what was burnt."""

    done: Uint64 = 0
    rows: Map[Uint32, Bytes] = Map()


class Burn(Action, frozen=True):
    """Goes round a loop."""

    rounds: Uint64


class Spread(Action, frozen=True):
    """Writes rows from a place on."""

    first: Uint32
    count: Uint32
    size: Uint32


def burn(state: Burners, action: Burn, ctx: Context) -> Burners:
    total = 0
    for number in range(action.rounds):
        total = total ^ number
    return replace(state, done=state.done + 1)


def spread(state: Burners, action: Spread, ctx: Context) -> Burners:
    rows = state.rows
    value = b"r" * action.size
    for number in range(action.count):
        rows = rows.set(action.first + number, value)
    return replace(state, rows=rows)


app = MicroRollup(name="burners", version="1", genesis=Burners(), stfs=[burn, spread])
