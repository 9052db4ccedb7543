"""A leaf and its siblings as they were at an older height: the first block that changed one tells what it was."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from microrollup.crypto.merkle.indexed import compute_depth
from microrollup.crypto.merkle.levels import MAX_LEAVES, UNUSED_HASHES
from microrollup.store.tree_delta import DeltaView

__all__ = ["OldPath"]


class OldPath:
    """What is known by now of a leaf's path when the tree had `leaf_count` leaves.

    Give it the deltas of the blocks after that height, ascending; those that `is_touched` says no to may be left out.
    """

    def __init__(self, leaf_index: int, leaf_count: int) -> None:
        self.leaf_index = leaf_index
        self.leaf: bytes | None = None
        """The 99 bytes, after a block has changed them."""
        siblings = [leaf_index >> level ^ 1 for level in range(compute_depth(leaf_count))]
        self.wanted = {level: sibling for level, sibling in enumerate(siblings) if sibling << level < leaf_count}
        """Level -> index of the siblings that no block has changed yet."""
        self.hashes = list(UNUSED_HASHES[: len(siblings)])
        """By level; meaningless where still wanted."""
        self._measure()

    def _measure(self) -> None:
        """Leaves below what is not known yet, as half-open ranges."""
        places = [(self.leaf_index, 0)] if self.leaf is None else []
        places += [(sibling, level) for level, sibling in self.wanted.items()]
        # Of the indices' own type: searching for another would copy them all.
        self._lows = np.array([index << level for index, level in places], np.uint32)
        self._highs = np.array([min((index + 1) << level, MAX_LEAVES) for index, level in places], np.uint32)

    @property
    def is_complete(self) -> bool:
        """Whether everything is known."""
        return not len(self._lows)

    def is_touched(self, leaf_indices: npt.NDArray[np.uint32]) -> bool:
        """Whether one of these changed leaves (ascending) lies below what is not known yet."""
        first, last = np.searchsorted(leaf_indices, self._lows), np.searchsorted(leaf_indices, self._highs)
        return bool(np.any(first < last))

    def find_touching(self, leaf_indices: npt.NDArray[np.uint32], blocks: npt.NDArray[np.uint16]) -> int:
        """Which blocks touched what is not known yet: the bits of `blocks`, where each changed leaf has its own."""
        first, last = leaf_indices.searchsorted(self._lows), leaf_indices.searchsorted(self._highs)
        found = 0
        for start, end in zip(first.tolist(), last.tolist(), strict=True):
            if start < end:
                found |= int(np.bitwise_or.reduce(blocks[start:end]))
        return found

    def apply(self, delta: DeltaView) -> None:
        """Take from the next block's change what it was before."""
        if self.leaf is None:
            self.leaf = delta.get_old_leaf(self.leaf_index)
        for level, old_hash in delta.get_old_hashes(self.wanted).items():
            self.hashes[level] = old_hash
            del self.wanted[level]
        self._measure()
