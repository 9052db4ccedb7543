"""How many bytes of requests, or of answers, may be in memory at one time, over all connections."""

from __future__ import annotations

__all__ = ["Budget"]


class Budget:
    """Bytes to be taken and given back, in the event loop."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.used = 0

    def take(self, size: int) -> bool:
        """Take bytes if there are so many; else nothing."""
        if self.used + size > self._limit:
            return False
        self.used += size
        return True

    def overdraw(self, size: int) -> None:
        """Take bytes, whether there are so many or not."""
        self.used += size

    def give(self, size: int) -> None:
        """Give bytes back."""
        self.used -= size
