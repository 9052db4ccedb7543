"""Tree keys at a height: the `tree` table merged with what blocks that are not written out have inserted.

Keys never leave the tree and leaf indices are given in order. So the table's keys up to `base` are those whose leaf
index was in use then; a later one may be there already, or still be in the deltas of (base, tip] only.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from microrollup.errors import DecodeError, StoreCorrupt
from microrollup.store.environment import Tables, Transaction, encode_number
from microrollup.store.merging import merge_stored
from microrollup.store.row_check import make_packer
from microrollup.store.stored_keys import decode_leaf_index, encode_leaf_index
from microrollup.store.tables import get_base, get_stamp
from microrollup.store.tree_delta import DeltaView

__all__ = ["KeysAt", "UnwrittenKeys", "get_delta", "get_inserted", "iterate_tree_rows", "read_inserted"]

_Keys = tuple[int, npt.NDArray[np.bytes_]]
"""Numpy takes zeros at the end of a key for nothing; among keys of one length that changes no comparison."""


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


class UnwrittenKeys:
    """The keys of all blocks that are not written out, read once per closed block and not once per proof."""

    def __init__(self) -> None:
        self._kept: tuple[tuple[bytes, int, int], _Keys] | None = None
        """Of which block and base, and what; replaced as one, since any thread may ask."""

    def get(self, txn: Transaction, tables: Tables, base: int, height: int) -> _Keys:
        """The first new leaf index of the blocks from `base` on, and the keys from there on. Raises `StoreCorrupt`."""
        wanted = (get_stamp(txn, tables, height), base, height)
        kept = self._kept
        if kept is None or kept[0] != wanted:
            kept = self._kept = wanted, _read_unwritten(txn, tables, base, height)
        return kept[1]


def _read_unwritten(txn: Transaction, tables: Tables, base: int, height: int) -> _Keys:
    deltas = [get_delta(txn, tables, number) for number in range(base + 1, height + 1)]
    if not deltas:
        return 0, np.empty(0, "S32")
    return deltas[0].leaf_count_before, np.concatenate([delta.get_inserted_keys() for delta in deltas])


class KeysAt:
    """The keys of the tree when it had `leaf_count` leaves, after the block of a height; in one transaction."""

    def __init__(
        self, txn: Transaction, tables: Tables, height: int, leaf_count: int, kept: UnwrittenKeys | None = None
    ) -> None:
        """`kept` is what a reader remembers from proof to proof. Raises `StoreCorrupt`."""
        self._txn = txn
        self._tables = tables
        self._leaf_count = leaf_count
        self._first, self._keys = (kept or UnwrittenKeys()).get(txn, tables, get_base(txn, tables), height)

    def find_leaf(self, tree_key: bytes) -> int | None:
        """The leaf index of a key; None if it was not in the tree. Raises `StoreCorrupt`."""
        raw = self._txn.get(tree_key, db=self._tables["tree"])
        if raw is not None:
            leaf_index = decode_leaf_index(bytes(raw))
            return leaf_index if leaf_index < self._leaf_count else None
        places = np.flatnonzero(self._keys == tree_key)
        return self._first + int(places[0]) if len(places) else None

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
        keys = self._keys
        places = np.flatnonzero((keys < tree_key) & (keys > below))
        return self._first + int(places[keys[places].argmax()]) if len(places) else leaf_index
