"""How far blocks are confirmed."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias, get_args

from msgspec import UNSET, Struct, UnsetType

from microrollup.primitives import Uint64

__all__ = ["LEVELS", "Confirmation", "Divergent", "Heights", "Level"]

Level: TypeAlias = Literal["C0", "C1", "C1X", "C2", "C2X", "C3A", "C3B"]
"""Acknowledged and durable; executed / rejected or faulted; verified / invalid; data available; settled."""

LEVELS: Final[tuple[Level, ...]] = get_args(Level)


class Divergent(Struct, frozen=True):
    """C2X: what a verifier found different, at the lowest height that is wrong."""

    height: Uint64
    seq: Uint64 | None
    field: str
    """In camelCase, as headers are written in JSON."""
    expected: str
    found: str


class Confirmation(Struct, frozen=True):
    """How far a block is confirmed."""

    level: Level
    height: Uint64
    settled_depth: Uint64 | None = None
    """L1 blocks on top of the one that settled it, at C3B."""
    divergence: Divergent | UnsetType = UNSET
    """At C2X: what is wrong."""


class Heights(Struct, frozen=True):
    """The newest height at each level: C1, C2, C3A and C3B."""

    latest: Uint64
    verified: Uint64
    available: Uint64
    settled: Uint64
