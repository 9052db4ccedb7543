"""Writing state rows and tree keys of closed blocks to LMDB after the fact: many blocks together, a slice at a time.

A block's close makes `changes` and `undo_tree` durable; the rows themselves wait in a layer in memory, so that those
of many blocks share pages. A frozen layer is written in the order of keys. Each slice is part of one atomic commit, and
the last one raises `base`; until then every row of the tables is as some height from `base` to the layer's tip left it,
and writing all of it again, as after a crash, gives the same.
"""

from __future__ import annotations

from typing import Final

import msgspec

from microrollup.declaration.state import METADATA_ROWS
from microrollup.errors import CommitFailed, DecodeError, StoreCorrupt, StoreError
from microrollup.ledger.closing import StateChanges
from microrollup.limits import require_memory
from microrollup.store.environment import Environment, Transaction
from microrollup.store.keys_at import get_inserted
from microrollup.store.layer import Layer, Unflushed
from microrollup.store.overlays import read_row_changes
from microrollup.store.row_check import check_put, make_packer, make_unpacker
from microrollup.store.stored_keys import encode_leaf_index
from microrollup.store.tables import get_base, put_base

__all__ = ["FlushLimits", "Flushing", "write_out"]

SLICE_BYTES: Final = 16 << 20
"""What LMDB takes to write a slice, beside its rows' bytes: about two pages per row."""


_METADATA: Final = METADATA_ROWS.to_bytes(2, "big")
"""Rows from this key on are in no tree, which would say that a row is there after all: their places are checked."""


class FlushLimits(msgspec.Struct, frozen=True):
    """When a layer is full, and how much of it is written at once. What blocks changed is counted per block, also where
    a later one changes the same row: it is what the next opening reads again.
    """

    rows: int = 50_000
    """State rows and tree keys."""
    row_bytes: int = 32 << 20
    """Their keys and values."""
    blocks: int = 256
    """A reader of the newest height looks at each block that is not written out."""
    slice_rows: int = 2_000
    idle_rows: int = 500
    """In place of `slice_rows` while nobody waits for a group of actions: about 5 ms."""
    slice_bytes: int = 4 << 20


class Flushing:
    """What a ledger has closed and not written out, and the writing of it."""

    def __init__(self, environment: Environment, limits: FlushLimits) -> None:
        self.unflushed: Final = Unflushed()
        self.limits = limits
        self._environment = environment
        self._written = self._reached = 0
        """Rows and tree keys of the frozen layer that are durable, and those that a transaction has put."""

    def load(self, tip: int) -> None:
        """Read what the blocks from the base to the newest, at `tip`, have changed. Nothing is executed.

        Raises `StoreCorrupt`.
        """
        txn, tables = self._environment.reader, self._environment.tables
        base, unpack = get_base(txn, tables), make_unpacker()
        self.unflushed.reset(base)
        self._written = 0
        for height in range(base + 1, tip + 1):
            changes = read_row_changes(txn, tables, height)
            try:
                for change in changes:
                    if change.new is not None:
                        unpack(change.key, change.new)
            except DecodeError as error:
                raise StoreCorrupt(f"changes/{height}", error.reason) from None
            self.unflushed.newest.add(height, changes, get_inserted(txn, tables, height))

    def get_stored(self, row_key: bytes) -> bytes | None:
        """A row as it is stored once all is written out."""
        unflushed = self.unflushed
        return unflushed.get(row_key) if unflushed.holds(row_key) else self._environment.get("state", row_key)

    def add(self, height: int, changes: StateChanges) -> None:
        """A block was closed: what it changed is to be written out. Follow with `make_room`. Raises `StoreError`."""
        newest = self.unflushed.newest
        if height != newest.tip + 1:
            raise StoreError(f"block {height} does not follow on block {newest.tip}, whose rows are held")
        newest.add(height, changes.rows, changes.delta.inserted)

    def make_room(self) -> None:
        """Begin to write out what is full. Where the layer before it is not written yet, that is done first, so there
        are never more than two. Raises `CommitFailed`.
        """
        if self._is_full(self.unflushed.newest):
            while self.write_slice():
                pass
            self.freeze()

    def _is_full(self, layer: Layer) -> bool:
        limits = self.limits
        return (
            layer.changed_rows >= limits.rows
            or layer.changed_bytes >= limits.row_bytes
            or layer.tip - layer.base >= limits.blocks
        )

    def freeze(self) -> None:
        """Begin to write out what is closed, unless that is going on."""
        if self.unflushed.frozen is None and not self.unflushed.is_empty:
            self.unflushed.freeze()

    @property
    def is_going_on(self) -> bool:
        """Whether slices are to be written."""
        return self.unflushed.frozen is not None

    def flush(self) -> None:
        """Write out everything. Raises `CommitFailed`, `StoreCorrupt`."""
        while not self.unflushed.is_empty:
            self.freeze()
            self.write_slice()

    def write_slice(self, *, idle: bool = False) -> bool:
        """Write the next slice, in a transaction of its own; False if there is none. `idle`: a small one.

        Raises `CommitFailed`, `StoreCorrupt`.
        """
        if not self.is_going_on:
            return False
        with self._environment.write() as txn:
            if not self.put_slice(txn, idle=idle):
                raise CommitFailed("there is not enough memory to write what closed blocks have changed")
        self.note_durable()
        return True

    def put_slice(self, txn: Transaction, *, idle: bool = False) -> bool:
        """Put the next slice, if there is one; follow with `note_durable` once the transaction is.

        False if there is not enough memory for it: LMDB would end the process. Raises `StoreCorrupt`.
        """
        self._reached = self._written
        layer, tables = self.unflushed.frozen, self._environment.tables
        if layer is None:
            return True
        try:
            require_memory(SLICE_BYTES + 3 * self.limits.slice_bytes)
        except MemoryError:
            return False
        keys, tree_keys, size = layer.list_rows(), layer.list_tree_keys(), 0
        last = self._written + (self.limits.idle_rows if idle else self.limits.slice_rows)
        rows: list[tuple[bytes, bytes]] = []
        for key in keys[self._written : last]:
            stored = layer.rows[key]
            if stored is None:
                txn.delete(key, db=tables["state"])
            else:
                rows.append((key, stored))
                size += len(key) + len(stored)
            self._reached += 1
            if size >= self.limits.slice_bytes:
                last = self._reached
                break
        state = txn.cursor(tables["state"])
        state.putmulti(rows)
        try:
            check_put(state, [key for key, _ in rows if key >= _METADATA])
        except DecodeError as error:
            raise StoreCorrupt("state", error.reason) from None
        first = max(0, self._written - len(keys))
        if last > len(keys):
            pack, chosen = make_packer(), tree_keys[first : last - len(keys)]
            leaves = [(key, pack(key, encode_leaf_index(layer.leaves[key]))) for key in chosen]
            txn.cursor(tables["tree"]).putmulti(leaves)
            self._reached += len(leaves)
        if self._reached == len(keys) + len(tree_keys):
            put_base(txn, tables, layer.tip)
        return True

    def note_durable(self) -> None:
        """What was put is durable; the frozen layer is dropped with its last slice."""
        self._written = self._reached
        layer = self.unflushed.frozen
        if layer is not None and self._written == len(layer.rows) + len(layer.leaves):
            self.unflushed.drop_frozen()
            self._written = self._reached = 0


def write_out(environment: Environment, tip: int) -> None:
    """Write out everything up to the newest closed block, at `tip`, without a ledger. Raises `StoreCorrupt`,
    `CommitFailed`.
    """
    flushing = Flushing(environment, FlushLimits())
    flushing.load(tip)
    flushing.flush()
