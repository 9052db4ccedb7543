"""What the fourth version answers."""

from __future__ import annotations

from microrollup import Uint64, View
from shop.v4 import Shop

__all__ = ["count_blocks"]


def count_blocks(view: View[Shop]) -> Uint64:
    """Blocks since the upgrade."""
    return view.state.counters.blocks
