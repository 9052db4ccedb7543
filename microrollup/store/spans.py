"""What spans of blocks touched, kept in memory, so that a reader of an old height passes over most blocks.

The first block after a height that touched a leaf, a node or a row knows what it was. Looking at every block takes
10 us each, which is seconds where a month of them is kept. A short span of 16 blocks says of each leaf and row which of
its blocks touched it, so a reader goes to those alone; a long one of 256 that left everything alone is one look.
Derived from the changes of closed blocks when it is first asked for, and never written down.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from microrollup.errors import DecodeError, StoreCorrupt
from microrollup.store.environment import Tables, Transaction, encode_number
from microrollup.store.keys_at import UnwrittenKeys
from microrollup.store.old_path import OldPath
from microrollup.store.row_changes import compute_digest, read_digests
from microrollup.store.tables import get_stamp
from microrollup.store.tree_delta import read_leaf_indices
from microrollup.store.unwritten_rows import UnwrittenRows

__all__ = ["SHORT_BLOCKS", "SPAN_BLOCKS", "SpanIndex", "Spans", "Touched"]

SPAN_BLOCKS: Final = 256
SHORT_BLOCKS: Final = 16
"""As many as `Touched.blocks` has bits."""

_MAX_BYTES: Final = 64 << 20
"""Of each index: 16 M leaves, some months of a rollup with an action a second. Beyond, the oldest use is forgotten."""

_Things = npt.NDArray[Any]


class Touched(msgspec.Struct, frozen=True, eq=False):
    """What the blocks of a span touched."""

    first: int
    """The lowest block that is accounted for: those before it were not kept any more."""
    stamp: bytes
    """Of the span's last block; another one if it was built again."""
    things: _Things
    """Leaf indices, or digests of rows; ascending, each once."""
    blocks: npt.NDArray[np.uint16] | None
    """Of each thing in a short span, the blocks that touched it: bit 0 is the span's first. None in a long span."""

    @property
    def nbytes(self) -> int:
        """Memory that it takes."""
        return self.things.nbytes + (0 if self.blocks is None else self.blocks.nbytes)


class SpanIndex:
    """One kind of thing, by span; any thread may ask. One thread reads the store at a time, the others wait for it."""

    def __init__(
        self,
        table: str,
        read: Callable[[int, bytes | memoryview], _Things],
        blocks: int,
        max_bytes: int = _MAX_BYTES,
    ) -> None:
        self._table = table
        self._read = read
        self.blocks: Final = blocks
        self._max_bytes = max_bytes
        self._bytes = 0
        self._spans: OrderedDict[int, Touched] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, txn: Transaction, tables: Tables, number: int) -> Touched:
        """All that the blocks from `number` on to the end of its span touched, all of which are closed, and perhaps
        what those before it did.

        Raises `StoreCorrupt` if what one of them changed is missing or damaged.
        """
        span = number // self.blocks
        stamp = get_stamp(txn, tables, (span + 1) * self.blocks - 1)
        with self._lock:
            found = self._spans.get(span)
            if found is None or found.stamp != stamp or found.first > number:
                if found is not None:
                    self._bytes -= found.nbytes
                found = self._spans[span] = self._load(txn, tables, number, stamp)
                self._bytes += found.nbytes
                while self._bytes > self._max_bytes and len(self._spans) > 1:
                    self._bytes -= self._spans.popitem(last=False)[1].nbytes
            self._spans.move_to_end(span)
            return found

    def _load(self, txn: Transaction, tables: Tables, number: int, stamp: bytes) -> Touched:
        parts: list[_Things] = []
        start = number - number % self.blocks
        first = start
        for height in range(start, start + self.blocks):
            raw = txn.get(encode_number(height), db=tables[self._table])
            if raw is None and height < number:
                parts, first = [np.empty(0, np.uint32)] * (height + 1 - start), height + 1
                continue
            if raw is None:
                raise StoreCorrupt(f"{self._table}/{height}", "missing")
            try:
                parts.append(self._read(height, raw))
            except DecodeError as error:
                raise StoreCorrupt(f"{self._table}/{height}", error.reason) from None
        return Touched(first, stamp, *_merge(parts))


def _merge(parts: list[_Things]) -> tuple[_Things, npt.NDArray[np.uint16] | None]:
    """What each block touched, as one."""
    things = np.concatenate(parts)
    things = things.astype(things.dtype.newbyteorder("="), copy=False)
    if len(parts) > SHORT_BLOCKS:
        return np.unique(things), None
    bits = np.repeat(np.uint16(1) << np.arange(len(parts), dtype=np.uint16), [len(part) for part in parts])
    if len(things) == 0:
        return things, bits
    order = np.argsort(things, kind="stable")
    things = things[order]
    starts = np.flatnonzero(np.append(True, things[1:] != things[:-1]))
    return things[starts], np.bitwise_or.reduceat(bits[order], starts)


_Find = Callable[[Touched], int]
"""Which blocks of a span concern a reader, as bits; of a long span whether one does."""


class Spans:
    """The leaves of the tree that spans of blocks touched, and the digests of the state rows."""

    def __init__(self, blocks: int = SPAN_BLOCKS, short: int = SHORT_BLOCKS) -> None:
        """`blocks` in a long span, which is a multiple of `short`, at most 16."""
        self._leaves: Final = [SpanIndex("undo_tree", _read_leaves, count) for count in (blocks, short)]
        self._rows: Final = [SpanIndex("changes", read_digests, count) for count in (blocks, short)]
        self.keys: Final = UnwrittenKeys()
        self.unwritten_rows: Final = UnwrittenRows()

    def skip_for_path(self, txn: Transaction, tables: Tables, path: OldPath, number: int, tip: int) -> int:
        """The first block from `number` on that may touch a path; beyond `tip` if none does.

        It does touch it if its short span is closed.
        """

        def find(touched: Touched) -> int:
            if touched.blocks is None:
                return path.is_touched(touched.things)
            return path.find_touching(touched.things, touched.blocks)

        return _skip(self._leaves, txn, tables, find, number, tip)

    def skip_for_row(self, txn: Transaction, tables: Tables, row_key: bytes, number: int, tip: int) -> int:
        """The same for a state row."""
        wanted = np.uint64(compute_digest(row_key))

        def find(touched: Touched) -> int:
            place = int(touched.things.searchsorted(wanted))
            if place == len(touched.things) or touched.things[place] != wanted:
                return 0
            return 1 if touched.blocks is None else int(touched.blocks[place])

        return _skip(self._rows, txn, tables, find, number, tip)


def _skip(indexes: list[SpanIndex], txn: Transaction, tables: Tables, find: _Find, number: int, tip: int) -> int:
    long, short = indexes
    while number <= tip:
        if number % long.blocks == 0 and number + long.blocks - 1 <= tip and not find(_get(long, txn, tables, number)):
            number += long.blocks
            continue
        place = number % short.blocks
        if number - place + short.blocks - 1 > tip:
            break
        found = find(_get(short, txn, tables, number)) >> place
        if found:
            return number + (found & -found).bit_length() - 1
        number += short.blocks - place
    return number


def _get(index: SpanIndex, txn: Transaction, tables: Tables, number: int) -> Touched:
    return index.get(txn, tables, number)


def _read_leaves(_number: int, raw: bytes | memoryview) -> _Things:
    return read_leaf_indices(raw)
