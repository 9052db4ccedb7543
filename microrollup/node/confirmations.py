"""How far blocks are confirmed: executed, verified, available, settled, or found invalid.

A level is announced only after what it speaks of can be read: C1 after the commit of the closed block, C2 after the
word of a quorum of verifiers, C3 after the settlement's transaction.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import msgspec

from microrollup.chain.answers.confirmations import Divergent, Level
from microrollup.chain.receipt import EXECUTED

__all__ = ["ConfirmationEvent", "Confirmations", "describe_outcome"]


class ConfirmationEvent(msgspec.Struct, frozen=True):
    """A height has reached a level."""

    height: int
    level: Level
    resume: int
    """The lowest height whose levels may still change: begin there, and nothing is missed."""


def describe_outcome(status: int) -> Level:
    """The level of an action that is executed and no more: by its receipt's status."""
    return "C1" if status == EXECUTED else "C1X"


class Confirmations:
    """The levels of all heights: four marks that rise, the last two but for L1's reorgs. Any thread may ask.

    `publish` is told in order.
    """

    def __init__(self, latest: int, settled: int, publish: Callable[[ConfirmationEvent], None]) -> None:
        self.latest = latest
        """Newest closed block."""
        self.verified = settled
        self.available = settled
        self.settled = settled
        self.divergent: Divergent | None = None
        self._publish = publish
        self._lock = threading.Lock()

    def get_level(self, height: int) -> Level:
        """The level of a closed height (or of the open block: C0)."""
        divergent = self.divergent
        if height <= self.settled:
            return "C3B"
        if height <= self.available:
            return "C3A"
        if divergent is not None and height >= divergent.height:
            return "C2X"
        if height <= self.verified:
            return "C2"
        return "C1" if height <= self.latest else "C0"

    def note_closed(self, height: int) -> None:
        """A block is closed, and can be read."""
        with self._lock:
            for number in range(self.latest + 1, height + 1):
                self.latest = number
                self._tell(number, "C1")
                if self.divergent is not None and number >= self.divergent.height:
                    self._tell(number, "C2X")  # it was being closed when the one below was found invalid

    def note_verified(self, height: int) -> None:
        """A quorum of verifiers vouches for all blocks up to a height."""
        with self._lock:
            for number in range(self.verified + 1, min(height, self.latest) + 1):
                self.verified = number
                self._tell(number, "C2")

    def note_available(self, height: int) -> None:
        """The data of all blocks up to a height are on L1, with a batch that L1 may still take back."""
        with self._lock:
            self._raise_available(height)

    def note_settled(self, height: int) -> None:
        """The batch of all blocks up to a height is as deep in L1 as the settlement asks for."""
        with self._lock:
            self._raise_available(height)
            for number in range(self.settled + 1, height + 1):
                self.settled = number
                self._tell(number, "C3B")

    def _raise_available(self, height: int) -> None:
        self.verified = max(self.verified, height)
        for number in range(self.available + 1, height + 1):
            self.available = number
            self._tell(number, "C3A")

    def note_taken_back(self, height: int) -> None:
        """L1 took back the batches above a height: their blocks are verified still, and settle again."""
        with self._lock:
            lowest = min(height, self.available) + 1
            taken_back = range(lowest, self.available + 1)
            self.available, self.settled = min(height, self.available), min(height, self.settled)
            for number in taken_back:
                self._tell(number, "C2")

    def note_divergent(self, divergent: Divergent) -> None:
        """A block is not what re-execution gives; it and all that follow are invalid, but for what is settled."""
        with self._lock:
            self.divergent = divergent
            for number in range(max(divergent.height, self.available + 1), self.latest + 1):
                self._tell(number, "C2X")

    def _tell(self, height: int, level: Level) -> None:
        self._publish(ConfirmationEvent(height, level, self.settled + 1))
