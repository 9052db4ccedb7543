"""Blocks that end early because the next due forced action exceeds what they may change.

No batch may end with one before it holds 64 forced actions, so what follows must fit the same batch.
"""

from __future__ import annotations

from microrollup.chain.block import Block
from microrollup.chain.block_entry import BLOCK_RECORD
from microrollup.errors import NotRetained
from microrollup.ledger.ledger import Ledger
from microrollup.ledger.open_block import OpenBlock
from microrollup.primitives import MAX_FORCED_PER_BLOCK
from microrollup.settlement.due import leaves_due
from microrollup.settlement.protocol import L1View

__all__ = ["find_cut_bytes", "is_open_block_cut"]


def is_open_block_cut(block: OpenBlock, taken: int, l1: L1View) -> bool:
    """Whether an open block that a restart found is cut; `taken` are the forced actions before it."""
    count = block.forced_count - taken
    return count < MAX_FORCED_PER_BLOCK and leaves_due(l1, block.forced_count, block.open.l1_origin)


def find_cut_bytes(ledger: Ledger, l1: L1View) -> int:
    """Bytes of the records of the cut blocks with which the closed chain ends; 0 if its last block is not cut."""
    size, height = 0, ledger.checkpoint.height
    while height > 0:
        try:
            block, parent = ledger.get_block(height), ledger.get_header(height - 1)
        except NotRetained:
            break
        if block is None or not _is_cut(block, parent.forced_count, l1):
            break
        size += sum(map(len, block.records))
        height -= 1
    return size


def _is_cut(block: Block, taken: int, l1: L1View) -> bool:
    """A cut block holds forced actions only, fewer than 64, and its own entry where the app has a hook."""
    header = block.header
    count = len(block.records) - block.records[:1].count(BLOCK_RECORD)
    if count != header.forced_count - taken or not 0 < count < MAX_FORCED_PER_BLOCK:
        return False
    return leaves_due(l1, header.forced_count, header.l1_origin)
