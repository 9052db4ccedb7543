"""`View`: what a query is given."""

from __future__ import annotations

from typing import Generic, TypeVar

from microrollup.declaration.state import State

__all__ = ["View"]

S_co = TypeVar("S_co", bound=State, covariant=True)


class View(Generic[S_co]):
    """The state after a closed block. `state` is read as in a state transition function; nothing is written back."""

    __slots__ = ("height", "state", "timestamp")

    def __init__(self, state: S_co, timestamp: int = 0, height: int = 0) -> None:
        self.state = state
        self.timestamp = timestamp
        """The block's, in seconds."""
        self.height = height
