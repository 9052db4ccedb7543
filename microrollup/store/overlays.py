"""What state rows held at a height where it may differ from the `state` table, kept for those who read it page by page.

Changes of closed blocks never change, so an overlay stays right while blocks are closed: each new one adds the rows
that it is the first to change, with what they were before. Where blocks were taken back, the stamp of the last one that
an overlay accounts for is another, and the overlay is made anew.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Final

from microrollup.errors import DecodeError, NotRetained, StoreCorrupt
from microrollup.store.environment import Tables, Transaction, encode_number
from microrollup.store.row_changes import RowChange, decode_row_changes
from microrollup.store.tables import get_stamp

__all__ = ["MAX_OVERLAY_ROWS", "Overlay", "Overlays", "load_overlay", "read_row_changes"]

MAX_OVERLAY_ROWS: Final = 350_000
"""Rows of one overlay, also those that are not written out; a height that more rows differ from is too far back to be
listed."""

MAX_OVERLAY_BYTES: Final = 32 << 20
"""Keys and values of one overlay."""

MAX_OVERLAYS: Final = 2
"""Heights that are kept; the one whose last use is the oldest is forgotten."""


def read_row_changes(txn: Transaction, tables: Tables, number: int) -> list[RowChange]:
    """The rows that a closed block changed. Raises `StoreCorrupt` if they are missing or damaged."""
    raw = txn.get(encode_number(number), db=tables["changes"])
    if raw is None:
        raise StoreCorrupt(f"changes/{number}", "missing")
    try:
        return decode_row_changes(number, raw)
    except DecodeError as error:
        raise StoreCorrupt(f"changes/{number}", error.reason) from None


class Overlay:
    """Rows as stored at one height (None: no row), for each row that may differ from the table, and those in order."""

    def __init__(self, height: int) -> None:
        self.height: Final = height
        self.rows: dict[bytes, bytes | None] = {}
        self.tip = height
        """All blocks up to this one are accounted for."""
        self.stamp = b""
        """Of the block at `tip`."""
        self.bytes = 0
        self._ordered: list[bytes] | None = None

    def is_of(self, txn: Transaction, tables: Tables) -> bool:
        """Whether the blocks that are accounted for are those of a store: they may have been built again since."""
        return self.stamp == get_stamp(txn, tables, self.tip)

    def list_between(self, low: bytes, high: bytes | None) -> list[bytes]:
        """The keys from `low` on and before `high` (None: to the end), ascending."""
        ordered = self._ordered
        if ordered is None:
            ordered = self._ordered = sorted(self.rows)
        first = bisect_left(ordered, low)
        return ordered[first : None if high is None else bisect_left(ordered, high, first)]

    def add_lower(self, changes: Iterable[RowChange]) -> None:
        """The changes of the next block up to the height: they are what the rows hold there."""
        self.rows.update([(change.key, change.new) for change in changes])
        self._ordered = None

    def add_higher(self, number: int, changes: Iterable[RowChange]) -> None:
        """The changes of the next block above the height: the first one to change a row tells what it was."""
        known = self.rows
        fresh = {change.key: change.old for change in changes if change.key not in known}
        self.bytes += sum([len(key) + len(old or b"") for key, old in fresh.items()])
        known.update(fresh)
        self.tip, self._ordered = number, None


def load_overlay(
    txn: Transaction, tables: Tables, height: int, base: int, on_block: Callable[[], None] = lambda: None
) -> Overlay:
    """The overlay of a height, as far as the blocks up to it tell it: those above it are still to be added.

    `base` is the height up to which the table is written out. Calls `on_block` before each block is read.
    """
    overlay = Overlay(height)
    for number in range(base + 1, height + 1):
        on_block()
        overlay.add_lower(read_row_changes(txn, tables, number))
    return overlay


class Overlays:
    """The overlays of the heights that were asked for last; any thread may ask."""

    def __init__(self, max_rows: int = MAX_OVERLAY_ROWS) -> None:
        self._max_rows = max_rows
        self._known: OrderedDict[int, Overlay] = OrderedDict()
        self._base = 0
        self._newest = Overlay(0)
        """What the blocks above that base left, up to the highest that was asked for: the next height adds to it."""
        self._lock = threading.Lock()

    def _load(self, txn: Transaction, tables: Tables, height: int, base: int) -> Overlay:
        """`load_overlay`, which decodes the changes of each block above the base once."""
        if height <= base:
            return Overlay(height)
        known = Overlay(height)
        first = base + 1
        newest = self._newest
        usable = self._base == base and newest.is_of(txn, tables)
        if usable and base < newest.height <= height:
            known.rows.update(newest.rows)
            first = newest.height + 1
        for number in range(first, height + 1):
            known.add_lower(read_row_changes(txn, tables, number))
        if not usable or height > newest.height:
            self._base, self._newest = base, known
            known.stamp = get_stamp(txn, tables, height)
        overlay = Overlay(height)
        overlay.rows.update(known.rows)
        return overlay

    def get(self, txn: Transaction, tables: Tables, height: int, base: int, tip: int) -> Overlay:
        """The overlay of a height, with all blocks up to `tip`.

        Raises `NotRetained` for a height from which too many rows differ by now, and `StoreCorrupt`.
        """
        if height == base == tip:
            return Overlay(height)
        with self._lock:
            overlay = self._known.get(height)
            if overlay is None or not overlay.is_of(txn, tables):
                overlay = self._load(txn, tables, height, base)
            for number in range(overlay.tip + 1, tip + 1):
                overlay.add_higher(number, read_row_changes(txn, tables, number))
                if len(overlay.rows) > self._max_rows or overlay.bytes > MAX_OVERLAY_BYTES:
                    self._known.pop(height, None)
                    raise NotRetained(
                        f"more than {self._max_rows} rows differ between height {height} and the newest, {tip}: too far"
                        " back to be listed"
                    )
            overlay.stamp = get_stamp(txn, tables, overlay.tip)
            self._known[height] = overlay
            self._known.move_to_end(height)
            if len(self._known) > MAX_OVERLAYS:
                self._known.popitem(last=False)
            return overlay
