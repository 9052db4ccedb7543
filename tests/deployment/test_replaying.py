"""The log alone gives the store again; whatever the store holds beside it is a difference."""

from __future__ import annotations

from pathlib import Path

import pytest

from deployment_fixtures import APP, ROLLUP, fill_directory
from microrollup.deployment.directory import open_rollup
from microrollup.deployment.replaying import replay_directory
from microrollup.errors import StoreLocked


def test_replay(tmp_path: Path) -> None:
    """The rebuilt store is equal to the byte; progress counts the log's records, of which
    the genesis is the first.
    """
    report = fill_directory(tmp_path / "data")
    seen: list[tuple[int, int]] = []
    replayed = replay_directory(APP, tmp_path / "data", tmp_path / "again", on_progress=lambda *done: seen.append(done))
    assert (3, report.state_root, []) == (replayed.height, replayed.state_root, replayed.differences)
    assert [(number, 37) for number in range(2, 38)] == seen
    assert 37 == replayed.records


def test_not_beside_a_writer(tmp_path: Path) -> None:
    """A store that is being written to is not compared."""
    fill_directory(tmp_path / "data")
    with open_rollup(tmp_path / "data", ROLLUP), pytest.raises(StoreLocked):
        replay_directory(APP, tmp_path / "data", tmp_path / "again")
