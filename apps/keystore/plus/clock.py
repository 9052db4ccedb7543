"""Time in rules: seconds of the block's timestamp, in sums that cannot exceed 64 bits."""

from __future__ import annotations

from typing import Final

from microrollup import Context

__all__ = ["DAY", "HOUR", "MAX_TIME", "add_seconds", "compute_period_end"]

HOUR: Final = 3_600
DAY: Final = 24 * HOUR
MAX_TIME: Final = 2**64 - 1
"""The last second; as a deadline: never."""


def add_seconds(ctx: Context, seconds: int) -> int:
    """So many seconds after this block, at most `MAX_TIME`."""
    return min(ctx.timestamp + seconds, MAX_TIME)


def compute_period_end(timestamp: int, period: int) -> int:
    """The second at which the period of the fixed grid ends that a second lies in."""
    return min((timestamp // period + 1) * period, MAX_TIME)
