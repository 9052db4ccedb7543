"""The state at a height in one file, and a data directory made of it."""

from __future__ import annotations

from contextlib import closing, nullcontext
from pathlib import Path

import msgspec

from microrollup.declaration.rollup import MicroRollup
from microrollup.deployment.directory import open_readable
from microrollup.deployment.progress import OnProgress, ignore_progress
from microrollup.maintenance.snapshot import SnapshotInfo, restore_snapshot, write_snapshot
from microrollup.settlement.place import L1Place, open_l1

__all__ = ["Restored", "restore_directory", "take_snapshot"]


class Restored(msgspec.Struct, frozen=True):
    """Where a restored data directory begins."""

    height: int
    block_hash: bytes
    state_root: bytes
    rollup_id: bytes


def take_snapshot(
    directory: Path,
    rollup: MicroRollup,
    out: Path,
    height: int | None = None,
    on_progress: OnProgress = ignore_progress,
) -> SnapshotInfo:
    """Write the state at a height, by default the newest block's; `out` is replaced once the file is whole.

    The store's writer may go on. Raises `StoreError`s, and `NotRetained` for a height that the store does not keep.
    """
    with open_readable(directory, rollup) as environment:
        return write_snapshot(environment, rollup, out, height, on_progress)


def restore_directory(
    source: Path,
    directory: Path,
    rollup: MicroRollup,
    *,
    block_hash: bytes | None = None,
    l1: L1Place | None = None,
    on_progress: OnProgress = ignore_progress,
) -> Restored:
    """Make a data directory from a snapshot; every root is computed again from its rows.

    Whether the header is right says `l1`, which must have settled the block, or `block_hash`. Raises what
    `restore_snapshot` raises.
    """
    view = nullcontext() if l1 is None else closing(open_l1(l1))
    with (
        view as settlement,
        restore_snapshot(
            source, directory, rollup, expected_block_hash=block_hash, l1=settlement, on_progress=on_progress
        ) as ledger,
    ):
        header, checkpoint = ledger.header, ledger.checkpoint
        return Restored(header.height, checkpoint.block_hash, header.state_root, ledger.rollup_id)
