"""An app whose envelope goes wrong in the way that its first byte says."""

from __future__ import annotations

from typing import Any

from microrollup import Action, Context, Envelope, MicroRollup, Opened, State, Uint8, Uint64, replace, require
from microrollup.crypto.keccak import keccak256

MODES = (
    "loops",
    "recurses",
    "a great integer",
    "a great text",
    "raises",
    "reverts",
    "swallows the limit",
    "gives nothing",
    "another class",
    "an action of no envelope",
    "a value out of bounds",
    "a value of another type",
    "a short hash",
    "a text as hash",
    "encodes something else",
    "encodes nothing",
    "encodes and loops",
    "divides by zero",
    "many hashes",
    "a great error",
    "notes",
    "stacked iterators",
)


class Counter(State, frozen=True):
    """What the rollup stores."""

    count: Uint64 = 0


class Other(Action, frozen=True):
    """Signed."""

    by: Uint8


class Count(Action, frozen=True):
    """Comes in the envelope."""

    by: Uint8


class Kept(Opened, frozen=True):
    """With all that it was made of."""

    raw: bytes


def spin(number: int) -> int:
    """For ever."""
    while number >= 0:
        number = number + 1
    return number


def sink(number: int) -> int:
    """Deeper and deeper."""
    return sink(number + 1)


class Escaping(Envelope):
    """32 bytes."""

    name = "escaping"
    actions = (Count,)

    def open(self, raw: bytes) -> Opened:
        """Goes wrong."""
        mode, digest = raw[0], bytes(32)
        action: Any = Count(mode)
        match mode:
            case 0:
                spin(0)
            case 1:
                sink(0)
            case 2:
                mode = 3**100_000
            case 3:
                mode = len("x" * 5_000_000)
            case 4:
                raise ValueError("x" * 1_000)
            case 5:
                require(mode == 0, "reverted")
            case 6:
                try:
                    spin(0)
                finally:
                    mode = 6
            case 7:
                return None  # type: ignore[return-value]
            case 8:
                return raw  # type: ignore[return-value]
            case 9:
                action = Other(mode)
            case 10:
                action = Count(300)
            case 11:
                action = Count("1")  # type: ignore[arg-type]
            case 12:
                digest = bytes(31)
            case 13:
                digest = "x" * 32  # type: ignore[assignment]
            case 17:
                mode = 1 // (mode - 17)
            case 18:
                for _ in range(1_000_000):
                    digest = keccak256(digest)
            case 19:
                raise ValueError(("x" * 1_000_000,) * 1_000)
            case 20:
                note = ValueError("a").add_note
                note("b")
            case 21:
                values: Any = (1, 2)
                for _ in range(1_000):
                    values = (value for value in values)
                mode = sum(values)
        return Kept(action, digest, raw)

    def encode(self, opened: Any) -> bytes:
        """Goes wrong."""
        raw: bytes = opened.raw
        match raw[0]:
            case 14:
                return raw + b"x"
            case 15:
                return None  # type: ignore[return-value]
            case 16:
                spin(0)
        return raw


def count(state: Counter, action: Count, ctx: Context) -> Counter:
    """Count."""
    return replace(state, count=state.count + action.by)


def other(state: Counter, action: Other, ctx: Context) -> Counter:
    """Count."""
    return replace(state, count=state.count + action.by)


app = MicroRollup(name="escaping", version="1", genesis=Counter(), stfs=[count, other], envelopes=[Escaping])
