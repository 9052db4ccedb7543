"""`View`: what a query is given."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from microrollup.declaration.index import Index, IndexBlock, IndexView
from microrollup.declaration.state import State

__all__ = ["View"]

S_co = TypeVar("S_co", bound=State, covariant=True)
K = TypeVar("K")
V = TypeVar("V")


class View(Generic[S_co]):
    """The state after a closed block. `state` is read as in a state transition function; nothing is written back."""

    __slots__ = ("_find_index", "height", "state", "timestamp")

    def __init__(
        self,
        state: S_co,
        timestamp: int = 0,
        height: int = 0,
        find_index: Callable[[Any], IndexView[Any, Any]] | None = None,
    ) -> None:
        self.state = state
        self.timestamp = timestamp
        """The block's, in seconds."""
        self.height = height
        self._find_index = find_index

    def index(self, function: Callable[[IndexBlock[Any], Index[K, V]], None]) -> IndexView[K, V]:
        """The entries of an index after the block, as its function has filled it.

        Raises `TypeError` for a function that is not one of the app's indexes. While an index is being built, and after
        it has failed, the query ends here: that is answered as `index_building` and `index_failed`.
        """
        if self._find_index is None:
            raise TypeError(f"{function.__name__} is not one of the app's indexes")
        return self._find_index(function)
