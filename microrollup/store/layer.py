"""What closed blocks changed in `state` and `tree` and LMDB does not hold yet, in the memory of the store's owner.

A layer is what the blocks of some heights left. New blocks go into the newest one; a frozen one below it is written
out, a slice at a time, and dropped once all of it is durable. `changes` and `undo_tree` hold the same on disk, so a
layer is lost with its process and read again by the next.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import Final

from microrollup.store.row_changes import RowChange, count_bytes

__all__ = ["Layer", "Unflushed"]


class _Ordered:
    """Keys in order. Adding is cheap; they are sorted when they are wanted, which merges runs."""

    def __init__(self) -> None:
        self._keys: list[bytes] = []
        self._added: list[bytes] = []

    def add(self, keys: Iterable[bytes]) -> None:
        """Take in keys that are not there."""
        self._added.extend(keys)

    def get(self) -> list[bytes]:
        """All keys, ascending; not to be changed."""
        if self._added:
            self._keys += self._added
            self._keys.sort()
            self._added = []
        return self._keys


class Layer:
    """The newest rows and the new tree keys of the blocks above `base`, up to `tip`."""

    def __init__(self, base: int) -> None:
        self.base: Final = base
        self.tip = base
        self.rows: dict[bytes, bytes | None] = {}
        """Row key -> value as stored; None: no row."""
        self.leaves: dict[bytes, int] = {}
        """Tree key -> leaf index."""
        self.changed_rows = 0
        """State rows and tree keys of its blocks, also where a later block changes the same row."""
        self.changed_bytes = 0
        """Of their keys and values."""
        self._row_keys = _Ordered()
        self._tree_keys = _Ordered()

    def add(self, height: int, changes: Sequence[RowChange], inserted: Sequence[tuple[bytes, int]]) -> None:
        """The next block's."""
        rows, keys, values = self.rows, [change.key for change in changes], [change.new for change in changes]
        self._row_keys.add([key for key in keys if key not in rows])
        rows.update(zip(keys, values, strict=True))
        self._tree_keys.add([tree_key for tree_key, _ in inserted])
        self.leaves.update(inserted)
        self.changed_rows += len(changes) + len(inserted)
        self.changed_bytes += count_bytes(keys) + count_bytes(values)
        self.tip = height

    def list_rows(self, low: bytes = b"", high: bytes | None = None) -> list[bytes]:
        """The row keys from `low` on and before `high` (None: to the end), ascending."""
        return _slice(self._row_keys.get(), low, high)

    def list_tree_keys(self) -> list[bytes]:
        """Ascending."""
        return self._tree_keys.get()

    def find_neighbours(self, tree_key: bytes) -> tuple[bytes | None, bytes | None]:
        """The greatest new tree key below, and the least that is not below."""
        keys = self._tree_keys.get()
        place = bisect_left(keys, tree_key)
        return keys[place - 1] if place else None, keys[place] if place < len(keys) else None


class Unflushed:
    """The layers above the height up to which the tables are complete: the newest, below it a frozen one or none."""

    def __init__(self, base: int = 0) -> None:
        self.reset(base)

    def reset(self, base: int) -> None:
        """Forget everything: the tables are complete up to this height."""
        self.newest = Layer(base)
        self.frozen: Layer | None = None

    @property
    def base(self) -> int:
        """The height up to which the tables are complete."""
        return self.newest.base if self.frozen is None else self.frozen.base

    @property
    def is_empty(self) -> bool:
        """Whether the tables are complete."""
        return self.base == self.newest.tip

    def freeze(self) -> None:
        """Begin a new layer. The one before has to be written out by then."""
        self.frozen, self.newest = self.newest, Layer(self.newest.tip)

    def drop_frozen(self) -> None:
        """The tables hold it."""
        self.frozen = None

    def holds(self, row_key: bytes) -> bool:
        """Whether a row is to be taken from here and not from the table."""
        return row_key in self.newest.rows or (self.frozen is not None and row_key in self.frozen.rows)

    def get(self, row_key: bytes) -> bytes | None:
        """The value as stored of a row that is held; None: there is no row."""
        rows = self.newest.rows
        if row_key in rows or self.frozen is None:
            return rows.get(row_key)
        return self.frozen.rows.get(row_key)

    def list_rows(self, low: bytes = b"", high: bytes | None = None) -> list[bytes]:
        """The keys of the rows that are held, from `low` on and before `high` (None: to the end), ascending."""
        newest = self.newest.list_rows(low, high)
        frozen = [] if self.frozen is None else self.frozen.list_rows(low, high)
        return sorted({*newest, *frozen}) if newest and frozen else newest or frozen

    def has_leaf(self, tree_key: bytes) -> bool:
        """Whether a tree key is new in one of the layers."""
        return tree_key in self.newest.leaves or (self.frozen is not None and tree_key in self.frozen.leaves)

    def list_leaves(self) -> list[dict[bytes, int]]:
        """Tree key -> leaf index, of the new keys of each layer; not to be changed."""
        return [layer.leaves for layer in (self.newest, self.frozen) if layer is not None]

    def narrow(
        self, tree_key: bytes, below: bytes | None, leaf_index: int, above: bytes | None
    ) -> tuple[bytes | None, int, bytes | None]:
        """The gap around a tree key, from the one that the `tree` table shows; see `KeyIndex.low_neighbour`."""
        for layer in (self.newest, self.frozen):
            if layer is None or not layer.leaves:
                continue
            lower, upper = layer.find_neighbours(tree_key)
            if lower is not None and (below is None or lower > below):
                below, leaf_index = lower, layer.leaves[lower]
            if upper is not None and (above is None or upper < above):
                above = upper
        return below, leaf_index, above


def _slice(keys: list[bytes], low: bytes, high: bytes | None) -> list[bytes]:
    first = bisect_left(keys, low)
    return keys[first : None if high is None else bisect_left(keys, high, first)]
