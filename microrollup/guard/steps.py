"""`Meter`: the steps that one entry may take, and what it has taken. Counted, not timed: equal on every machine."""

from __future__ import annotations

from threading import Lock
from typing import Final, NoReturn, Self

__all__ = [
    "ENTRY_STEPS",
    "MAX_CONTAINER_ENTRIES",
    "MAX_DEPTH",
    "MAX_INT_BITS",
    "MAX_NESTING",
    "MAX_VALUE_BYTES",
    "LimitReached",
    "Meter",
]

ENTRY_STEPS: Final = 1_000_000
"""Budget of one entry."""

MAX_DEPTH: Final = 100
"""Calls of the app's functions, and lazy iterators over lazy iterators, that may be open at a time."""

MAX_INT_BITS: Final = 8_192
MAX_VALUE_BYTES: Final = 1 << 20
"""Of a text or a byte string."""

MAX_CONTAINER_ENTRIES: Final = MAX_VALUE_BYTES // 8
"""Of a list, tuple or dict: as many references as fit `MAX_VALUE_BYTES`."""

MAX_NESTING: Final = 64
"""Levels of containers that a comparison or a hash walks."""


class LimitReached(BaseException):
    """The metered form of an STF has reached a limit: "steps", "depth" or "size".

    Not an `Exception`, so that an STF does not catch it; the meter remembers it besides.
    """

    def __init__(self, limit: str) -> None:
        super().__init__(limit)
        self.limit = limit


class Meter:
    """Counts down. Once a limit is reached every later charge raises it again, until it is entered again."""

    __slots__ = ("_granted", "_lock", "budget", "depth", "left", "limit", "taken")

    def __init__(self) -> None:
        self._lock = Lock()
        self.budget = ENTRY_STEPS
        self._granted = 0
        self.left = 0
        self.depth = 0
        self.limit: str | None = None
        """What was reached first; None while nothing was."""
        self.taken = 0
        """Steps of the last run; the whole budget if a limit was reached."""

    def __enter__(self) -> Self:
        """Count what happens in the `with` statement, of one thread at a time. Not to be nested."""
        self._lock.acquire()
        self.left, self.depth, self.limit, self._granted = self.budget, 0, None, 0
        return self

    def __exit__(self, *_: object) -> None:
        self.taken = self.count_taken()
        self._lock.release()

    def count_taken(self) -> int:
        """Steps so far; the whole budget once a limit was reached. Like `limit`, it is this run's only within `with`:
        another thread may enter as soon as that is left.
        """
        budget = self.budget + self._granted
        return budget if self.limit is not None else budget - self.left

    def charge(self, steps: int = 1) -> None:
        """Take steps off the budget, before the work. Raises `LimitReached`."""
        self.left -= steps
        if self.left < 0:
            self.stop("steps")

    def grant(self, steps: int) -> None:
        """Let the run take more steps than the budget; of no use once a limit was reached."""
        if self.limit is None:
            self.left += steps
            self._granted += steps

    def enter(self) -> None:
        """A function of the app begins: one step, one level deeper. Raises `LimitReached`."""
        self.left -= 1
        if self.left < 0:
            self.stop("steps")
        self.descend()

    def descend(self) -> None:
        """One level deeper. Raises `LimitReached`."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            self.stop("depth")

    def leave(self) -> None:
        """It has ended."""
        self.depth -= 1

    def stop(self, limit: str) -> NoReturn:
        """Raise `LimitReached` now and at each later charge."""
        if self.limit is None:
            self.limit = limit
        self.left = -1
        raise LimitReached(self.limit)

    def check_bits(self, bits: int) -> None:
        """Raises `LimitReached` for an integer of more than `MAX_INT_BITS`."""
        if bits > MAX_INT_BITS:
            self.stop("size")

    def check_bytes(self, size: int) -> None:
        """Raises `LimitReached` for a text or byte string of more than `MAX_VALUE_BYTES`."""
        if size > MAX_VALUE_BYTES:
            self.stop("size")

    def check_entries(self, count: int) -> None:
        """Raises `LimitReached` for a container of more than `MAX_CONTAINER_ENTRIES`."""
        if count > MAX_CONTAINER_ENTRIES:
            self.stop("size")
