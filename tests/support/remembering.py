"""An app whose envelope remembers how often it was opened, which no envelope may."""

from __future__ import annotations

from typing import Any

from microrollup import Action, Context, Envelope, MicroRollup, Opened, State, Uint64, replace

CALLS: list[None] = []
"""What it keeps between calls."""


class Counter(State, frozen=True):
    """What the rollup stores."""

    count: Uint64 = 0


class Count(Action, frozen=True):
    """Comes in the envelope."""

    by: Uint64


class Kept(Opened, frozen=True):
    """With all that it was made of."""

    raw: bytes


class Remembering(Envelope):
    """20 bytes. The first says what differs the second time: 0 the action, 1 the hash, 2 whether it opens, 3 nothing,
    4 the reason for which it does not.
    """

    name = "remembering"
    actions = (Count,)

    def open(self, raw: bytes) -> Opened:
        """Another outcome at each call."""
        CALLS.append(None)
        calls, mode = len(CALLS), raw[0]
        if mode == 4 or (mode == 2 and calls % 2 == 0):
            raise ValueError(f"call {calls}")
        return Kept(Count(calls if mode == 0 else 1), bytes(31) + bytes((calls if mode == 1 else 1,)), raw)

    def encode(self, opened: Any) -> bytes:
        """The way back."""
        raw: bytes = opened.raw
        return raw


def count(state: Counter, action: Count, ctx: Context) -> Counter:
    """Count."""
    return replace(state, count=state.count + action.by)


app = MicroRollup(
    name="remembering",
    version="1",
    genesis=Counter(),
    stfs=[count],
    envelopes=[Remembering],
    allow=["mutable"],
)
