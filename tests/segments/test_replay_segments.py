"""A log replayed in segments, and the store that it is of compared part by part."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from history import use_inline
from kernel_fixtures import MAP_SIZE, Chain, fast_directory
from microrollup.deployment.replaying import Replayed, replay_directory, replay_in_segments
from microrollup.deployment.segmenting import SegmentRequest
from microrollup.errors import StoreLocked
from microrollup.ledger.ledger import Ledger
from microrollup.maintenance.snapshot import write_snapshot
from microrollup.segments.coordinator import SegmentFailed
from microrollup.segments.shelf import SnapshotShelf
from microrollup.store.environment import Environment
from zoo import zoo


@pytest.fixture(scope="module")
def closed() -> Iterator[Path]:
    """A store whose log took blocks back twice and ends in an open block, with snapshots of both branches beside it."""
    with fast_directory() as root:
        chain = Chain(root)
        shelf = SnapshotShelf(root / "builder" / "snapshots")
        shelf.directory.mkdir()

        def work(blocks: int) -> None:
            for _ in range(blocks):
                chain.work(rng, 1)
                path = shelf.directory / "writing"
                shelf.place(write_snapshot(chain.ledger.environment, zoo, path), path)

        rng = Random(3)
        work(6)
        chain.sequencer.rebuild(4)
        work(3)
        chain.sequencer.rebuild(chain.ledger.checkpoint.height)
        work(2)
        chain.edit(("set_ticket", 1, 1))
        chain.sequencer.close()
        chain.ledger.close()
        chain.l1.close()
        yield root / "builder"


def replay(store: Path, work: Path, monkeypatch: pytest.MonkeyPatch) -> Replayed:
    use_inline(monkeypatch)
    return replay_in_segments(SegmentRequest("zoo:zoo", store, "processes", work, least_actions=1))


def test_a_log_with_blocks_that_were_taken_back(closed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It gives what the replay in one process gives; snapshots of what was taken back are left out."""
    alone = replay_directory("zoo:zoo", closed, tmp_path / "alone")
    found = replay(closed, tmp_path / "work", monkeypatch)
    assert [] == found.differences == alone.differences
    assert (alone.height, alone.state_root, alone.records) == (found.height, found.state_root, found.records)
    assert found.segmented is not None
    assert found.segmented.segments > 3


def test_a_store_that_has_changed_since_a_run_was_cut_off_is_replayed_anew(
    closed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = tmp_path / "store"
    shutil.copytree(closed, store, ignore=shutil.ignore_patterns("*.lock", "lock.mdb"))
    use_inline(monkeypatch, lambda task, run: b"" if task.last is None else run())
    with pytest.raises(SegmentFailed):
        replay_in_segments(SegmentRequest("zoo:zoo", store, "processes", tmp_path / "work", least_actions=1))
    with Environment(store, map_size=MAP_SIZE) as environment:
        key, value = next(iter(environment.cursor("receipts")))
        with environment.write() as txn:
            txn.put(key, value[:-1] + bytes((value[-1] ^ 1,)), db=environment.tables["receipts"])
    assert ["receipts"] == [each.table for each in replay(store, tmp_path / "work", monkeypatch).differences]


@pytest.mark.parametrize("table", ["openings", "receipts", "index", "changes", "undo_tree", "state", "tree"])
def test_what_differs_in_any_part_is_named(
    closed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, table: str
) -> None:
    """By its row; in the first part, a later one, or at the end."""
    store = tmp_path / "store"
    shutil.copytree(closed, store, ignore=shutil.ignore_patterns("*.lock", "lock.mdb"))
    with Environment(store, map_size=MAP_SIZE) as environment:
        rows = list(environment.cursor(table))
        key, value = rows[len(rows) // 2]
        with environment.write() as txn:
            txn.put(key, value[:-1] + bytes((value[-1] ^ 1,)), db=environment.tables[table])
    found = replay(store, tmp_path / "work", monkeypatch)
    assert [(table, f"0x{key.hex()}")] == [(difference.table, difference.key) for difference in found.differences]


def test_a_log_that_is_damaged_or_in_use(closed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = tmp_path / "store"
    shutil.copytree(closed, store, ignore=shutil.ignore_patterns("*.lock", "lock.mdb"))
    with Ledger.open(store, zoo), pytest.raises(StoreLocked):
        replay(store, tmp_path / "work", monkeypatch)
    with Environment(store, map_size=MAP_SIZE) as environment:
        key, value = list(environment.cursor("log"))[9]
        with environment.write() as txn:
            txn.put(key, value[:-1] + bytes((value[-1] ^ 1,)), db=environment.tables["log"])
    with pytest.raises(SegmentFailed, match=r"StoreCorrupt: .*log/9"):
        replay(store, tmp_path / "work", monkeypatch)
