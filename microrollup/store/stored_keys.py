"""The index of tree keys in the `tree` table, and what it shows of keys that have no value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import lmdb

from microrollup.crypto.keccak import EMPTY_HASH
from microrollup.errors import StoreCorrupt
from microrollup.store.environment import Environment
from microrollup.store.layer import Unflushed
from microrollup.store.tree import FlatTree
from microrollup.store.tree_leaves import encode_gap

__all__ = ["StoredKeys", "decode_leaf_index", "encode_leaf_index", "find_low_neighbour"]

LEAF_INDEX_BYTES: Final = 4
_MAX_GAPS: Final = 10_000
_KEY_START: Final = b"\x01\x01"

_Gap = tuple[bytes | None, int, bytes | None]


class StoredKeys:
    """The keys in the tree, in the `tree` table and among what it lacks (a `KeyIndex`)."""

    def __init__(self, environment: Environment, unflushed: Unflushed | None = None) -> None:
        self._environment = environment
        self._unflushed = Unflushed() if unflushed is None else unflushed
        self._tree: FlatTree | None = None
        self._gaps: dict[bytes, _Gap] = {}
        """Gaps of keys that were found absent, for when they are inserted."""
        self._leaf_count = 0

    def bind(self, tree: FlatTree) -> FlatTree:
        """Take the tree whose keys these are; returns it."""
        self._tree = tree
        self._gaps.clear()
        return tree

    def find_all(self, tree_keys: Iterable[bytes]) -> Mapping[bytes, int]:
        """The leaf indices of those keys that ever were set."""
        found: dict[bytes, int] = {}
        others: list[bytes] = []
        for tree_key in tree_keys:
            leaf_index = self._unflushed.find_leaf(tree_key)
            if leaf_index is None:
                others.append(tree_key)
            else:
                found[tree_key] = leaf_index
        others.sort()
        stored = self._environment.cursor("tree").getmulti(others)
        found.update([(bytes(key), decode_leaf_index(bytes(raw))) for key, raw in stored])
        return found

    def low_neighbour(self, tree_key: bytes) -> _Gap:
        """The greatest key below (None for the dummy), its leaf index, and the least key above."""
        gap = self._gaps.get(tree_key) if self._tree is not None and self._leaf_count == self._tree.leaf_count else None
        return gap or self._find_low_neighbour(tree_key)

    def _find_low_neighbour(self, tree_key: bytes) -> _Gap:
        return self._unflushed.narrow(tree_key, *find_low_neighbour(self._environment.cursor("tree"), tree_key))

    def check_absent(self, tree_key: bytes) -> None:
        """Raise `StoreCorrupt` unless the tree has no value at a key whose state row was not found.

        Table and leaves are two witnesses in two files, so that damage to one of them shows: the leaf below the key
        must name the key above, or the key's own leaf must be that of a deleted one. No hash is computed.
        """
        tree = self._tree
        if tree is None:
            raise StoreCorrupt("tree", "is not open")
        if self._leaf_count != tree.leaf_count or len(self._gaps) >= _MAX_GAPS:
            self._gaps.clear()
            self._leaf_count = tree.leaf_count
        gap = below, leaf_index, above = self._find_low_neighbour(tree_key)
        if above == tree_key:
            self._check_deleted(tree, tree_key)
        elif leaf_index < tree.leaf_count and tree.read_leaf(leaf_index).startswith(encode_gap(below, above)):
            self._gaps[tree_key] = gap
        else:
            raise StoreCorrupt(f"tree/0x{tree_key.hex()}", "is not found, and not between two keys that are neighbours")

    def _check_deleted(self, tree: FlatTree, tree_key: bytes) -> None:
        leaf_index = self.find_all([tree_key]).get(tree_key, tree.leaf_count)
        leaf = tree.read_leaf(leaf_index) if leaf_index < tree.leaf_count else b""
        if not (leaf.startswith(_KEY_START + tree_key) and leaf.endswith(EMPTY_HASH)):
            raise StoreCorrupt(f"tree/0x{tree_key.hex()}", "its state row is lost")


def encode_leaf_index(leaf_index: int) -> bytes:
    """4 bytes, big-endian."""
    return leaf_index.to_bytes(LEAF_INDEX_BYTES, "big")


def decode_leaf_index(raw: bytes) -> int:
    """The leaf index of a row of the `tree` table, whose check is left to those whom no leaf tells the key."""
    return int.from_bytes(raw[:LEAF_INDEX_BYTES], "big")


def find_low_neighbour(cursor: lmdb.Cursor, tree_key: bytes) -> _Gap:
    """The gap of an absent tree key, by a cursor of the `tree` table."""
    if cursor.set_range(tree_key):
        above: bytes | None = bytes(cursor.key())
        found = cursor.prev()
    else:
        above = None
        found = cursor.last()
    return (bytes(cursor.key()), decode_leaf_index(bytes(cursor.value())), above) if found else (None, 0, above)
