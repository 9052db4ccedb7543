"""A history with snapshots, and a copy of these to be damaged."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from history import History
from kernel_fixtures import fast_directory
from microrollup.segments.shelf import SnapshotShelf


@pytest.fixture(scope="module")
def history() -> Iterator[History]:
    with fast_directory() as root, closing(History(root)) as made:
        yield made


@pytest.fixture
def shelf(history: History, tmp_path: Path) -> SnapshotShelf:
    """A copy of the snapshots, to be damaged."""
    shutil.copytree(history.shelf.directory, tmp_path / "shelf")
    return SnapshotShelf(tmp_path / "shelf")
