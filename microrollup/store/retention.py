"""How far back heights can be read and taken back, and pruning what lies further back, a little with every block."""

from __future__ import annotations

from typing import Final

import msgspec

from microrollup.store.environment import Tables, Transaction

__all__ = ["UNDO_TABLES", "Retention", "get_lowest_height", "prune"]

_PRUNED_AT_ONCE: Final = 4
"""Heights dropped at one block's end, so that pruning never holds the writer up."""

UNDO_TABLES: Final = ("undo_rows", "undo_tree", "undo_checkpoint")


class Retention(msgspec.Struct, frozen=True):
    """Proofs can be asked for at the last `blocks` heights, and at heights settled in the last `settled_seconds`.

    Unsettled heights are kept too, `unsettled_blocks` back: a rebuild may have to take them back.
    """

    blocks: int = 256
    unsettled_blocks: int = 10_000
    settled_seconds: int = 30 * 24 * 3600

    def compute_floor(self, txn: Transaction, tables: Tables, height: int, time: int) -> int:
        """The lowest height that is kept, the tip being at `height` and `time` (seconds).

        Settled heights that are too old are struck from the table, all but the newest.
        """
        cursor = txn.cursor(tables["settled"])
        newest = int.from_bytes(cursor.key(), "big") if cursor.last() else 0
        floor = min(height - self.blocks, max(newest, height - self.unsettled_blocks))
        for _ in range(_PRUNED_AT_ONCE):
            if not cursor.first():
                return floor
            oldest, settled_at = (int.from_bytes(part, "big") for part in cursor.item())
            if oldest == newest or settled_at + self.settled_seconds >= time:
                return min(floor, oldest)
            cursor.delete()
        return floor


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
