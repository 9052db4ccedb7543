"""The nodes of a binary Merkle tree in one growing array, and hashing them level by level.

In-order numbering: the hash of leaf i is at row 2i, the node of level k and index i at row `((2i + 1) << k) - 1`.
A tree that doubles only appends rows, and the lower levels of a path lie close together. Subtrees without any used leaf
are not kept: their hashes depend on the level alone (`UNUSED_HASHES`).
"""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct as StructLayout
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from microrollup._native.choice import get_library
from microrollup.crypto.keccak import keccak256
from microrollup.crypto.merkle.indexed import UNUSED_LEAF_HASH, compute_depth
from microrollup.crypto.merkle.known_nodes import KnownNodes
from microrollup.crypto.merkle.rows import Rows, put_rows
from microrollup.errors import StoreError

__all__ = [
    "DamagedTree",
    "HASH_BYTES",
    "MAX_DEPTH",
    "MAX_LEAVES",
    "Indices",
    "NodeChanges",
    "Rows",
    "UNUSED_HASHES",
    "change_nodes",
    "check_leaf_count",
    "climb",
    "compute_node_position",
    "compute_node_rows",
    "compute_positions",
    "compute_row_hashes",
]

HASH_BYTES: Final = 32
MAX_DEPTH: Final = 31
"""Node ids of a tree this deep just fit 32 bits."""

MAX_LEAVES: Final = 1 << MAX_DEPTH

Indices = npt.NDArray[np.int64]


def _compute_unused_hashes() -> tuple[bytes, ...]:
    hashes = [UNUSED_LEAF_HASH]
    for _ in range(MAX_DEPTH):
        hashes.append(keccak256(hashes[-1] + hashes[-1]))
    return tuple(hashes)


UNUSED_HASHES: Final = _compute_unused_hashes()
"""By level, the hash of a subtree all of whose leaves are unused."""

_MIN_NATIVE: Final = 4
"""Rows from which on the native helper is faster."""

_UNUSED_ROWS: Final = np.frombuffer(b"".join(UNUSED_HASHES), np.uint8).reshape(-1, HASH_BYTES)


def compute_row_hashes(rows: Rows) -> Rows:
    """keccak256 of each row, as rows of 32 bytes.

    The hot loop of the state root.
    """
    library = get_library()
    if library is not None and len(rows) >= _MIN_NATIVE:
        return np.frombuffer(library.hash_rows(rows.tobytes(), rows.shape[1]), np.uint8).reshape(-1, HASH_BYTES)
    split = StructLayout(f"{rows.shape[1]}s").iter_unpack
    digests = b"".join([keccak256(row) for (row,) in split(rows.tobytes())])
    return np.frombuffer(digests, np.uint8).reshape(-1, HASH_BYTES)


def compute_node_position(level: int, index: int) -> int:
    """The row of a node."""
    return ((2 * index + 1) << level) - 1


def compute_node_rows(leaf_count: int) -> int:
    """How many rows hold all nodes of a tree; a half unused node may follow the last leaf."""
    depth = compute_depth(leaf_count)
    return 1 + max(compute_node_position(level, (leaf_count - 1) >> level) for level in range(depth + 1))


def compute_positions(ids: npt.NDArray[np.uint32], depth: int) -> Indices:
    """The rows of nodes by their ids: node i of level k in a tree of `depth` has the id `2^(depth - k) + i`."""
    wide = ids.astype(np.int64)
    above_leaves = np.frexp(wide.astype(np.float64))[1].astype(np.int64) - 1
    levels = depth - above_leaves
    indices = wide - (np.int64(1) << above_leaves)
    return ((2 * indices + 1) << levels) - 1


class NodeChanges(msgspec.Struct, frozen=True, eq=False):
    """The nodes that a change of leaves touches, root first, each level from left to right: ascending by `ids`."""

    root: bytes
    ids: npt.NDArray[np.uint32]
    """`2^(depth - level) + index`, with the depth after the change."""
    positions: Indices
    old_hashes: Rows
    """(n, 32); zeros where the node did not exist before."""
    new_hashes: Rows


class _Level(msgspec.Struct, frozen=True, eq=False):
    ids: npt.NDArray[np.uint32]
    positions: Indices
    old_hashes: Rows
    new_hashes: Rows


class DamagedTree(Exception):
    """What was read of the tree does not lead to its root; says where, in words."""


def change_nodes(
    nodes: Rows,
    indices: Indices,
    hashes: Rows,
    *,
    root_before: bytes,
    count_before: int,
    count_after: int,
    old_hashes: Rows | None = None,
    known: KnownNodes | None = None,
) -> NodeChanges:
    """Hash upwards from changed leaves. `nodes` is only read, and must have the rows of the tree after the change.

    `indices` are the changed leaves, strictly ascending, every appended leaf among them; `hashes` are their new hashes.
    Level by level, so that numpy moves all siblings at once and Python only calls keccak256.

    With `old_hashes`, those of the changed leaves that were there before, every node that is read is checked: together
    they must lead from these hashes to `root_before`, or to nodes that are `known` to do so, which then are not read.
    Raises `DamagedTree`. Without, as after a crash, none is.
    """
    if len(indices) == 0:
        none = np.empty((0, HASH_BYTES), np.uint8)
        return NodeChanges(root_before, np.empty(0, np.uint32), np.empty(0, np.int64), none, none)
    depth, depth_before = compute_depth(count_after), compute_depth(count_before)
    wide = nodes.view(np.uint64)
    levels = []
    check = None if old_hashes is None else _OldPaths(count_before, old_hashes, known or KnownNodes(UNUSED_HASHES))
    if check is not None and nodes[compute_node_position(depth_before, 0)].tobytes() != root_before:
        raise DamagedTree("the root")
    for level in range(depth):
        above, children, rows = _pair_up(level, indices)
        pairs = wide.take(children, axis=0, mode="clip").view(np.uint8)
        if check is not None:
            check.climb(level, pairs, rows, above)
        if (2 * int(above[-1]) + 1) << level >= count_after:
            pairs[-1] = _UNUSED_ROWS[level]
        old = _blank_new_nodes(level, indices, pairs.take(rows, axis=0), count_before)
        levels.append(_Level(_compute_ids(depth, level, indices), children[rows], old, hashes))
        put_rows(pairs, rows, hashes)
        hashes = compute_row_hashes(pairs.reshape(-1, 2 * HASH_BYTES))
        indices = above
    top = np.array([compute_node_position(depth, 0)])
    old = _blank_new_nodes(depth, indices, nodes.take(top, axis=0), count_before)
    if check is not None:
        check.finish(depth, old)
    levels.append(_Level(_compute_ids(depth, depth, indices), top, old, hashes))
    levels.reverse()
    return NodeChanges(
        root=hashes.tobytes(),
        ids=np.concatenate([level.ids for level in levels]),
        positions=np.concatenate([level.positions for level in levels]),
        old_hashes=np.concatenate([level.old_hashes for level in levels]),
        new_hashes=np.concatenate([level.new_hashes for level in levels]),
    )


class _OldPaths:
    """The paths of changed leaves in the tree as it was, hashed from level to level beside the new ones."""

    def __init__(self, count_before: int, old_hashes: Rows, known: KnownNodes) -> None:
        self._count = count_before
        self._depth = compute_depth(count_before)
        self._known = known
        self._hashes = old_hashes
        self._places = np.arange(len(old_hashes))
        """Which of the changed nodes of the level the hashes are of; the others' children are known."""
        self._hashed: list[tuple[Indices, Rows]] = []
        known.set_depth(self._depth)

    def climb(self, level: int, pairs: Rows, rows: Indices, above: Indices) -> None:
        """Compare the changed nodes of a level as they were read with what their children hash to, and hash the pairs.

        Puts those that are known into `pairs`, which are the children of the nodes `above`; the changed ones among them
        are at `rows`. Raises `DamagedTree`.
        """
        parents = 0
        if level < self._depth:
            parents = int(np.searchsorted(above, -(-self._count >> level + 1)))
        old_pairs = pairs.reshape(-1, 2 * HASH_BYTES)[:parents]
        ids = above[:parents] + (1 << max(0, self._depth - level - 1))
        is_known = self._known.find(ids)
        put_rows(old_pairs, np.flatnonzero(is_known), self._known.take(ids[is_known]))
        if not np.array_equal(pairs.take(rows[self._places], axis=0), self._hashes):
            raise DamagedTree(f"a node of level {level}")
        self._places = np.flatnonzero(~is_known)
        fresh = old_pairs.take(self._places, axis=0)
        if len(fresh) and (2 * int(above[self._places[-1]]) + 1) << level >= self._count:
            fresh[-1, HASH_BYTES:] = _UNUSED_ROWS[level]
        self._hashed.append((ids[self._places], fresh))
        self._hashes = compute_row_hashes(fresh)

    def finish(self, level: int, top: Rows) -> None:
        """Compare the root, and keep what is known now. Raises `DamagedTree`."""
        if not np.array_equal(top[self._places], self._hashes):
            raise DamagedTree(f"the nodes below level {level}")
        for parents, pairs in self._hashed:
            self._known.enter(parents, pairs)


def _pair_up(level: int, indices: Indices) -> tuple[Indices, Indices, Indices]:
    """For changed nodes of a level: their parents' indices, the positions of all the parents' children (left, right,
    left, right ...), and which of these children the changed nodes are.
    """
    parents = indices >> 1
    is_first = np.empty(len(parents), np.bool_)
    is_first[0] = True
    np.not_equal(parents[1:], parents[:-1], out=is_first[1:])
    above = parents[is_first]
    lefts = ((4 * above + 1) << level) - 1
    children = np.column_stack((lefts, lefts + (2 << level))).reshape(-1)
    return above, children, 2 * (np.cumsum(is_first) - 1) + (indices & 1)


def _compute_ids(depth: int, level: int, indices: Indices) -> npt.NDArray[np.uint32]:
    return (indices + (1 << (depth - level))).astype(np.uint32)


def _blank_new_nodes(level: int, indices: Indices, old_hashes: Rows, count_before: int) -> Rows:
    """Zero what the array happened to hold for nodes that did not exist before."""
    existed = -(-count_before >> level) if level <= compute_depth(count_before) else 0
    if indices[-1] >= existed:
        old_hashes[np.searchsorted(indices, existed) :] = 0
    return old_hashes


def climb(
    hashes: Rows, *, first: int, level: int, top_level: int, take_level: Callable[[int, int, Rows], None]
) -> bytes:
    """Hash from the used nodes of one level (the first has index `first` there) up to the one node of `top_level`.

    `take_level(level, first, hashes)` gets every level above, the top included. Returns the top's 32 bytes.
    """
    while level < top_level:
        if len(hashes) % 2:
            hashes = np.concatenate((hashes, _UNUSED_ROWS[level : level + 1]))
        hashes = compute_row_hashes(hashes.reshape(-1, 2 * HASH_BYTES))
        level, first = level + 1, first >> 1
        take_level(level, first, hashes)
    return hashes.tobytes()


def check_leaf_count(count: int) -> None:
    """Raises `StoreError` beyond `MAX_LEAVES`."""
    if count > MAX_LEAVES:
        raise StoreError(f"a tree has at most {MAX_LEAVES} leaves")
