"""Following L1 with a based rollup's ledger: the blocks that it gives, and back where L1 has changed its mind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from microrollup.based.block import build_next_block
from microrollup.chain.block import Header
from microrollup.errors import L1Behind, NotRetained
from microrollup.ledger.ledger import Ledger
from microrollup.settlement.errors import BadOrigin, UnknownEntry
from microrollup.settlement.protocol import L1View

__all__ = ["find_change", "follow_queue", "rewind_to_l1"]

_CHECKED_BLOCKS: Final = 64
"""L1 blocks below the newest one that L1 is not expected to take back: blocks bound to older ones are looked at only if
a later one does not fit.
"""


def follow_queue(
    ledger: Ledger, l1: L1View, newest: int, on_block: Callable[[Header], None] = lambda _: None
) -> int | None:
    """Store all blocks that the queue gives up to L1's block `newest`; the lowest height that L1 had changed, None if
    it changed nothing here.

    The last 256 heights can be taken back. Raises `NotRetained` where L1 has changed more: begin with an empty store.
    Raises what `build_next_block` raises.
    """
    changed = rewind_to_l1(ledger, l1)
    while (header := build_next_block(ledger, l1, newest)) is not None:
        on_block(header)
    return changed


def rewind_to_l1(ledger: Ledger, l1: L1View) -> int | None:
    """Forget the blocks that do not follow from L1 as it is now; the lowest of them, None if there is none.

    Raises `NotRetained` where that is more than can be taken back, and `L1Behind`.
    """
    changed = find_change(ledger, l1)
    if changed is not None:
        ledger.rebuild(changed, forget=True)
    return changed


def find_change(ledger: Ledger, l1: L1View) -> int | None:
    """The lowest height of a block that does not follow from L1 as it is now; None if all do.

    Raises `L1Behind` if L1 as this view has it ends below what the newest block was built on: a node that has fallen
    behind does not tell that anything was taken back.
    """
    own, number = ledger.header, l1.get_number()
    if own.l1_origin >= number:
        raise L1Behind(own.height, own.l1_origin, number)
    deep = l1.get_origin() - _CHECKED_BLOCKS
    height, wrong = ledger.checkpoint.height, None
    while height > 0:
        header = ledger.get_header(height)
        try:
            parent = ledger.get_header(height - 1)
        except NotRetained:  # the store began with a snapshot of this height
            break
        if not _follows(header, parent, l1):
            wrong = height
        elif header.l1_origin <= deep:
            break
        height -= 1
    return wrong


def _follows(header: Header, parent: Header, l1: L1View) -> bool:
    """Whether L1 still has the entries up to a block, each in its L1 block, and the time of the block's origin."""
    try:
        queue_hash = l1.get_queue_hash(header.forced_count)
        time = l1.get_time(header.l1_origin)
    except (UnknownEntry, BadOrigin):
        return False
    return queue_hash == header.forced_hash and header.timestamp == max(parent.timestamp, time)
