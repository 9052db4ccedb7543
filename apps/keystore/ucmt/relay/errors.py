"""What ends a relayer of updates."""

from __future__ import annotations

from ...chains.errors import RelayError

__all__ = ["AnotherRollup"]


class AnotherRollup(RelayError):
    """The source is of another rollup than the one whose updates the directory holds."""

    def __init__(self, expected: bytes, found: bytes) -> None:
        super().__init__(
            f"the source is of the rollup 0x{found.hex()}, the directory of 0x{expected.hex()}: give another --data"
        )
