"""Where a tree key's leaf is, and which key is below a gap: the one thing the flat tree asks of others."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from typing import Protocol

__all__ = ["KeyIndex", "MemoryKeyIndex"]


class KeyIndex(Protocol):
    """The keys in the tree, as the last applied delta left them. Keys never leave it."""

    def find_all(self, tree_keys: Iterable[bytes]) -> Mapping[bytes, int]:
        """The leaf indices of those keys that ever were set."""
        ...

    def low_neighbour(self, tree_key: bytes) -> tuple[bytes | None, int, bytes | None]:
        """The gap of a key that is not in the tree: the greatest key below (None for the dummy), its leaf index (0 for
        the dummy), and the least key above (None if there is none).
        """
        ...


class MemoryKeyIndex:
    """An index in memory, for tests, benchmarks and repairs. `add` what a delta inserted once it is applied."""

    def __init__(self) -> None:
        self._leaf_indices: dict[bytes, int] = {}
        self._sorted: list[bytes] = []

    def __len__(self) -> int:
        return len(self._sorted)

    def find_all(self, tree_keys: Iterable[bytes]) -> Mapping[bytes, int]:
        """The leaf indices of those keys that ever were set."""
        known = self._leaf_indices
        return {key: known[key] for key in tree_keys if key in known}

    def low_neighbour(self, tree_key: bytes) -> tuple[bytes | None, int, bytes | None]:
        """The key below, its leaf index, and the key above; see `KeyIndex`."""
        place = bisect_left(self._sorted, tree_key)
        above = self._sorted[place] if place < len(self._sorted) else None
        if place == 0:
            return None, 0, above
        below = self._sorted[place - 1]
        return below, self._leaf_indices[below], above

    def add(self, inserted: Iterable[tuple[bytes, int]]) -> None:
        """Take in new keys with their leaf indices. Merging is linear in the whole index: add a block at a time."""
        added = dict(inserted)
        self._leaf_indices.update(added)
        self._sorted.extend(sorted(added))
        self._sorted.sort()
