"""Where batches may end, for the forced actions that their blocks leave in the queue although they are due.

A block takes the oldest 64 due entries, or fewer where the next one would exceed what the block may change. The inbox
takes a batch whose last header leaves due entries only if the batch took 64 of them.
"""

from __future__ import annotations

from collections.abc import Callable

from microrollup.chain.block import Header
from microrollup.primitives import MAX_FORCED_PER_BLOCK
from microrollup.settlement.protocol import L1View

__all__ = ["leaves_due", "make_may_end"]


def leaves_due(l1: L1View, forced_count: int, l1_origin: int) -> bool:
    """Whether a block after which `forced_count` entries were taken left one that was due at its origin."""
    return bool(l1.get_forced_entries(forced_count, l1_origin, 1))


def make_may_end(l1: L1View) -> Callable[[int, Header], bool]:
    """Whether a batch may end with a header, given how many forced actions were taken before the batch."""

    def may_end(taken: int, header: Header) -> bool:
        is_full = header.forced_count >= taken + MAX_FORCED_PER_BLOCK
        return is_full or not leaves_due(l1, header.forced_count, header.l1_origin)

    return may_end
