"""The first version: a pass is `one` and a number."""

from __future__ import annotations

from typing import Any

from microrollup import Action, Context, Envelope, MicroRollup, Opened, State, Uint64, replace, require
from microrollup.crypto.keccak import keccak256


class Gate(State, frozen=True):
    """What the rollup stores."""

    entered: Uint64 = 0


class Enter(Action, frozen=True):
    """Go through."""

    number: Uint64


class Pass(Envelope):
    """`one` and 29 bytes."""

    name = "pass"
    actions = (Enter,)

    def open(self, raw: bytes) -> Opened:
        """The number."""
        require(len(raw) == 32 and raw[:3] == b"one", "no pass of the first version")
        return Opened(Enter(int.from_bytes(raw[3:], "big")), keccak256(raw))

    def encode(self, opened: Any) -> bytes:
        """The way back."""
        number: int = opened.action.number
        return b"one" + number.to_bytes(29, "big")


def enter(state: Gate, action: Enter, ctx: Context) -> Gate:
    """One after the other."""
    require(action.number == state.entered, "not your turn")
    return replace(state, entered=state.entered + 1)


app = MicroRollup(name="gate", version="1", genesis=Gate(), stfs=[enter], envelopes=[Pass])
