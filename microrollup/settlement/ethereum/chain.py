"""L1's blocks as far as they matter: a window of the newest, linked by their hashes, and the times of older ones."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

import structlog

from microrollup.settlement.ethereum.answers import L1Block
from microrollup.settlement.ethereum.errors import L1BadAnswer

__all__ = ["BlockWindow", "HashRule", "verify_links"]

_MAX_TIMES: Final = 1 << 18
"""Times kept, some 20 MB; a month of blocks."""

_log = structlog.get_logger(__name__)


class BlockWindow:
    """The newest blocks of the chain that was told last. The writer keeps readers of other threads out."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._blocks: dict[int, L1Block] = {}
        """Consecutive numbers, up to the head."""
        self._times: dict[int, int] = {}

    def find_head(self) -> L1Block | None:
        """The newest block; `None` before the first."""
        return next(reversed(self._blocks.values()), None)

    def get_head(self) -> L1Block:
        """The newest block of a window that is not empty."""
        return next(reversed(self._blocks.values()))

    @property
    def lowest(self) -> int:
        """Number of the oldest block in the window."""
        return next(iter(self._blocks), 0)

    def get_block(self, number: int) -> L1Block | None:
        """The block of this number, if it is in the window."""
        return self._blocks.get(number)

    def get_time(self, number: int) -> int | None:
        """The time of a block in seconds, if it is known."""
        return self._times.get(number)

    def rewind(self, number: int) -> None:
        """Forget what comes after a block."""
        self._blocks = {n: block for n, block in self._blocks.items() if n <= number}
        self._times = {n: time for n, time in self._times.items() if n <= number}

    def extend(self, blocks: Sequence[L1Block]) -> None:
        """Append linked blocks; a gap before them empties the window."""
        head = self.find_head()
        if head is not None and blocks[0].number != head.number + 1:
            self._blocks = {}
        self._blocks.update({block.number: block for block in blocks})
        for number in range(self.lowest, blocks[-1].number + 1 - self._size):
            del self._blocks[number]
        self.note_times(blocks)

    def note_times(self, blocks: Sequence[L1Block]) -> None:
        """Remember the times of blocks."""
        self._times.update({block.number: block.time for block in blocks})
        while len(self._times) > _MAX_TIMES:
            del self._times[next(iter(self._times))]


def verify_links(blocks: Sequence[L1Block]) -> None:
    """Raise `L1BadAnswer` unless each block follows the one before it, in number, hash and time.

    Two blocks may have one time: development chains and L2s that serve as an L1 build several a second.
    """
    for parent, block in pairwise(blocks):
        if block.number != parent.number + 1 or block.parent_hash != parent.hash or block.time < parent.time:
            raise L1BadAnswer("blocks", f"block {block.number} does not follow block {parent.number}")


class HashRule:
    """That hashes are those of the headers: once one was, all have to be, so no node tells another time of a block.

    A chain whose headers are of another form is taken as it is told.
    """

    def __init__(self) -> None:
        self._holds = False
        self._told = False

    def check(self, blocks: Sequence[L1Block]) -> None:
        """Raise `L1BadAnswer` for a block whose hash is not that of its header."""
        holds = self._holds or any(block.is_bound for block in blocks)
        for block in blocks:
            if holds and not block.is_bound:
                raise L1BadAnswer(
                    "blocks",
                    f"the hash of block {block.number} is not its header's; after a fork of L1 upgrade or restart",
                )

    def note(self, blocks: Sequence[L1Block]) -> None:
        """Take over what `check` took, once all else of it fits: what one node made up binds no later answer."""
        self._holds = self._holds or blocks[-1].is_bound
        if not self._holds and not self._told:
            self._told = True
            _log.warning("l1_hashes_unchecked", number=blocks[-1].number)
