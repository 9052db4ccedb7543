"""Why settling failed last, and how often since a batch was settled."""

from __future__ import annotations

import time
from typing import Final

import msgspec

from microrollup.errors import MicrorollupError

__all__ = ["FAULT", "Failure", "FailureNote"]

FAULT: Final = "Fault"
"""The kind of a bug."""

_MAX_REASON: Final = 1_000


class Failure(msgspec.Struct, frozen=True):
    """Why the last attempt failed."""

    kind: str
    """The error's name, or `FAULT`: as many as the source has, whatever L1 says."""
    reason: str
    at: float
    """`time.monotonic`."""
    count: int
    """Failures since the last batch that was settled."""


class FailureNote:
    """Kept by the settler's thread; any thread reads `newest`."""

    def __init__(self) -> None:
        self.newest: Failure | None = None
        """None once a batch was settled after it."""

    def note(self, error: Exception) -> str:
        """Another attempt failed; its kind. The words of a bug are for the log alone."""
        is_ours, name = isinstance(error, MicrorollupError), type(error).__name__
        kind, reason = (name, str(error)[:_MAX_REASON]) if is_ours else (FAULT, name)
        count = 1 if self.newest is None else self.newest.count + 1
        self.newest = Failure(kind, reason, time.monotonic(), count)
        return kind

    def clear(self) -> None:
        """A batch was settled."""
        self.newest = None
