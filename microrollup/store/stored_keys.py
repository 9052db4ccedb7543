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
_MAX_KEPT: Final = 10_000
_KEY_START: Final = b"\x01\x01"

_Gap = tuple[bytes | None, int, bytes | None]


class StoredKeys:
    """The keys in the tree, in the `tree` table and among what it lacks (a `KeyIndex`).

    Each look-up in a large table waits for memory, so what is found while actions execute is kept until their block is
    closed: the leaves of keys that are there, and the gaps of those that are not.
    """

    def __init__(self, environment: Environment, unflushed: Unflushed | None = None) -> None:
        self._environment = environment
        self._unflushed = Unflushed() if unflushed is None else unflushed
        self._tree: FlatTree | None = None
        self._found: dict[bytes, int] = {}
        self._gaps: dict[bytes, _Gap] = {}
        """Of keys that were shown to be absent."""
        self._leaf_count = 0
        """Of the tree when that was found."""

    def bind(self, tree: FlatTree) -> FlatTree:
        """Take the tree whose keys these are; returns it."""
        self._tree = tree
        self._found.clear()
        self._gaps.clear()
        return tree

    def find_all(self, tree_keys: Iterable[bytes]) -> Mapping[bytes, int]:
        """The leaf indices of those keys that ever were set."""
        found: dict[bytes, int] = {}
        others: list[bytes] = []
        gaps, layers = self._get_gaps(), (self._found, *self._unflushed.list_leaves())
        for tree_key in tree_keys:
            if tree_key in gaps:
                continue
            for leaves in layers:
                if tree_key in leaves:
                    found[tree_key] = leaves[tree_key]
                    break
            else:
                others.append(tree_key)
        others.sort()
        stored = self._environment.cursor("tree").getmulti(others)
        found.update([(bytes(key), decode_leaf_index(bytes(raw))) for key, raw in stored])
        return found

    def low_neighbour(self, tree_key: bytes) -> _Gap:
        """The greatest key below (None for the dummy), its leaf index, and the least key above."""
        return self._get_gaps().get(tree_key) or self._find_low_neighbour(self._environment.cursor("tree"), tree_key)

    def _get_gaps(self) -> dict[bytes, _Gap]:
        """Those that are still right: a new leaf may divide one."""
        tree = self._tree
        if tree is None or self._leaf_count != tree.leaf_count:
            self._gaps.clear()
            self._leaf_count = 0 if tree is None else tree.leaf_count
        return self._gaps

    def _find_low_neighbour(self, cursor: lmdb.Cursor, tree_key: bytes) -> _Gap:
        return self._unflushed.narrow(tree_key, *find_low_neighbour(cursor, tree_key))

    def holds(self, tree_key: bytes) -> bool:
        """Whether a key is in the tree, with a value or as a deleted one. Raises `StoreCorrupt` as `check_absent`."""
        if self._unflushed.has_leaf(tree_key):
            return True
        cursor = self._environment.cursor("tree")
        above = bytes(cursor.key()) if cursor.set_range(tree_key) else None
        if above == tree_key:
            if len(self._found) >= _MAX_KEPT:
                self._found.clear()
            self._found[tree_key] = decode_leaf_index(bytes(cursor.value()))
            return True
        self._check_gap(tree_key, self._unflushed.narrow(tree_key, *_read_below(cursor, above), above))
        return False

    def check_absent(self, tree_key: bytes) -> None:
        """Raise `StoreCorrupt` unless the tree has no value at a key.

        Table and leaves are two witnesses in two files, so that damage to one of them shows: the leaf below the key
        must name the key above, or the key's own leaf must be that of a deleted one. No hash is computed.
        """
        if self.holds(tree_key):
            self.check_deleted(tree_key)

    def _check_gap(self, tree_key: bytes, gap: _Gap) -> None:
        below, leaf_index, above = gap
        tree = self._require_tree()
        if leaf_index >= tree.leaf_count or not tree.read_leaf(leaf_index).startswith(encode_gap(below, above)):
            raise StoreCorrupt(f"tree/0x{tree_key.hex()}", "is not found, and not between two keys that are neighbours")
        gaps = self._get_gaps()
        if len(gaps) >= _MAX_KEPT:
            gaps.clear()
        gaps[tree_key] = gap

    def check_deleted(self, tree_key: bytes) -> None:
        """Raise `StoreCorrupt` unless a key that the tree holds was deleted: its state row was not found."""
        tree = self._require_tree()
        leaf_index = self.find_all([tree_key]).get(tree_key, tree.leaf_count)
        leaf = tree.read_leaf(leaf_index) if leaf_index < tree.leaf_count else b""
        if not (leaf.startswith(_KEY_START + tree_key) and leaf.endswith(EMPTY_HASH)):
            raise StoreCorrupt(f"tree/0x{tree_key.hex()}", "its state row is lost")

    def _require_tree(self) -> FlatTree:
        if self._tree is None:
            raise StoreCorrupt("tree", "is not open")
        return self._tree


def encode_leaf_index(leaf_index: int) -> bytes:
    """4 bytes, big-endian."""
    return leaf_index.to_bytes(LEAF_INDEX_BYTES, "big")


def decode_leaf_index(raw: bytes) -> int:
    """The leaf index of a row of the `tree` table, whose check is left to those whom no leaf tells the key."""
    return int.from_bytes(raw[:LEAF_INDEX_BYTES], "big")


def find_low_neighbour(cursor: lmdb.Cursor, tree_key: bytes) -> _Gap:
    """The gap of an absent tree key, by a cursor of the `tree` table."""
    above = bytes(cursor.key()) if cursor.set_range(tree_key) else None
    return (*_read_below(cursor, above), above)


def _read_below(cursor: lmdb.Cursor, above: bytes | None) -> tuple[bytes | None, int]:
    """The key below the one at which the cursor is, None for the end of the table; and its leaf index."""
    if cursor.last() if above is None else cursor.prev():
        return bytes(cursor.key()), decode_leaf_index(bytes(cursor.value()))
    return None, 0
