"""Which rows the blocks changed that are not written out, read once per closed block and not once per reader."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from microrollup.store.row_changes import Digests, compute_digest

__all__ = ["UnwrittenRows"]

_Rows = tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64]]
"""Digests of row keys, ascending, and the height of the block that changed each; the lower height first."""


class UnwrittenRows:
    """The blocks from one height to another that changed a row, by the row's digest. Any thread may ask."""

    def __init__(self) -> None:
        self._kept: tuple[tuple[bytes, int, int], _Rows] | None = None
        """Of which blocks, and what; replaced as one, since any thread may ask."""

    def find(
        self,
        row_key: bytes,
        blocks: range,
        stamp: bytes,
        read: Callable[[int], Digests],
    ) -> Iterator[int]:
        """The heights among `blocks` at which a row with this key's digest was changed, the newest first.

        `stamp` is that of the last of them, `read` gives the digests of what one has changed. Raises what that raises.
        """
        wanted = (stamp, blocks.start, blocks.stop)
        kept = self._kept
        if kept is None or kept[0] != wanted:
            kept = self._kept = wanted, _read_rows(blocks, read)
        digests, heights = kept[1]
        digest = np.uint64(compute_digest(row_key))
        first, end = digests.searchsorted(digest), digests.searchsorted(digest, "right")
        found: list[int] = heights[first:end].tolist()
        return reversed(found)


def _read_rows(blocks: range, read: Callable[[int], Digests]) -> _Rows:
    parts = [read(number).astype(np.uint64) for number in blocks]
    if not parts:
        return np.empty(0, np.uint64), np.empty(0, np.int64)
    digests = np.concatenate(parts)
    heights = np.repeat(np.arange(blocks.start, blocks.stop), [len(part) for part in parts])
    order = digests.argsort(kind="stable")
    return digests[order], heights[order]
