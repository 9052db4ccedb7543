"""Tree keys at a height: the `tree` table merged with what blocks that are not written out have inserted.

Keys never leave the tree and leaf indices are given in order. So the table's keys up to `base` are those whose leaf
index was in use then; a later one may be there already, or still be in the deltas of (base, tip] only.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt

from microrollup.errors import DecodeError, StoreCorrupt
from microrollup.store.environment import Tables, Transaction, encode_number
from microrollup.store.merging import merge_stored
from microrollup.store.row_check import make_packer
from microrollup.store.stored_keys import decode_leaf_index, encode_leaf_index
from microrollup.store.tables import get_base
from microrollup.store.tree_delta import DeltaView

__all__ = ["KeysAt", "get_delta", "get_inserted", "iterate_tree_rows", "read_inserted"]

_KEY_BYTES: Final = 32


def get_delta(txn: Transaction, tables: Tables, height: int) -> DeltaView:
    """What a block changed in the tree. Raises `StoreCorrupt`."""
    raw = txn.get(encode_number(height), db=tables["undo_tree"])
    if raw is None:
        raise StoreCorrupt(f"undo_tree/{height}", "missing")
    try:
        return DeltaView(raw)
    except DecodeError as error:
        raise StoreCorrupt(f"undo_tree/{height}", error.reason) from None


def get_inserted(txn: Transaction, tables: Tables, height: int) -> list[tuple[bytes, int]]:
    """The tree keys that a block has inserted, with their leaf indices. Raises `StoreCorrupt`."""
    try:
        return get_delta(txn, tables, height).get_inserted()
    except DecodeError as error:
        raise StoreCorrupt(f"undo_tree/{height}", error.reason) from None


def read_inserted(txn: Transaction, tables: Tables, first: int, last: int) -> dict[bytes, int]:
    """The tree keys that the blocks from one height to another have inserted, with their leaf indices.

    Raises `StoreCorrupt`.
    """
    found: dict[bytes, int] = {}
    for height in range(first, last + 1):
        found.update(get_inserted(txn, tables, height))
    return found


def iterate_tree_rows(txn: Transaction, tables: Tables, tip: int) -> Iterator[tuple[bytes, bytes]]:
    """The rows of the `tree` table once the newest block, at `tip`, is written out. Raises `StoreCorrupt`."""
    pack = make_packer()
    inserted = read_inserted(txn, tables, get_base(txn, tables) + 1, tip)
    rows = {key: pack(key, encode_leaf_index(leaf_index)) for key, leaf_index in inserted.items()}
    return merge_stored(txn.cursor(tables["tree"]), sorted(rows), rows.get)


class KeysAt:
    """The keys of the tree when it had `leaf_count` leaves, after the block of a height; in one transaction."""

    def __init__(self, txn: Transaction, tables: Tables, height: int, leaf_count: int) -> None:
        self._txn = txn
        self._tables = tables
        self._leaf_count = leaf_count
        self._unwritten = range(height, get_base(txn, tables), -1)

    def find_leaf(self, tree_key: bytes) -> int | None:
        """The leaf index of a key; None if it was not in the tree. Raises `StoreCorrupt`."""
        raw = self._txn.get(tree_key, db=self._tables["tree"])
        if raw is not None:
            leaf_index = decode_leaf_index(bytes(raw))
            return leaf_index if leaf_index < self._leaf_count else None
        for first, keys in self._read_unwritten():
            places = np.flatnonzero(keys == tree_key)
            if len(places):
                return first + int(places[0])
        return None

    def find_low_leaf(self, tree_key: bytes) -> int:
        """The leaf of the greatest key below one that is absent; 0 for the dummy. Raises `StoreCorrupt`."""
        below, leaf_index = b"", 0
        cursor = self._txn.cursor(self._tables["tree"])
        found = cursor.prev() if cursor.set_range(tree_key) else cursor.last()
        while found:
            below, leaf_index = bytes(cursor.key()), decode_leaf_index(bytes(cursor.value()))
            if leaf_index < self._leaf_count:
                break
            below, leaf_index = b"", 0
            found = cursor.prev()
        for first, keys in self._read_unwritten():
            places = np.flatnonzero((keys < tree_key) & (keys > below))
            if len(places):
                place = int(places[keys[places].argmax()])
                below, leaf_index = bytes(keys[place]).ljust(_KEY_BYTES, b"\0"), first + place
        return leaf_index

    def _read_unwritten(self) -> Iterator[tuple[int, npt.NDArray[np.bytes_]]]:
        """Of each block that is not written out, the first new leaf index and the keys from there on.

        Numpy takes zeros at the end of a key for nothing; among keys of one length that changes no comparison.
        """
        for height in self._unwritten:
            delta = get_delta(self._txn, self._tables, height)
            yield delta.leaf_count_before, delta.get_inserted_keys()
