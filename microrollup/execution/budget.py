"""What the entries of a block may change, so that a block which was acknowledged can always be closed.

Counted when an entry executes, by sequencer and verifiers alike. Rows: the keys that the block has changed so far, and
one per signed entry for its sender's nonce. Bytes: for each of these keys its row key, its encoded value before the
block and its encoded value now; 38 per signed entry; and names and bodies of all events. An entry's own share counts
its changes alone, with the values before and after the entry.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from microrollup.primitives import MAX_BLOCK_CHANGED_BYTES, MAX_BLOCK_CHANGED_ROWS

__all__ = ["Excess", "NONCE_BYTES", "find_block_excess", "find_entry_excess"]

MAX_ENTRY_CHANGED_ROWS: Final = MAX_BLOCK_CHANGED_ROWS // 4
MAX_ENTRY_CHANGED_BYTES: Final = MAX_BLOCK_CHANGED_BYTES // 4
"""One entry may use at most a quarter of a block, so every entry that may be taken fits an empty block."""

NONCE_BYTES: Final = 2 + 20 + 8 + 8
"""Row prefix, sender, nonce before and nonce after."""


class Excess(NamedTuple):
    """What would be more than it may be."""

    limit: str
    """"rows" or "bytes"."""
    found: int
    most: int


def find_entry_excess(rows: int, size: int) -> Excess | None:
    """What an entry has too much of to be in any block."""
    return _find_excess(rows, size, MAX_ENTRY_CHANGED_ROWS, MAX_ENTRY_CHANGED_BYTES)


def find_block_excess(rows: int, size: int) -> Excess | None:
    """What a block has too much of."""
    return _find_excess(rows, size, MAX_BLOCK_CHANGED_ROWS, MAX_BLOCK_CHANGED_BYTES)


def _find_excess(rows: int, size: int, max_rows: int, max_bytes: int) -> Excess | None:
    if rows > max_rows:
        return Excess("rows", rows, max_rows)
    return Excess("bytes", size, max_bytes) if size > max_bytes else None
