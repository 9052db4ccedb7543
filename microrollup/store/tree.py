"""The indexed Merkle tree of a store, in two flat files: leaves of 99 bytes, nodes of 32 bytes in in-order numbering.

The files are derived data. A block is first computed as a delta, which changes nothing; the delta is committed to LMDB;
then `apply` writes it into the mapped files, and `sync` makes them durable now and then. After a crash the files hold
any mixture of old and new pages: open with the leaf count of the last `sync` and `redo` the deltas since.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from microrollup.crypto.merkle.indexed import (
    DUMMY_LEAF,
    LEAF_BYTES,
    Leaf,
    Proof,
    compute_depth,
    decode_leaf,
    encode_leaf,
)
from microrollup.crypto.merkle.known_nodes import KnownNodes
from microrollup.crypto.merkle.levels import (
    HASH_BYTES,
    UNUSED_HASHES,
    DamagedTree,
    change_nodes,
    check_leaf_count,
    compute_node_position,
    compute_node_rows,
    compute_row_hashes,
)
from microrollup.crypto.merkle.rows import put_rows
from microrollup.errors import DecodeError, StoreCorrupt
from microrollup.store.flat_file import FlatFile
from microrollup.store.old_path import OldPath
from microrollup.store.tree_check import DamagedNode, OnLeavesHashed, find_damage, ignore_progress, rehash_nodes
from microrollup.store.tree_delta import DeltaView, TreeDelta
from microrollup.store.tree_index import KeyIndex
from microrollup.store.tree_leaves import LeafChanges, compute_leaf_changes, compute_linked_leaves

__all__ = ["FlatTree"]

LEAVES_FILE: Final = "leaves"
NODES_FILE: Final = "nodes"


class FlatTree:
    """Owns the two files. One process has them open; `prove` may run in its other threads between two `apply`s."""

    def __init__(self, directory: Path, leaf_count: int, *, private: bool = False) -> None:
        """Open the tree as of the last `sync`, when it had `leaf_count` leaves. Reads no more than the files' sizes.

        Changes of a `private` tree stay in this process; the files are only read. Raises `StoreMissing`, or
        `StoreCorrupt` if a file is too short.
        """
        self.leaf_count = leaf_count
        self._leaves = FlatFile(directory / LEAVES_FILE, LEAF_BYTES, row_count=leaf_count, private=private)
        try:
            rows = compute_node_rows(leaf_count)
            self._nodes = FlatFile(directory / NODES_FILE, HASH_BYTES, row_count=rows, private=private)
        except Exception:
            self._leaves.close()
            raise
        self.known = KnownNodes(UNUSED_HASHES)
        self._root = self._read_root()

    @classmethod
    def create(cls, directory: Path) -> FlatTree:
        """Make the files of the empty tree (the dummy leaf alone), replacing any that are there; not yet synced."""
        FlatFile.create(directory / LEAVES_FILE, LEAF_BYTES).close()
        FlatFile.create(directory / NODES_FILE, HASH_BYTES).close()
        tree = cls(directory, 1)
        dummy = np.frombuffer(encode_leaf(DUMMY_LEAF), np.uint8).reshape(1, LEAF_BYTES)
        tree._leaves.rows[:1] = dummy
        tree._nodes.rows[:1] = compute_row_hashes(dummy)
        tree._root = tree._read_root()
        return tree

    def root(self) -> bytes:
        """The 32-byte state root of what is applied. Kept in memory: the file may be damaged meanwhile."""
        return self._root

    def _read_root(self) -> bytes:
        return self._nodes.read_row(compute_node_position(compute_depth(self.leaf_count), 0))

    @property
    def leaf_rows(self) -> npt.NDArray[np.uint8]:
        """All leaves in use, as they are in the file, shape (leaf count, 99); for checks."""
        return self._leaves.rows[: self.leaf_count]

    @property
    def node_rows(self) -> npt.NDArray[np.uint8]:
        """The node file as it stands, 32 bytes per row; `microrollup.crypto.merkle.levels` maps nodes to rows."""
        return self._nodes.rows

    def get_leaf(self, leaf_index: int) -> Leaf:
        """A leaf in use. Raises `IndexError` beyond them and `StoreCorrupt` if a flag is impossible."""
        self._check_index(leaf_index, self.leaf_count)
        return _decode_stored_leaf(leaf_index, self._leaves.read_row(leaf_index))

    def read_leaf(self, leaf_index: int) -> bytes:
        """The 99 bytes of a leaf as they are in the file, which nothing has checked yet."""
        return self._leaves.read_row(leaf_index)

    def prove(self, leaf_index: int) -> Proof:
        """The proof of a leaf in use under `root()`. Raises `IndexError` beyond them."""
        leaf = self.get_leaf(leaf_index)
        read_row, leaf_count = self._nodes.read_row, self.leaf_count
        siblings = []
        for level in range(compute_depth(leaf_count)):
            sibling = leaf_index >> level ^ 1
            if sibling << level >= leaf_count:
                siblings.append(UNUSED_HASHES[level])
            else:
                siblings.append(read_row(((2 * sibling + 1) << level) - 1))
        return Proof(leaf_index, leaf, tuple(siblings), leaf_index)

    # Changing the tree

    def compute_delta(self, changes: Mapping[bytes, bytes], index: KeyIndex) -> TreeDelta:
        """What a block does to the tree: `changes` maps 32-byte tree keys to value hashes, in the order of their first
        change, in which new keys get their leaf indices. A deleted key has the value hash `EMPTY_HASH`.

        `index` knows the keys as of the last `apply`. No contents change, though the files may be given more room.
        Leaves, nodes and keys that are read must lead to `root()`. Raises `StoreCorrupt` if they do not, and
        `CommitFailed` if the disk has no room.
        """
        leaves = compute_leaf_changes(self._leaves.rows, self.leaf_count, changes, index)
        before, after, root = self.leaf_count, self.leaf_count + len(leaves.inserted), self._root
        self._reserve(after)
        try:
            nodes = change_nodes(
                self._nodes.rows,
                leaves.indices,
                compute_row_hashes(leaves.new_leaves),
                root_before=root,
                count_before=before,
                count_after=after,
                old_hashes=self.hash_old_leaves(leaves),
                known=self.known,
            )
        except DamagedTree as damaged:
            raise StoreCorrupt("tree", f"leaves and nodes do not lead to the state root: {damaged} differs") from None
        return TreeDelta(
            leaf_count_before=before,
            leaf_count=after,
            root_before=root,
            root=nodes.root,
            leaf_indices=leaves.indices,
            old_leaves=leaves.old_leaves,
            new_leaves=leaves.new_leaves,
            node_ids=nodes.ids,
            node_positions=nodes.positions,
            old_hashes=nodes.old_hashes,
            new_hashes=nodes.new_hashes,
            inserted=leaves.inserted,
        )

    def hash_old_leaves(self, leaves: LeafChanges) -> npt.NDArray[np.uint8]:
        """The hashes of changed leaves as they were read, which must be those of the nodes above them."""
        return compute_row_hashes(leaves.old_leaves[: len(leaves.indices) - len(leaves.inserted)])

    def apply(self, delta: TreeDelta) -> None:
        """Write a delta that LMDB holds safely to the files. Raises `StoreCorrupt` unless it follows on the tree."""
        self._check_follows(delta.leaf_count_before, delta.root_before)
        self._reserve(delta.leaf_count)
        put_rows(self._leaves.rows, delta.leaf_indices, delta.new_leaves)
        put_rows(self._nodes.rows, delta.node_positions, delta.new_hashes)
        self.known.replace(compute_depth(delta.leaf_count), self.leaf_count, delta.node_ids, delta.new_hashes)
        self.leaf_count, self._root = delta.leaf_count, delta.root

    def fill(
        self, keys: Iterable[bytes], value_hashes: Iterable[bytes], on_progress: OnLeavesHashed = ignore_progress
    ) -> bytes:
        """Replace the whole tree by these keys, in the order of their leaves from index 1 on; returns the root.

        For snapshots, repairs from the state, and benchmarks: it hashes each node once, and it is not atomic: `sync`,
        then say in LMDB that the tree is there. Raises `StoreCorrupt` if a key comes twice, and `CommitFailed`.
        """
        leaves = compute_linked_leaves(_to_rows(keys), _to_rows(value_hashes))
        self._reserve(len(leaves))
        self._leaves.rows[: len(leaves)] = leaves
        self.leaf_count = len(leaves)
        return self.rehash(on_progress)

    def sync(self) -> None:
        """Return once everything applied is on disk. Raises `CommitFailed`."""
        self._leaves.sync()
        self._nodes.sync()

    def close(self) -> None:
        """Close the files without syncing: what is not on disk yet is redone from the deltas."""
        self._leaves.close()
        self._nodes.close()

    # The tree as it was

    def begin_path(self, leaf_index: int, leaf_count: int) -> OldPath:
        """The path of a leaf of the tree of `leaf_count` leaves, to be shown what later blocks changed.

        The deltas of all blocks after that height are applied to it, ascending: the first that touches a leaf or node
        has its old value. Raises `IndexError` if the leaf was not in use then.
        """
        self._check_index(leaf_index, leaf_count)
        return OldPath(leaf_index, leaf_count)

    def finish_path(self, path: OldPath) -> Proof:
        """The proof: what no later block has changed is as the files have it."""
        hashes, leaf_index = list(path.hashes), path.leaf_index
        for level, sibling in path.wanted.items():
            hashes[level] = self._nodes.read_row(compute_node_position(level, sibling))
        leaf = self._leaves.read_row(leaf_index) if path.leaf is None else path.leaf
        return Proof(leaf_index, _decode_stored_leaf(leaf_index, leaf), tuple(hashes), leaf_index)

    # Repair

    def redo(self, deltas: Iterable[DeltaView]) -> bytes:
        """After a crash: bring the files to the state after `deltas` (ascending, all since the last `sync`).

        Whatever mixture of old and new rows the disk holds, the outcome is the same, and doing it twice does no harm:
        leaves are written as they must be, and every node above one is hashed again. Returns the root, which is the
        last delta's unless something else is damaged: compare. Raises `DecodeError`, or `StoreCorrupt` for a gap.
        """
        leaf_count = self.leaf_count
        touched = []
        for delta in deltas:
            delta.check()
            if delta.leaf_count_before != leaf_count:
                raise StoreCorrupt("tree", f"a delta follows on {delta.leaf_count_before} leaves, not on {leaf_count}")
            leaf_count = delta.leaf_count
            self._reserve(leaf_count)
            put_rows(self._leaves.rows, delta.leaf_indices, delta.new_leaves)
            touched.append(delta.leaf_indices.astype(np.int64))
        if touched:
            indices = np.unique(np.concatenate(touched))
            changed = change_nodes(
                self._nodes.rows,
                indices,
                compute_row_hashes(self._leaves.rows.take(indices, axis=0)),
                root_before=self._read_root(),
                count_before=self.leaf_count,
                count_after=leaf_count,
            )
            put_rows(self._nodes.rows, changed.positions, changed.new_hashes)
        self.leaf_count = leaf_count
        return self._begin_anew()

    def rewind(self, deltas: Iterable[DeltaView]) -> bytes:
        """Undo blocks: `deltas` descending from the last applied one. Returns the root, which is the `root_before` of
        the last one given. Raises `DecodeError`, or `StoreCorrupt` if a delta is not the one that led here.

        Until the next `sync` returns the deltas must stay in LMDB: after a crash, open with the leaf count from before
        and rewind all of them again, which does no harm to what is already rewound.
        """
        for delta in deltas:
            delta.check()
            if delta.leaf_count != self.leaf_count:
                raise StoreCorrupt("tree", f"a delta led to {delta.leaf_count} leaves, not to {self.leaf_count}")
            put_rows(self._leaves.rows, delta.leaf_indices, delta.old_leaves)
            put_rows(self._nodes.rows, delta.compute_node_positions(), delta.old_hashes)
            self.leaf_count = delta.leaf_count_before
        return self._begin_anew()

    def check(self, on_progress: OnLeavesHashed = ignore_progress) -> list[DamagedNode]:
        """Hash everything from the leaves up and list the places where damage begins, ascending by level and index.

        Reads the whole tree, a few megabytes at a time. That the leaves are the right ones only `root()` can tell,
        once it equals a header's.
        """
        return find_damage(self._leaves.rows, self._nodes.rows, self.leaf_count, on_progress)

    def rehash(self, on_progress: OnLeavesHashed = ignore_progress) -> bytes:
        """Write every node again from the leaves; returns the root, to be compared with a header's."""
        rehash_nodes(self._leaves.rows, self._nodes.rows, self.leaf_count, on_progress)
        return self._begin_anew()

    def _begin_anew(self) -> bytes:
        """Take the root from the file, which was written otherwise than by `apply`."""
        self.known.forget()
        self._root = self._read_root()
        return self._root

    def _reserve(self, leaf_count: int) -> None:
        check_leaf_count(leaf_count)
        self._leaves.reserve(leaf_count)
        self._nodes.reserve(compute_node_rows(leaf_count))

    def _check_follows(self, leaf_count: int, root: bytes) -> None:
        if leaf_count != self.leaf_count or root != self.root():
            raise StoreCorrupt("tree", f"a delta on {leaf_count} leaves and root 0x{root.hex()} does not follow")

    @staticmethod
    def _check_index(leaf_index: int, leaf_count: int) -> None:
        if not 0 <= leaf_index < leaf_count:
            raise IndexError(f"leaf {leaf_index} of {leaf_count}")


def _decode_stored_leaf(leaf_index: int, raw: bytes) -> Leaf:
    try:
        leaf = decode_leaf(raw)
    except DecodeError as error:
        raise StoreCorrupt("tree", f"leaf {leaf_index}: {error.reason}") from None
    if leaf.active != 1:
        raise StoreCorrupt("tree", f"leaf {leaf_index} is unused")
    return leaf


def _to_rows(hashes: Iterable[bytes]) -> npt.NDArray[np.uint8]:
    return np.frombuffer(b"".join(hashes), np.uint8).reshape(-1, HASH_BYTES)
