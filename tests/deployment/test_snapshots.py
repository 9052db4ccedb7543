"""A directory made from a snapshot goes on where the snapshot's block ends."""

from __future__ import annotations

from pathlib import Path

import pytest

from deployment_fixtures import APP, LINES, ROLLUP, fill_directory
from microrollup.deployment.importing import import_actions
from microrollup.deployment.place_file import local_place
from microrollup.deployment.snapshots import restore_directory, take_snapshot
from microrollup.errors import MicrorollupError
from microrollup.keys.files import builder_key_path


def test_snapshot_and_restore(tmp_path: Path) -> None:
    """The restored directory has the snapshot's roots, and takes the next actions to the same state."""
    data, file = tmp_path / "data", tmp_path / "snapshot"
    report = fill_directory(data, LINES[:20])
    seen: list[tuple[int, int]] = []
    info = take_snapshot(data, ROLLUP, file, on_progress=lambda *done: seen.append(done))
    assert (2, report.state_root) == (info.height, info.state_root)
    assert seen
    assert seen == sorted(seen)
    restored = restore_directory(file, tmp_path / "new", ROLLUP, block_hash=info.block_hash)
    assert (info.height, info.block_hash, info.state_root) == (
        restored.height,
        restored.block_hash,
        restored.state_root,
    )
    builder_key_path(tmp_path / "new").parent.mkdir()
    builder_key_path(tmp_path / "new").write_bytes(builder_key_path(data).read_bytes())
    place = local_place(data / "l1")
    one = import_actions(APP, data, LINES[20:30])
    other = import_actions(APP, tmp_path / "new", LINES[20:30], l1=place)
    assert (3, one.state_root) == (other.height, other.state_root)


def test_an_older_height(tmp_path: Path) -> None:
    """The state at an older height is another file with another root."""
    fill_directory(tmp_path / "data", LINES[:20])
    older = take_snapshot(tmp_path / "data", ROLLUP, tmp_path / "older", 1)
    newest = take_snapshot(tmp_path / "data", ROLLUP, tmp_path / "newest")
    assert (1, 2) == (older.height, newest.height)
    assert older.state_root != newest.state_root


def test_nothing_is_restored_from_what_nobody_vouches_for(tmp_path: Path) -> None:
    """A snapshot of another block than the one asked for, or than L1 settled, makes no directory."""
    fill_directory(tmp_path / "data", LINES[:10])
    take_snapshot(tmp_path / "data", ROLLUP, tmp_path / "file")
    with pytest.raises(MicrorollupError):
        restore_directory(tmp_path / "file", tmp_path / "new", ROLLUP, block_hash=b"\1" * 32)
    with pytest.raises(MicrorollupError):
        restore_directory(tmp_path / "file", tmp_path / "new", ROLLUP, l1=local_place(tmp_path / "data" / "l1"))
    assert not (tmp_path / "new").exists()
