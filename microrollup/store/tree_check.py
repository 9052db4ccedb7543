"""Hashing a whole flat tree again, in bounded memory: to find damage, or to write the nodes anew."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec
import numpy as np

from microrollup.crypto.merkle.indexed import compute_depth
from microrollup.crypto.merkle.levels import HASH_BYTES, Rows, climb, compute_node_position, compute_row_hashes

__all__ = ["DamagedNode", "find_damage", "ignore_progress", "rehash_nodes"]

_CHUNK_LEVEL: Final = 13
"""Subtrees of 2^13 leaves are read at a time: about 3 MB with what is computed of them."""

OnLeavesHashed = Callable[[int], None]
"""Called with the number of leaves done."""


class DamagedNode(msgspec.Struct, frozen=True):
    """A stored node that is not the hash of what lies below, although everything below is right.

    At level 0 either the node or the leaf's 99 bytes are damaged.
    """

    level: int
    index: int


def ignore_progress(_leaves_done: int) -> None:
    """For callers who do not watch."""


def find_damage(leaves: Rows, nodes: Rows, leaf_count: int, on_progress: OnLeavesHashed) -> list[DamagedNode]:
    """Where damage begins, ascending by level and index."""
    wrong: set[tuple[int, int]] = set()

    def compare(level: int, first: int, hashes: Rows) -> None:
        stored = nodes[_level_slice(level, first, len(hashes))]
        rows = np.flatnonzero((stored != hashes).any(axis=1))
        wrong.update((level, first + row) for row in rows.tolist())

    _hash_all(leaves, leaf_count, compare, on_progress)
    return [
        DamagedNode(level, index)
        for level, index in sorted(wrong)
        if (level - 1, 2 * index) not in wrong and (level - 1, 2 * index + 1) not in wrong
    ]


def rehash_nodes(leaves: Rows, nodes: Rows, leaf_count: int, on_progress: OnLeavesHashed) -> None:
    """Write every node again from the leaves."""

    def write(level: int, first: int, hashes: Rows) -> None:
        nodes[_level_slice(level, first, len(hashes))] = hashes

    _hash_all(leaves, leaf_count, write, on_progress)


def _hash_all(
    leaves: Rows, leaf_count: int, take_level: Callable[[int, int, Rows], None], on_progress: OnLeavesHashed
) -> None:
    depth = compute_depth(leaf_count)
    chunk_level = min(_CHUNK_LEVEL, depth)
    tops = []
    for first in range(0, leaf_count, 1 << chunk_level):
        end = min(first + (1 << chunk_level), leaf_count)
        hashes = compute_row_hashes(leaves[first:end])
        take_level(0, first, hashes)
        tops.append(climb(hashes, first=first, level=0, top_level=chunk_level, take_level=take_level))
        on_progress(end)
    rows = np.frombuffer(b"".join(tops), np.uint8).reshape(-1, HASH_BYTES)
    climb(rows, first=0, level=chunk_level, top_level=depth, take_level=take_level)


def _level_slice(level: int, first: int, count: int) -> slice:
    start = compute_node_position(level, first)
    return slice(start, start + (count - 1) * (2 << level) + 1, 2 << level)
