"""What one block changes in the flat tree: enough to do it again after a crash, and to see the tree as it was."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from struct import Struct as StructLayout
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt
from blake3 import blake3

from microrollup.crypto.merkle.indexed import LEAF_BYTES, compute_depth
from microrollup.crypto.merkle.levels import HASH_BYTES, MAX_LEAVES, compute_positions
from microrollup.errors import DecodeError

__all__ = ["DeltaView", "TreeDelta", "encode_delta", "read_leaf_indices"]

_VERSION: Final = 2
_UNCHECKED_VERSION: Final = 1
"""With zero in place of the check: stores keep such deltas of blocks that were closed before."""

_HEADER: Final = StructLayout("<IIIIII32s32s")
"""Version, leaves before, leaves after, changed leaves, changed nodes, check of the inserted keys, root before, root
after.
"""

_WHAT: Final = "tree delta"


class TreeDelta(msgspec.Struct, frozen=True, eq=False):
    """The changes of one block; arrays are ascending by leaf index and by node id."""

    leaf_count_before: int
    leaf_count: int
    """After the block."""
    root_before: bytes
    root: bytes
    """After the block: the header's state root."""
    leaf_indices: npt.NDArray[np.int64]
    old_leaves: npt.NDArray[np.uint8]
    """(n, 99); zeros for leaves that the block appended."""
    new_leaves: npt.NDArray[np.uint8]
    node_ids: npt.NDArray[np.uint32]
    """`2^(depth - level) + index` with the depth after the block: root first, leaves last."""
    node_positions: npt.NDArray[np.int64]
    """Rows of the node file."""
    old_hashes: npt.NDArray[np.uint8]
    """(m, 32); zeros for nodes that did not exist."""
    new_hashes: npt.NDArray[np.uint8]
    inserted: tuple[tuple[bytes, int], ...]
    """Tree keys that are new with this block, and their leaf indices, ascending by index."""


def encode_delta(delta: TreeDelta) -> bytes:
    """The bytes that `DeltaView` reads: header, indices, node ids, old and new leaves, old nodes; little-endian.

    New node hashes are left out, being a function of the leaves.
    """
    header = _HEADER.pack(
        _VERSION,
        delta.leaf_count_before,
        delta.leaf_count,
        len(delta.leaf_indices),
        len(delta.node_ids),
        _compute_check(delta.leaf_count_before, [key for key, _ in delta.inserted]),
        delta.root_before,
        delta.root,
    )
    return b"".join(
        (
            header,
            delta.leaf_indices.astype("<u4").tobytes(),
            delta.node_ids.astype("<u4", copy=False).tobytes(),
            delta.old_leaves.data,
            delta.new_leaves.data,
            delta.old_hashes.data,
        )
    )


def _compute_check(leaf_count_before: int, keys: Iterable[bytes]) -> int:
    """The first 4 bytes of BLAKE3 of the first new leaf's index (4 bytes) and the keys from there on. Leaves and nodes
    are held against the root when they are applied; these are looked up without it.
    """
    joined = leaf_count_before.to_bytes(4, "little") + b"".join(keys)
    return int.from_bytes(blake3(joined).digest(4), "little")


def read_leaf_indices(raw: bytes | memoryview) -> npt.NDArray[np.uint32]:
    """The changed leaves of an encoded delta, ascending; a view of `raw`, for readers that need not look at the rest.

    Raises `DecodeError` if it is shorter than its header says.
    """
    if len(raw) < _HEADER.size:
        raise DecodeError(_WHAT, f"{len(raw)} bytes, shorter than its header")
    count: int = _HEADER.unpack_from(raw)[3]
    if len(raw) < _HEADER.size + 4 * count:
        raise DecodeError(_WHAT, f"{len(raw)} bytes are too few for {count} leaves")
    return np.frombuffer(raw, "<u4", count, _HEADER.size)


class DeltaView:
    """Reads an encoded delta in place: every array is a view of `raw`, which must outlive it.

    The constructor checks lengths and counts only, which costs the same for any delta; `check` looks at every index.
    """

    def __init__(self, raw: bytes | memoryview) -> None:
        """Raises `DecodeError` unless `raw` has the length that its header announces."""
        if len(raw) < _HEADER.size:
            raise DecodeError(_WHAT, f"{len(raw)} bytes, shorter than its header")
        version, before, after, leaves, nodes, check, root_before, root = _HEADER.unpack_from(raw)
        if version not in (_VERSION, _UNCHECKED_VERSION) or (version == _UNCHECKED_VERSION and check != 0):
            raise DecodeError(_WHAT, f"format {version} is unknown")
        if not 1 <= before <= after <= MAX_LEAVES:
            raise DecodeError(_WHAT, f"leaf count goes from {before} to {after}")
        if not after - before <= leaves <= after:
            raise DecodeError(_WHAT, f"{leaves} changed leaves out of {after}, {after - before} of them new")
        size = _HEADER.size + 4 * leaves + 4 * nodes + 2 * LEAF_BYTES * leaves + HASH_BYTES * nodes
        if len(raw) != size:
            raise DecodeError(_WHAT, f"{len(raw)} bytes, {size} announced")
        self._check: int | None = check if version == _VERSION else None
        self.leaf_count_before: int = before
        self.leaf_count: int = after
        self.root_before: bytes = root_before
        self.root: bytes = root
        place = _HEADER.size
        self.leaf_indices: npt.NDArray[np.uint32] = np.frombuffer(raw, "<u4", leaves, place)
        place += 4 * leaves
        self.node_ids: npt.NDArray[np.uint32] = np.frombuffer(raw, "<u4", nodes, place)
        place += 4 * nodes
        self.old_leaves = _view_rows(raw, place, leaves, LEAF_BYTES)
        place += LEAF_BYTES * leaves
        self.new_leaves = _view_rows(raw, place, leaves, LEAF_BYTES)
        place += LEAF_BYTES * leaves
        self.old_hashes = _view_rows(raw, place, nodes, HASH_BYTES)

    def check(self) -> None:
        """Look at every index: ascending, within the tree, every new leaf present. Raises `DecodeError`."""
        leaves, nodes = self.leaf_indices, self.node_ids
        if len(leaves) == 0:
            if len(nodes) != 0:
                raise DecodeError(_WHAT, "nodes change and no leaf does")
            return
        if not (_is_ascending(leaves) and leaves[-1] < self.leaf_count):
            raise DecodeError(_WHAT, "leaf indices are not ascending within the tree")
        if self.leaf_count > self.leaf_count_before and leaves[self.leaf_count_before - self.leaf_count] != (
            self.leaf_count_before
        ):
            raise DecodeError(_WHAT, "a new leaf is missing")
        if not (_is_ascending(nodes) and nodes[0] == 1 and int(nodes[-1]) < 2 << compute_depth(self.leaf_count)):
            raise DecodeError(_WHAT, "node ids are not ascending within the tree")

    def get_old_leaf(self, leaf_index: int) -> bytes | None:
        """The 99 bytes of a leaf before the block, None if the block did not touch it."""
        row = int(np.searchsorted(self.leaf_indices, np.uint32(leaf_index)))
        if row == len(self.leaf_indices) or self.leaf_indices[row] != leaf_index:
            return None
        old: bytes = self.old_leaves[row].tobytes()
        return old

    def get_old_hashes(self, wanted: Mapping[int, int]) -> dict[int, bytes]:
        """Hashes before the block of those wanted nodes (one a level: level -> index) that the block changed."""
        if not wanted or len(self.node_ids) == 0:
            return {}
        depth = compute_depth(self.leaf_count)
        ids = np.array([(1 << (depth - level)) + index for level, index in wanted.items()], np.uint32)
        rows = np.searchsorted(self.node_ids, ids).clip(max=len(self.node_ids) - 1)
        hits = self.node_ids[rows] == ids
        return {
            level: self.old_hashes[row].tobytes()
            for level, row, hit in zip(wanted, rows.tolist(), hits.tolist(), strict=True)
            if hit
        }

    def get_inserted_keys(self) -> npt.NDArray[np.bytes_]:
        """Tree keys that the block inserted, in the order of their leaves, the first of them `leaf_count_before`. They
        are not checked: for a reader whose proof tells.
        """
        first = len(self.leaf_indices) - (self.leaf_count - self.leaf_count_before)
        return np.ascontiguousarray(self.new_leaves[first:, 2:34]).view("S32").reshape(-1)

    def get_inserted(self) -> list[tuple[bytes, int]]:
        """Tree keys that the block inserted, with their leaf indices, ascending by index.

        Raises `DecodeError` if they are damaged, in deltas that have a check.
        """
        rows = self.get_inserted_keys().tobytes()
        if self._check is not None and self._check != _compute_check(self.leaf_count_before, [rows]):
            raise DecodeError(_WHAT, "its new keys are not those that were stored")
        return [
            (rows[32 * place : 32 * place + 32], self.leaf_count_before + place) for place in range(len(rows) // 32)
        ]

    def compute_node_positions(self) -> npt.NDArray[np.int64]:
        """Rows of the node file, in the order of `node_ids`."""
        return compute_positions(self.node_ids, compute_depth(self.leaf_count))


def _view_rows(raw: bytes | memoryview, place: int, count: int, row_bytes: int) -> npt.NDArray[np.uint8]:
    return np.frombuffer(raw, np.uint8, count * row_bytes, place).reshape(count, row_bytes)


def _is_ascending(values: npt.NDArray[np.uint32]) -> bool:
    return bool(np.all(values[1:] > values[:-1]))
