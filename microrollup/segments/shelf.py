"""A directory of snapshots, each named by its height and its content, thinned out so that it stays small and covers all
of a history.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from microrollup.chain.block import compute_block_hash
from microrollup.errors import DecodeError, MicrorollupError, SnapshotError, UsageError
from microrollup.maintenance.snapshot import SnapshotInfo, read_snapshot_head
from microrollup.segments.segment import Start

__all__ = ["SnapshotShelf"]

KEPT: Final = 32
"""Snapshots on a shelf that a node fills."""

_NAME: Final = re.compile(r"([0-9]{12})-([0-9a-f]{64})\.snapshot")


class SnapshotShelf:
    """Snapshots in a directory as `HEIGHT-ID.snapshot`: twelve digits, and the blake3 of the file in hex."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def list_files(self) -> list[tuple[int, Path]]:
        """Heights and files, ascending; what has another name is left out."""
        try:
            paths = sorted(self.directory.iterdir())
        except FileNotFoundError:
            return []
        except OSError as error:
            raise UsageError(f"{self.directory} is not a directory of snapshots: {error.strerror}") from None
        return [(int(match[1]), path) for path in paths if (match := _NAME.fullmatch(path.name)) is not None]

    def read_starts(self, rollup_id: bytes) -> list[Start]:
        """The starts that this rollup's snapshots give, by what their heads claim; damaged ones are left out."""
        starts: list[Start] = []
        for height, path in self.list_files():
            try:
                head = read_snapshot_head(path)
            except (SnapshotError, DecodeError):
                continue
            header = head.header
            if header.rollup_id != rollup_id or header.height != height or height == 0:
                continue
            starts.append(
                Start(
                    height,
                    compute_block_hash(header),
                    header.first_seq + header.action_count,
                    head.leaf_count + sum(head.sizes),
                    str(path.absolute()),
                )
            )
        return starts

    def place(self, info: SnapshotInfo, path: Path) -> Path:
        """Give a snapshot that was written here its name. Raises `MicrorollupError` if the disk refuses."""
        named = self.directory / f"{info.height:012}-{info.id}.snapshot"
        try:
            path.replace(named)
        except OSError as error:
            raise MicrorollupError(f"{named} cannot be written: {error.strerror}") from error
        return named

    def thin(self, every: int) -> None:
        """Remove every second snapshot while there are more than `KEPT`; the newest always stays.

        Those at the multiples of twice, four times, … `every` blocks stay, so that what is left covers all heights
        evenly.
        """
        files = self.list_files()
        step = every
        while len(files) > KEPT:
            step *= 2
            for height, path in files[:-1]:
                if height % step:
                    path.unlink(missing_ok=True)
            files = self.list_files()
            if step > 1 << 62:
                raise AssertionError("a height that no power divides")
