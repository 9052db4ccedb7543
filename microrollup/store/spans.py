"""What spans of 256 blocks touched, kept in memory, so that a reader of an old height passes over most of them.

The first block after a height that touched a leaf, a node or a row knows what it was. Looking at every block takes
10 us each, which is seconds where a month of them is kept; a span that left everything alone is one look. Derived from
the changes of closed blocks when it is first asked for, and never written down.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from microrollup.errors import DecodeError, StoreCorrupt
from microrollup.store.environment import Tables, Transaction, encode_number
from microrollup.store.old_path import OldPath
from microrollup.store.row_changes import compute_digest, read_digests
from microrollup.store.tree_delta import read_leaf_indices

__all__ = ["SPAN_BLOCKS", "SpanIndex", "Spans"]

SPAN_BLOCKS: Final = 256
_MAX_BYTES: Final = 64 << 20
"""Of each index: 16 M leaves, some months of a rollup with an action a second. Beyond, the oldest use is forgotten."""

Touched = npt.NDArray[Any]


class SpanIndex:
    """One kind of thing, by span; any thread may ask. One thread reads the store at a time, the others wait for it."""

    def __init__(
        self, table: str, read: Callable[[int, bytes | memoryview], Touched], blocks: int, max_bytes: int = _MAX_BYTES
    ) -> None:
        self._table = table
        self._read = read
        self._blocks = blocks
        self._max_bytes = max_bytes
        self._bytes = 0
        self._spans: OrderedDict[int, Touched] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, txn: Transaction, tables: Tables, span: int) -> Touched:
        """All that the blocks of a span touched, ascending, each once. All of them are closed.

        Raises `StoreCorrupt` if what one of them changed is missing or damaged.
        """
        with self._lock:
            found = self._spans.get(span)
            if found is None:
                found = self._spans[span] = self._load(txn, tables, span)
                self._bytes += found.nbytes
                while self._bytes > self._max_bytes and len(self._spans) > 1:
                    self._bytes -= self._spans.popitem(last=False)[1].nbytes
            self._spans.move_to_end(span)
            return found

    def _load(self, txn: Transaction, tables: Tables, span: int) -> Touched:
        parts: list[Touched] = []
        for number in range(span * self._blocks, (span + 1) * self._blocks):
            raw = txn.get(encode_number(number), db=tables[self._table])
            if raw is None:
                raise StoreCorrupt(f"{self._table}/{number}", "missing")
            try:
                parts.append(self._read(number, raw))
            except DecodeError as error:
                raise StoreCorrupt(f"{self._table}/{number}", error.reason) from None
        return np.unique(np.concatenate(parts))


class Spans:
    """The leaves of the tree that spans of so many blocks touched, and the digests of the state rows."""

    def __init__(self, blocks: int = SPAN_BLOCKS) -> None:
        self.blocks: Final = blocks
        self._leaves: Final = SpanIndex("undo_tree", lambda _, raw: read_leaf_indices(raw), blocks)
        self._rows: Final = SpanIndex("changes", read_digests, blocks)

    def skip_for_path(self, txn: Transaction, tables: Tables, path: OldPath, number: int, tip: int) -> int:
        """The block after the spans from `number` on that leave a path alone; `number` itself if there are none."""
        while self._is_start(number, tip) and not path.is_touched(self._leaves.get(txn, tables, number // self.blocks)):
            number += self.blocks
        return number

    def skip_for_row(self, txn: Transaction, tables: Tables, row_key: bytes, number: int, tip: int) -> int:
        """The same for a state row."""
        wanted = np.uint64(compute_digest(row_key))
        while self._is_start(number, tip):
            digests = self._rows.get(txn, tables, number // self.blocks)
            place = int(np.searchsorted(digests, wanted))
            if place < len(digests) and digests[place] == wanted:
                break
            number += self.blocks
        return number

    def _is_start(self, number: int, tip: int) -> bool:
        """Whether a span of closed blocks begins with this one."""
        return number % self.blocks == 0 and number + self.blocks - 1 <= tip
