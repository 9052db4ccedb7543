"""Which segment is given out next, where workers share a machine.

A worker that goes on with the segment after one that is verified takes over its store and restores no snapshot. So a
history is given out in as many stretches as there are workers, each segment by segment, and who is done with a stretch
takes over the second half of what is left of the longest.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import msgspec

__all__ = ["Turn", "choose_next"]


class Turn(msgspec.Struct, frozen=True):
    """A segment as far as it matters for this."""

    size: int
    """Its actions."""
    is_waiting: bool
    """Neither in work nor done."""
    is_at_hand: bool
    """The store with which it goes on is there."""
    is_open: bool = True
    """Else it begins where no snapshot is, and is given out only while it is at hand."""


def choose_next(turns: Sequence[Turn], free: int) -> int | None:
    """The place of the segment to give out next, `free` workers having nothing to do; None if none is waiting."""
    stretches = [[place for place, _ in group] for waits, group in groupby(enumerate(turns), _is_waiting) if waits]
    if not stretches:
        return None
    for place, turn in enumerate(turns):
        if turn.is_waiting and (turn.is_at_hand or place == 0):
            return place
    found = [split for stretch in stretches if (split := _split(turns, stretch, free)) is not None]
    return max(found)[1] if found else None


def _is_waiting(numbered: tuple[int, Turn]) -> bool:
    return numbered[1].is_waiting


def _split(turns: Sequence[Turn], stretch: list[int], free: int) -> tuple[int, int] | None:
    """The actions of a stretch, with those of the segment before it, whose worker comes by; and where to begin, so that
    this worker leaves to it as much as each of those who are free will have. None if nobody can begin there.
    """
    chosen: int | None = None
    done = turns[stretch[0] - 1].size
    total = done + sum(turns[place].size for place in stretch)
    for place in stretch:
        if turns[place].is_open:
            chosen = place
            if done * (free + 1) >= total:
                break
        done += turns[place].size
    return None if chosen is None else (total, chosen)
