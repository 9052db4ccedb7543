"""Nodes of a tree's upper levels that are known to lead to its root, kept in memory.

What a file holds may be damaged at any time, so nodes that are read must be hashed up to the root before anything
follows from them. A pair of siblings that was hashed once, or appended by this process, need not be
read or hashed again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from microrollup.crypto.merkle.rows import put_rows

__all__ = ["MAX_KNOWN_LEVELS", "KnownNodes"]

MAX_KNOWN_LEVELS: Final = 17
"""Levels of pairs below the root: at most 2^17 pairs of 64 bytes, 8 MiB."""

_HASH_BYTES: Final = 32

Ids = npt.NDArray[np.int64]
"""Node i of level k in a tree of a depth has the id `2^(depth - k) + i`: 1 for the root, 2n and 2n + 1 below n."""

Hashes = npt.NDArray[np.uint8]


class KnownNodes:
    """Pairs of siblings by the id of their parent, in a tree that only grows."""

    def __init__(self, unused_hashes: Sequence[bytes]) -> None:
        """`unused_hashes`: by level, that of a subtree without leaves."""
        self._unused_hashes = unused_hashes
        self.forget()

    def forget(self) -> None:
        """Know nothing: the tree was changed otherwise than by `replace`."""
        self._depth = 0
        self._room = 1
        """Parents have ids below this."""
        self._pairs = np.zeros((1, 2 * _HASH_BYTES), np.uint8)
        self._is_known = np.zeros(1, np.bool_)

    def set_depth(self, depth: int) -> None:
        """Follow a tree that has doubled: what was the root is the leftmost node of a lower level."""
        grown = depth - self._depth
        if grown == 0:
            return
        pairs, is_known, levels = self._pairs, self._is_known, self._room.bit_length() - 1
        self._depth = depth
        self._room = 1 << min(depth, MAX_KNOWN_LEVELS)
        self._pairs = np.zeros((self._room, 2 * _HASH_BYTES), np.uint8)
        self._is_known = np.zeros(self._room, np.bool_)
        for level in range(min(levels, self._room.bit_length() - 1 - grown)):
            first, width = 1 << level + grown, 1 << level
            self._pairs[first : first + width] = pairs[width : 2 * width]
            self._is_known[first : first + width] = is_known[width : 2 * width]

    def find(self, parents: Ids) -> npt.NDArray[np.bool_]:
        """Which of the ascending ids of one level have children that are known."""
        if len(parents) == 0 or int(parents[-1]) >= self._room:
            return np.zeros(len(parents), np.bool_)
        return self._is_known[parents]

    def take(self, parents: Ids) -> Hashes:
        """The children of parents that `find` found, 64 bytes each."""
        return self._pairs.take(parents, axis=0)

    def enter(self, parents: Ids, pairs: Hashes) -> None:
        """The children of the ids of one level, once it is certain that they lead to the root."""
        if len(parents) and int(parents[-1]) < self._room:
            put_rows(self._pairs, parents, pairs)
            self._is_known[parents] = True

    def replace(self, depth: int, leaves_before: int, ids: npt.NDArray[np.uint32], hashes: Hashes) -> None:
        """The nodes with these ascending ids have new hashes in a tree of this depth, which had so many leaves before.

        All of them are there whose parents are new.
        """
        self.set_depth(depth)
        count = int(np.searchsorted(ids, 2 * self._room))
        nodes, here = self._pairs.reshape(-1, _HASH_BYTES), ids[:count].astype(np.int64)
        put_rows(nodes, here, hashes[:count])
        for level in range(max(0, depth - MAX_KNOWN_LEVELS), depth):
            children = 1 << depth - level
            first = children + (-(-leaves_before >> level + 1) << 1)
            start, end = np.searchsorted(here, (max(first, children + 2), 2 * children))
            if start < end:
                parents = np.unique(here[start:end] >> 1)
                if int(here[end - 1]) == 2 * int(parents[-1]):
                    nodes[2 * int(parents[-1]) + 1] = np.frombuffer(self._unused_hashes[level], np.uint8)
                self._is_known[parents] = True
