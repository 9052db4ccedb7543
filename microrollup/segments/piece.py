"""What the coordinator knows of a segment while it is at work."""

from __future__ import annotations

from concurrent.futures import Future

import msgspec

from microrollup.segments.segment import Segment, SegmentResult

__all__ = ["Piece"]


class Piece(msgspec.Struct):
    """A segment at work, how often it was tried, and how that ended."""

    segment: Segment
    result: SegmentResult | None = None
    future: Future[bytes] | None = None
    tries: int = 0
    """Without a block that was verified, and through nobody else's fault."""
    suspected: int = 0
    """The same of executors that were lost while other segments were in work too."""
    busy: int = 0
    reached: int = -1
    """Height that it was seen to have reached; -1 before it started."""
    starts: int = 0
    """Of its workers, before the newest try."""

    @property
    def is_waiting(self) -> bool:
        """Whether nobody works at it, and somebody should."""
        return self.result is None and self.future is None
