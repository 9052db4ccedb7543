"""Whether what a store holds still stands on L1, which may have taken back blocks, or settled others meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from microrollup.chain.block import Block
from microrollup.errors import Divergence
from microrollup.settlement.protocol import L1View, SettledHead
from microrollup.verifier.l1_rules import verify_block_on_l1

__all__ = ["find_foreign_head", "find_stale_block"]


def find_foreign_head(head: SettledHead, latest: int, find_hash: Callable[[int], bytes | None]) -> str | None:
    """What is wrong if L1 has settled a block that this store does not hold: nothing taken now could ever settle.

    `latest` is the store's newest height, `find_hash` gives the hash of a block that it has.
    """
    if head.height > latest:
        return f"L1 has settled block {head.height}, and this store ends at {latest}: it is an old copy"
    if find_hash(head.height) not in (None, head.block_hash):
        return f"L1 has settled another block {head.height} than this store holds"
    return None


def find_stale_block(blocks: Iterable[Block], verify_open: Callable[[], None], l1: L1View) -> str | None:
    """What is wrong if a block that is not settled is not right any more, on L1 as it is now.

    `verify_open` looks at the open block, where its owner lets it: it raises `Divergence`.
    """
    try:
        verify_open()
        for block in blocks:
            verify_block_on_l1(block, l1)
    except Divergence as error:
        return (
            f"block {error.height} was built on L1 blocks that L1 has taken back since, deeper than its"
            f" reorg buffer: its {error.field} is not right any more"
        )
    return None
