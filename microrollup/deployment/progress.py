"""How work that takes long says how far it is."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["OnProgress", "ignore_progress"]

OnProgress = Callable[[int, int], None]
"""Is told how much is done, and of how much; 0 if nobody knows."""


def ignore_progress(_done: int, _total: int) -> None:
    """Where nobody looks."""
