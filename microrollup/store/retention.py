"""How far back heights can be read and taken back, and pruning what lies further back, a little with every block."""

from __future__ import annotations

from typing import Final

import lmdb
import msgspec

from microrollup.errors import DecodeError, StoreCorrupt
from microrollup.store.environment import Tables, Transaction, encode_number
from microrollup.store.row_check import pack_row, unpack_row

__all__ = ["UNDO_TABLES", "Retention", "get_lowest_height", "prune", "put_settled", "read_settled"]

_PRUNED_AT_ONCE: Final = 4
"""Heights dropped at one block's end, so that pruning never holds the writer up."""

UNDO_TABLES: Final = ("changes", "undo_tree", "undo_checkpoint")
"""What is kept per block to read lower heights and to take the block back."""


class Retention(msgspec.Struct, frozen=True):
    """Proofs can be asked for at the last `blocks` heights, and at heights settled in the last `settled_seconds`.

    Unsettled heights are kept too, `unsettled_blocks` back: a rebuild may have to take them back.
    """

    blocks: int = 256
    unsettled_blocks: int = 10_000
    settled_seconds: int = 30 * 24 * 3600

    def compute_floor(self, txn: Transaction, tables: Tables, height: int, time: int) -> int:
        """The lowest height that is kept, the tip being at `height` and `time` (seconds).

        Settled heights that are too old are struck from the table, all but the newest. Raises `StoreCorrupt`.
        """
        cursor = txn.cursor(tables["settled"])
        newest = read_settled(cursor)[0] if cursor.last() else 0
        floor = min(height - self.blocks, max(newest, height - self.unsettled_blocks))
        for _ in range(_PRUNED_AT_ONCE):
            if not cursor.first():
                return floor
            oldest, settled_at = read_settled(cursor)
            if oldest == newest or settled_at + self.settled_seconds >= time:
                return min(floor, oldest)
            cursor.delete()
        return floor


def put_settled(txn: Transaction, tables: Tables, height: int, time: int) -> None:
    """Note when (seconds) a height settled."""
    key = encode_number(height)
    txn.put(key, pack_row(key, encode_number(time)), db=tables["settled"])


def read_settled(cursor: lmdb.Cursor) -> tuple[int, int]:
    """Height and time (seconds) at a cursor of the `settled` table. Raises `StoreCorrupt`."""
    key, raw = bytes(cursor.key()), bytes(cursor.value())
    try:
        return int.from_bytes(key, "big"), int.from_bytes(unpack_row(key, raw), "big")
    except DecodeError as error:
        raise StoreCorrupt(f"settled/0x{key.hex()}", error.reason) from None


def prune(txn: Transaction, tables: Tables, floor: int) -> None:
    """Drop the undo of some blocks at or below `floor`: what it would take to read heights below `floor`."""
    cursor = txn.cursor(tables["undo_checkpoint"])
    for _ in range(_PRUNED_AT_ONCE):
        if not cursor.first():
            return
        key = bytes(cursor.key())
        if int.from_bytes(key, "big") > floor:
            return
        for table in UNDO_TABLES:
            txn.delete(key, db=tables[table])


def get_lowest_height(txn: Transaction, tables: Tables, tip: int) -> int:
    """The lowest height that can be read: the one below the oldest block whose undo is there."""
    cursor = txn.cursor(tables["undo_checkpoint"])
    return int.from_bytes(cursor.key(), "big") - 1 if cursor.first() else tip
