"""The indexes of the shelf: one of changes, one of receipts alone, one of the state, one that fails."""

from __future__ import annotations

from microrollup import Address, Index, IndexBlock, Uint64
from shelf import Placed, Shelf

FATAL = 666
"""A rank that `fussy` fails at."""


def by_rank(block: IndexBlock[Shelf], rows: Index[tuple[Uint64, Uint64], Address]) -> None:
    """(rank, number) -> owner."""
    for change in block.changes(block.state.items):
        if change.old is not None:
            rows.delete((change.old.rank, change.key))
        if change.new is not None:
            rows.put((change.new.rank, change.key), change.new.owner)


def history(block: IndexBlock[Shelf], rows: Index[tuple[Address, Uint64], Uint64]) -> None:
    """(who placed, sequence number) -> rank; what the events say, and who signed."""
    for receipt in block.receipts:
        for event in receipt.events:
            if isinstance(event, Placed):
                rows.put((receipt.sender, receipt.seq), event.rank)


def sizes(block: IndexBlock[Shelf], rows: Index[Uint64, Uint64]) -> None:
    """Height -> items on the shelf then."""
    if block.height not in rows:
        rows.put(block.height, len(block.state.items))


def fussy(block: IndexBlock[Shelf], rows: Index[Uint64, Uint64]) -> None:
    """Rank -> how often it was placed; no rank is fatal."""
    for receipt in block.receipts:
        for event in receipt.events:
            if isinstance(event, Placed):
                if event.rank == FATAL:
                    raise ValueError("a fatal rank")
                rows.put(event.rank, rows.get(event.rank, 0) + 1)
