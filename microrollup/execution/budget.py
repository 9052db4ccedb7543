"""What the entries of a block may change, so that a block which was acknowledged can always be closed.

Counted when an entry executes, by sequencer and verifiers alike. Rows: the keys that the block has changed so far, and
one per signed entry for its sender's nonce. Bytes: for each of these keys its row key, its encoded value before the
block and its encoded value now; 38 per signed entry; and names and bodies of all events. An entry's own share counts
its changes alone, with the values before and after the entry. Steps: those of entries that run metered, and of the
signatures that came through the queue.

What one carrier brings may use a 64th of a block, so no carrier takes the room of another in the same block.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from microrollup.primitives import (
    MAX_BLOCK_CHANGED_BYTES,
    MAX_BLOCK_CHANGED_ROWS,
    MAX_BLOCK_STEPS,
    MAX_FORCED_PER_BLOCK,
)

__all__ = [
    "Excess",
    "NONCE_BYTES",
    "Usage",
    "compute_share",
    "find_block_excess",
    "find_entry_excess",
    "fits_block",
    "fits_entry",
]

MAX_ENTRY_CHANGED_ROWS: Final = MAX_BLOCK_CHANGED_ROWS // 4
MAX_ENTRY_CHANGED_BYTES: Final = MAX_BLOCK_CHANGED_BYTES // 4
"""One entry may use at most a quarter of a block, so every entry that may be taken fits an empty block."""

NONCE_BYTES: Final = 2 + 20 + 8 + 8
"""Row prefix, sender, nonce before and nonce after."""


class Usage(NamedTuple):
    """What a block's entries use of its budget, or may use."""

    rows: int
    size: int
    """In bytes."""
    steps: int


class Excess(NamedTuple):
    """What would be more than it may be."""

    limit: str
    """"rows", "bytes" or "steps"."""
    found: int
    most: int


def find_entry_excess(rows: int, size: int) -> Excess | None:
    """What an entry has too much of to be in any block."""
    return _find_excess(Usage(rows, size, 0), Usage(MAX_ENTRY_CHANGED_ROWS, MAX_ENTRY_CHANGED_BYTES, 0))


def fits_entry(rows: int, size: int) -> bool:
    """Whether one entry may change so much: `find_entry_excess` for the many that may."""
    return rows <= MAX_ENTRY_CHANGED_ROWS and size <= MAX_ENTRY_CHANGED_BYTES


def fits_block(rows: int, size: int, steps: int) -> bool:
    """Whether a block may use so much in all: `find_block_excess` for the many entries that have room."""
    return rows <= MAX_BLOCK_CHANGED_ROWS and size <= MAX_BLOCK_CHANGED_BYTES and steps <= MAX_BLOCK_STEPS


def find_block_excess(used: Usage, ceiling: Usage | None = None) -> Excess | None:
    """What a block has too much of, or what comes in a carrier beyond the carrier's `ceiling`."""
    return _find_excess(used, _get_block_budget() if ceiling is None else ceiling)


def compute_share(used: Usage) -> tuple[Usage, Excess | None]:
    """Up to where a carrier may use its block's budget, of which `used` is taken; and what the block has not enough of
    for a carrier's whole share.
    """
    most = _get_block_budget()
    wanted = Usage(*(taken + whole // MAX_FORCED_PER_BLOCK for taken, whole in zip(used, most, strict=True)))
    return Usage(*map(min, wanted, most)), _find_excess(wanted, most)


def _get_block_budget() -> Usage:
    return Usage(MAX_BLOCK_CHANGED_ROWS, MAX_BLOCK_CHANGED_BYTES, MAX_BLOCK_STEPS)


def _find_excess(used: Usage, most: Usage) -> Excess | None:
    if used.rows > most.rows:
        return Excess("rows", used.rows, most.rows)
    if used.size > most.size:
        return Excess("bytes", used.size, most.size)
    return Excess("steps", used.steps, most.steps) if used.steps > most.steps else None
