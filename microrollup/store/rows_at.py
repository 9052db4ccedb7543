"""State rows at a height: the one rule by which readers merge the `state` table with what blocks changed.

`state` holds each row as of some height from `base` to the tip. So a row at height h is what the newest block in
(base, h] that changed it left there; else what it was before the first block after h that changed it; else the row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from microrollup.declaration.map_range import compute_stop
from microrollup.errors import DecodeError, StoreCorrupt
from microrollup.store.environment import Tables, Transaction, encode_number
from microrollup.store.merging import merge_stored
from microrollup.store.overlays import Overlay, Overlays, load_overlay, read_row_changes
from microrollup.store.row_changes import Digests, RowChange, find_row_change, read_digests
from microrollup.store.row_check import check_absent, unpack_row
from microrollup.store.spans import Spans
from microrollup.store.tables import get_base, get_checkpoint, get_stamp

__all__ = ["RowsAt", "iterate_state_rows"]


def iterate_state_rows(txn: Transaction, tables: Tables) -> Iterator[tuple[bytes, bytes]]:
    """The rows of the `state` table once the newest block is written out. Raises `StoreCorrupt`."""
    rows = load_overlay(txn, tables, get_checkpoint(txn, tables).height, get_base(txn, tables)).rows
    return merge_stored(txn.cursor(tables["state"]), sorted(rows), rows.get)


class RowsAt:
    """The rows as they were after the block of a height, in one transaction. Not for several threads."""

    def __init__(
        self,
        txn: Transaction,
        tables: Tables,
        height: int,
        spans: Spans | None = None,
        overlays: Overlays | None = None,
        tip: int | None = None,
    ) -> None:
        """`height` is a retained one. With `spans`, far heights are as quick as near ones; with `overlays`, so is the
        next range at the same height, and its memory is bounded. `tip` is given for tables that have no checkpoint.
        """
        self.height: Final = height
        self._txn = txn
        self._tables = tables
        self._tip = get_checkpoint(txn, tables).height if tip is None else tip
        self._base = get_base(txn, tables, self._tip) if tip is None else tip
        self._spans = spans
        self._overlays = overlays
        self._overlay: Overlay | None = None

    def get(self, row_key: bytes) -> bytes | None:
        """The value of a row; None if there is none. Raises `StoreCorrupt`."""
        stored = self._find(row_key)
        return None if stored is None else _unpack(row_key, stored)

    def _find(self, row_key: bytes) -> bytes | None:
        if self._overlay is not None:
            if row_key in self._overlay.rows:
                return self._overlay.rows[row_key]
        elif (change := self._find_newer(row_key)) is not None:
            return change.new
        elif (change := self._find_older(row_key)) is not None:
            return change.old
        raw = self._txn.get(row_key, db=self._tables["state"])
        if raw is None:
            try:
                check_absent(self._txn.cursor(self._tables["state"]), row_key)
            except DecodeError as error:
                raise StoreCorrupt(f"state/0x{row_key.hex()}", error.reason) from None
            return None
        return bytes(raw)

    def _find_newer(self, row_key: bytes) -> RowChange | None:
        """What the newest block in (base, height] did to a row."""
        for number in self._list_newer(row_key):
            change = self._find_change(number, row_key)
            if change is not None:
                return change
        return None

    def _list_newer(self, row_key: bytes) -> Iterable[int]:
        """The blocks in (base, height] that may have changed a row, the newest first."""
        unwritten = range(self._base + 1, self._tip + 1)
        if self._spans is None or self.height not in unwritten:
            return range(self.height, self._base, -1)
        stamp = get_stamp(self._txn, self._tables, self._tip)
        found = self._spans.unwritten_rows.find(row_key, unwritten, stamp, self._read_digests)
        return [number for number in found if number <= self.height]

    def _read_digests(self, number: int) -> Digests:
        try:
            return read_digests(number, self._get_changes(number))
        except DecodeError as error:
            raise StoreCorrupt(f"changes/{number}", error.reason) from None

    def _find_older(self, row_key: bytes) -> RowChange | None:
        """What the first block above the height did to a row."""
        number = self.height + 1
        while number <= self._tip:
            if self._spans is not None:
                number = self._spans.skip_for_row(self._txn, self._tables, row_key, number, self._tip)
                if number > self._tip:
                    break
            change = self._find_change(number, row_key)
            if change is not None:
                return change
            number += 1
        return None

    def _find_change(self, number: int, row_key: bytes) -> RowChange | None:
        try:
            return find_row_change(number, self._get_changes(number), row_key)
        except DecodeError as error:
            raise StoreCorrupt(f"changes/{number}", error.reason) from None

    def _get_changes(self, number: int) -> bytes | memoryview:
        raw: bytes | memoryview | None = self._txn.get(encode_number(number), db=self._tables["changes"])
        if raw is None:
            raise StoreCorrupt(f"changes/{number}", "missing")
        return raw

    def load(self, on_block: Callable[[], None] = lambda: None) -> None:
        """Read all changes between the height and the table once, so that each row costs one look-up from now on.

        Calls `on_block` before each block is read. Memory: what the rows that changed hold. Raises `StoreCorrupt`.
        """
        self._load(on_block)

    def _load(self, on_block: Callable[[], None] = lambda: None) -> Overlay:
        overlay = load_overlay(self._txn, self._tables, self.height, self._base, on_block)
        for number in range(self.height + 1, self._tip + 1):
            on_block()
            overlay.add_higher(number, read_row_changes(self._txn, self._tables, number))
        self._overlay = overlay
        return overlay

    def _get_overlay(self) -> Overlay:
        """The overlay of this height, loaded now if it was not."""
        if self._overlay is None:
            shared = self._overlays
            if shared is None:
                return self._load()
            self._overlay = shared.get(self._txn, self._tables, self.height, self._base, self._tip)
        return self._overlay

    def iterate(
        self, prefix: bytes = b"", start: bytes = b"", stop: bytes | None = None, *, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        """Keys and values of all rows with a prefix, ascending by key; descending with `reverse`.

        Only those whose keys are, after the prefix, from `start` on and before `stop`. Raises `StoreCorrupt`, and
        `NotRetained` for a height that is too far back to be listed.
        """
        overlay = self._get_overlay()
        low, high = prefix + start, compute_stop(prefix) if stop is None else prefix + stop
        waiting = overlay.list_between(low, high)
        cursor = self._txn.cursor(self._tables["state"])
        for key, stored in merge_stored(cursor, waiting, overlay.rows.get, low, high, reverse=reverse):
            yield key, _unpack(key, stored)


def _unpack(row_key: bytes, stored: bytes) -> bytes:
    try:
        return unpack_row(row_key, stored)
    except DecodeError as error:
        raise StoreCorrupt(f"state/0x{row_key.hex()}", error.reason) from None
