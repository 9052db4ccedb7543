"""An app whose action is a loop over integers and a map, for what metering costs there."""

from __future__ import annotations

from microrollup import Action, Context, Map, MicroRollup, State, Uint64, replace

__all__ = ["Fill", "app"]


class Numbers(State, frozen=True):
    """Numbers by number."""

    numbers: Map[Uint64, Uint64] = Map()


class Fill(Action, frozen=True):
    """Compute a number for each of `count` keys."""

    count: Uint64
    seed: Uint64


def fill(state: Numbers, action: Fill, ctx: Context) -> Numbers:
    """Twenty rounds of arithmetic per key."""
    del ctx  # every function takes it
    numbers = state.numbers
    for key in range(action.count):
        value = action.seed + key
        for _ in range(20):
            value = (value * 1_103_515_245 + 12_345) % 2_147_483_648
        numbers = numbers.set(key, value)
    return replace(state, numbers=numbers)


app = MicroRollup(name="numbers", version="1", genesis=Numbers(), stfs=[fill])
