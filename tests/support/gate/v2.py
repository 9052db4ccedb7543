"""The second version: a pass is `two`, a number and who it is for."""

from __future__ import annotations

from typing import Any

from gate import v1
from microrollup import (
    Action,
    Address,
    Context,
    Envelope,
    Map,
    MicroRollup,
    Opened,
    State,
    Uint64,
    Upgrade,
    replace,
    require,
)
from microrollup.crypto.keccak import keccak256


class Gate(State, frozen=True):
    """What the rollup stores."""

    entered: Uint64 = 0
    visits: Map[Address, Uint64] = Map()


class Enter(Action, frozen=True):
    """Go through."""

    number: Uint64
    who: Address


class Pass(Envelope):
    """`two`, 9 bytes and 20."""

    name = "pass"
    actions = (Enter,)

    def open(self, raw: bytes) -> Opened:
        """The number and the visitor."""
        require(len(raw) == 32 and raw[:3] == b"two", "no pass of the second version")
        return Opened(Enter(int.from_bytes(raw[3:12], "big"), raw[12:]), keccak256(raw))

    def encode(self, opened: Any) -> bytes:
        """The way back."""
        number: int = opened.action.number
        who: bytes = opened.action.who
        return b"two" + number.to_bytes(9, "big") + who


def enter(state: Gate, action: Enter, ctx: Context) -> Gate:
    """One after the other."""
    require(action.number == state.entered, "not your turn")
    visits = state.visits.set(action.who, state.visits.get(action.who, 0) + 1)
    return replace(state, entered=state.entered + 1, visits=visits)


def migrate(state: v1.Gate, ctx: Context) -> Gate:
    """Nobody is known by name."""
    return Gate(entered=state.entered)


app = MicroRollup(
    name="gate", version="2", state=Gate, stfs=[enter], envelopes=[Pass], previous=Upgrade(v1.app, migrate)
)
