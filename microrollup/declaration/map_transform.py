"""The source of a map whose values are made from another map's, entry by entry, when they are read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar, cast

from microrollup.declaration.map_range import iterate_range
from microrollup.declaration.map_table import ABSENT, Absent

if TYPE_CHECKING:
    from microrollup.declaration.map import Map

__all__ = ["TransformedSource"]

K = TypeVar("K")
V = TypeVar("V")
W = TypeVar("W")


class TransformedSource(Generic[K, V, W]):
    """One version of a map and a function of its entries, as a `MapSource`. A walk keeps no entry in memory."""

    def __init__(self, version: Map[K, V], function: Callable[[K, V], W], reroot: Callable[[Map[K, V]], None]) -> None:
        self._version = version
        self._function = function
        self._reroot = reroot
        self.key_class: Final = version._table.key_classes
        source = version._table.source
        self.depth: Final[int] = source.depth + 1 if isinstance(source, TransformedSource) else 1
        """Transformed maps over one another, this one counted: a read of an entry goes through all of them."""

    def load(self, key: K) -> W | Absent:
        """What the function makes of the entry."""
        value = self._version._peek(key)
        return ABSENT if value is ABSENT else self._function(key, cast("V", value))

    def iterate(self, start: bytes = b"", stop: bytes | None = None, *, reverse: bool = False) -> Iterator[tuple[K, W]]:
        """What the function makes of the entries, in the order of encoded keys."""
        function = self._function
        for key, value in iterate_range(self._version, self._reroot, start, stop, reverse=reverse):
            yield key, function(key, value)

    def sort_key(self, key: K) -> bytes:
        """The encoded key, as the other map has it."""
        return self._version._table.encode(key)

    def sort_prefix(self, prefix: Any) -> bytes:
        """What all encoded keys with a prefix begin with."""
        return self._version._table.encode_prefix(prefix)
