"""Histories verified in segments: cutting, losses, lies, damaged snapshots."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from concurrent.futures import BrokenExecutor
from contextlib import closing
from functools import partial
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest

from history import BLOCKS, SPACING, History, Inline, divergence_of, lie, report_of, require_right, use_inline
from kernel_fixtures import Chain, fast_directory
from microrollup.chain.block import compute_block_hash
from microrollup.deployment.segmenting import verify_in_segments
from microrollup.errors import SourceUnavailable, UsageError, WrongRollup
from microrollup.maintenance.snapshot import write_snapshot
from microrollup.segments import coordinator
from microrollup.segments.coordinator import SegmentFailed
from microrollup.segments.executors import DaskCluster, ProcessPool, parse_executor
from microrollup.segments.keeper import keep_snapshots
from microrollup.segments.segment import SegmentResult, SegmentTask, Start, cut_segments, merge_segments
from microrollup.segments.shelf import KEPT, SnapshotShelf
from microrollup.segments.worker import PROGRESS_FILE, Progress, read_progress, run_segment
from microrollup.settlement.place import LocalPlace
from zoo import zoo


@pytest.fixture
def inline(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Inline]:
    """Have requests run by an `Inline`."""
    return partial(use_inline, monkeypatch)


# --- cutting ---------------------------------------------------------------------------------------------------------


def make_start(height: int, next_seq: int, rows: int) -> Start:
    return Start(height, bytes([height]) * 32, next_seq, rows, f"/{height}")


def test_a_segment_executes_at_least_as_many_actions_as_its_start_has_rows() -> None:
    genesis = Start(0, bytes(32), 0, 0, None)
    starts = [make_start(1, 100, 50), make_start(2, 149, 70), make_start(3, 150, 90), make_start(9, 239, 1)]
    cut = cut_segments(genesis, starts)
    assert [(0, 1), (1, 3), (3, None)] == [(each.start.height, each.end and each.end.height) for each in cut]
    again = cut_segments(genesis, starts, least_actions=1)
    assert [0, 1, 2, 3, 9] == [each.start.height for each in again]
    going_on = cut_segments(genesis, [make_start(1, 100, 500), *starts[1:]], going_on=True)
    assert [0, 1, 3, 9] == [each.start.height for each in going_on]
    merged = merge_segments(again[1], again[2])
    assert (1, 3) == (merged.start.height, merged.end and merged.end.height)
    assert "blocks 2 to 3" == merged.describe()
    assert [0] == [each.start.height for each in cut_segments(genesis, [])]


def test_a_shelf_stays_small_and_covers_all_heights(tmp_path: Path) -> None:
    shelf = SnapshotShelf(tmp_path)
    for height in range(10, 5_001, 10):
        (tmp_path / f"{height:012}-{height:064x}.snapshot").touch()
        shelf.thin(10)
        heights = [found for found, _ in shelf.list_files()]
        assert len(heights) <= KEPT
        assert heights[-1] == height
    steps = {after - before for before, after in pairwise(heights)}
    assert max(steps) <= 320
    assert heights[0] <= 320
    (tmp_path / "notes.txt").touch()
    assert heights == [found for found, _ in shelf.list_files()]


def test_executors_are_named() -> None:
    assert ProcessPool(3) == parse_executor("processes:3")
    assert isinstance(parse_executor("processes"), ProcessPool)
    assert DaskCluster("tcp://127.0.0.1:8786") == parse_executor("dask://127.0.0.1:8786")
    assert DaskCluster("tls://verify.example:8786") == parse_executor("tls://verify.example:8786")
    for bad in ("", "threads", "processes:", "processes:0", "processes:²", "dask://", "dask:host", "processes:4x"):
        with pytest.raises(UsageError, match=r"give `processes`"):
            parse_executor(bad)
    with pytest.raises(UsageError, match="tls://"):
        parse_executor("dask://10.0.0.1:8786")


# --- what is right ---------------------------------------------------------------------------------------------------


def test_segments_from_snapshots(history: History, tmp_path: Path, inline: Callable[..., Inline]) -> None:
    inline()
    seen: list[tuple[int, int]] = []
    found = verify_in_segments(history.request(tmp_path), lambda *done: seen.append(done))
    require_right(found, history)
    assert (BLOCKS // SPACING + 1, True, 0) == (found.segments, found.from_snapshots, found.executors_lost)
    assert (BLOCKS, BLOCKS) == seen[-1]
    assert ["dueForcedActions"] == report_of(found).unchecked[:1]


def test_segments_of_a_first_pass(history: History, tmp_path: Path, inline: Callable[..., Inline]) -> None:
    inline()
    found = verify_in_segments(history.request(tmp_path, snapshots=None, least_actions=20))
    require_right(found, history)
    assert not found.from_snapshots
    assert found.segments > 3


def test_on_few_cores_a_pool_stands_in_for_a_first_pass(
    history: History, tmp_path: Path, inline: Callable[..., Inline]
) -> None:
    """One process that verifies all, beside one that checks signatures, unless segments or snapshots are asked for."""
    tasks: list[SegmentTask] = []

    def note(task: SegmentTask, run: Callable[[], bytes]) -> bytes:
        tasks.append(task)
        return run()

    made = inline(note)
    cases: list[tuple[int, dict[str, Path | int], int]] = [
        (1, {}, 1),
        (2, {}, 1),
        (2, {"workers": 0}, 0),
        (3, {}, 0),
        (2, {"snapshots": tmp_path / "made"}, 0),
        (2, {"least_actions": 60}, 0),
    ]
    for number, (processes, changes, pooled) in enumerate(cases):
        made.workers = processes
        plain: dict[str, Path | int | None] = {"snapshots": None, "least_actions": None, "workers": 2}
        found = verify_in_segments(history.request(tmp_path / str(number), **plain | changes))
        require_right(found, history)
        assert {pooled} == {task.workers for task in tasks}
        assert (found.segments == 1) == ("least_actions" not in changes)
        tasks.clear()


def test_a_wrong_block_is_found_beside_a_pool(history: History, tmp_path: Path) -> None:
    """By processes, one of which starts another."""
    file = history.write("wrong", [*history.blocks[:9], lie(history.blocks[9]), *history.blocks[10:]])
    request = history.request(tmp_path, source=file, snapshots=None, least_actions=None, workers=2)
    found = verify_in_segments(request)
    assert (10, "receiptsRoot") == (divergence_of(found).height, divergence_of(found).field)
    assert 1 == found.segments


def test_with_an_l1_its_rules_are_checked_and_all_comes_from_it(tmp_path: Path) -> None:
    """By processes, since each opens the local settlement. Batches end elsewhere than snapshots: a segment may begin
    and end within a batch.
    """
    with fast_directory() as root:
        with closing(History(root)) as history:
            for first in range(0, BLOCKS, 6):
                history.settle(history.blocks[first : first + 6])
        l1 = LocalPlace(str(root / "l1"))
        found = verify_in_segments(history.request(tmp_path / "a", l1=l1))
        require_right(found, history)
        assert [] == report_of(found).unchecked
        require_right(verify_in_segments(history.request(tmp_path / "b", source=None, l1=l1)), history)
        derived = history.request(tmp_path / "c", source=None, l1=l1, snapshots=None, least_actions=25)
        found = verify_in_segments(derived)
        require_right(found, history)
        assert found.segments > 2


def test_what_cannot_begin(history: History, tmp_path: Path, inline: Callable[..., Inline]) -> None:
    inline()
    with pytest.raises(WrongRollup):
        verify_in_segments(history.request(tmp_path, rollup_id=bytes(32)))
    with pytest.raises(UsageError, match="neither a source"):
        verify_in_segments(history.request(tmp_path, source=None))


# --- snapshots that are wrong ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("damage", "which"),
    [
        ("missing", 0),
        ("missing", 2),
        ("missing", -1),
        ("cut", 1),
        ("flipped", 2),
        ("another height's", 2),
        ("not a file", 1),
    ],
)
def test_a_damaged_snapshot_is_left_out(
    history: History, shelf: SnapshotShelf, tmp_path: Path, inline: Callable[..., Inline], damage: str, which: int
) -> None:
    """It means an earlier start, never a verdict. The damage comes after the plan was made."""
    _, path = shelf.list_files()[which]

    def spoil(_: SegmentTask, run: Callable[[], bytes]) -> bytes:
        for note in tmp_path.glob("*/*.from"):  # or a worker goes on where it is, and needs no snapshot
            note.unlink()
        if path.is_file() and not done:
            done.append(True)
            raw = path.read_bytes()
            path.unlink()
            if damage == "cut":
                path.write_bytes(raw[: len(raw) // 2])
            elif damage == "flipped":
                path.write_bytes(raw[:400] + bytes([raw[400] ^ 1]) + raw[401:])
            elif damage == "another height's":
                shutil.copy(shelf.list_files()[which - 1][1], path)
            elif damage == "not a file":
                path.mkdir()
        answer = run()
        assert answer.count(bytes(path)) <= 1
        return answer

    done: list[bool] = []
    inline(spoil)
    found = verify_in_segments(history.request(tmp_path, snapshots=shelf.directory))
    require_right(found, history)
    assert BLOCKS // SPACING == found.segments


def test_a_snapshot_of_another_history_is_left_out(
    history: History, shelf: SnapshotShelf, tmp_path: Path, inline: Callable[..., Inline]
) -> None:
    """A snapshot that is right in itself, sealed by the builder, and of a fork."""
    with fast_directory() as root:
        fork = Chain(root)
        fork.work(random.Random(15), SPACING)
        height, path = shelf.list_files()[0]
        path.unlink()
        writing = shelf.directory / "writing"
        info = write_snapshot(fork.ledger.environment, zoo, writing)
        assert height == info.height
        shelf.place(info, writing)
        fork.close()
    inline()
    found = verify_in_segments(history.request(tmp_path, snapshots=shelf.directory))
    require_right(found, history)
    assert BLOCKS // SPACING == found.segments


# --- blocks that are wrong -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("height", [1, SPACING, SPACING + 1, 2 * SPACING - 1, BLOCKS])
def test_a_lie_at_either_end_of_a_segment_is_named(
    history: History, tmp_path: Path, inline: Callable[..., Inline], height: int
) -> None:
    inline()
    blocks = list(history.blocks)
    blocks[height - 1] = lie(blocks[height - 1])
    found = divergence_of(verify_in_segments(history.request(tmp_path, source=history.write("lies", blocks))))
    assert (height, "receiptsRoot") == (found.height, found.field)


def test_the_first_of_several_lies_is_named(history: History, tmp_path: Path, inline: Callable[..., Inline]) -> None:
    """The last segment is the first to know; the verdict waits for those before it."""
    blocks = list(history.blocks)
    for height in (6, 15, 23):
        blocks[height - 1] = lie(blocks[height - 1])

    def spoil(task: SegmentTask, run: Callable[[], bytes]) -> bytes:
        if task.start == SPACING and not asked:  # lost once
            asked.append(task.start)
            raise BrokenExecutor("gone")
        return run()

    asked: list[int] = []
    inline(spoil)
    found = divergence_of(verify_in_segments(history.request(tmp_path, source=history.write("lies", blocks))))
    assert 6 == found.height


# --- executors that lose work ----------------------------------------------------------------------------------------


def test_what_an_executor_loses_is_given_to_the_next(
    history: History, tmp_path: Path, inline: Callable[..., Inline]
) -> None:
    """The first result of each is lost: the store is there, and the next try has nothing left to do."""
    lost: set[int] = set()

    def spoil(task: SegmentTask, run: Callable[[], bytes]) -> bytes:
        result = run()
        if task.start not in lost:
            lost.add(task.start)
            raise BrokenExecutor("a worker died")
        return result

    used = inline(spoil)
    found = verify_in_segments(history.request(tmp_path))
    require_right(found, history)
    assert BLOCKS // SPACING >= found.executors_lost == used.opened - 1 >= 2


def test_a_segment_that_never_gets_further_is_named(
    history: History, tmp_path: Path, inline: Callable[..., Inline]
) -> None:
    def spoil(task: SegmentTask, run: Callable[[], bytes]) -> bytes:
        if task.start != 2 * SPACING:
            return run()
        note_start(Path(task.directory))
        raise BrokenExecutor("killed by the system")

    inline(spoil)
    with pytest.raises(SegmentFailed, match=r"blocks 9 to 12: no result after 3 tries: BrokenExecutor") as failed:
        verify_in_segments(history.request(tmp_path))
    assert 2 * SPACING == failed.value.segment.start.height


def test_workers_that_end_before_they_start_say_nothing_about_their_segment(
    history: History, tmp_path: Path, inline: Callable[..., Inline]
) -> None:
    """One try starts and is lost; then workers are killed again and again while they start, as on a busy machine."""
    lost = 0

    def spoil(task: SegmentTask, run: Callable[[], bytes]) -> bytes:
        nonlocal lost
        if task.start != 2 * SPACING or lost == 10:
            return run()
        lost += 1
        if lost == 1:
            note_start(Path(task.directory))
        raise BrokenExecutor("killed")

    inline(spoil)
    found = verify_in_segments(history.request(tmp_path))
    require_right(found, history)
    assert 10 <= found.executors_lost


def note_start(directory: Path) -> None:
    """What a worker notes once its store is open."""
    directory.mkdir(parents=True, exist_ok=True)
    before = read_progress(directory) or Progress()
    numbers = (before.height, before.next_seq, before.starts + 1)
    (directory / PROGRESS_FILE).write_bytes(b"".join(number.to_bytes(8, "big") for number in numbers))


def test_an_executor_that_never_works_is_given_up(
    history: History, tmp_path: Path, inline: Callable[..., Inline]
) -> None:
    def spoil(_: SegmentTask, __: Callable[[], bytes]) -> bytes:
        raise BrokenExecutor("no workers")

    used = inline(spoil)
    with pytest.raises(SourceUnavailable, match="no workers"):
        verify_in_segments(history.request(tmp_path))
    assert coordinator.MAX_LOSSES == used.opened


def test_a_worker_with_other_code_is_named(history: History, tmp_path: Path, inline: Callable[..., Inline]) -> None:
    def spoil(task: SegmentTask, _: Callable[[], bytes]) -> bytes:
        return run_segment(msgspec.json.encode(msgspec.structs.replace(task, stf_ids=("00" * 32,))))

    inline(spoil)
    with pytest.raises(SegmentFailed, match="has other code"):
        verify_in_segments(history.request(tmp_path))


def test_a_worker_that_lies_is_found_where_workers_are_others(
    history: History, tmp_path: Path, inline: Callable[..., Inline], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answers that the coordinator expects, without any work, or with one field changed. One segment in 32 is
    executed here; here, all.
    """
    monkeypatch.setattr(coordinator, "CHECKED_AGAIN", 1)
    blocks = list(history.blocks)
    blocks[-1] = lie(blocks[-1])
    expected = {block.header.height: compute_block_hash(block.header).hex() for block in blocks}

    def spoil(task: SegmentTask, _: Callable[[], bytes]) -> bytes:
        last = task.last or BLOCKS
        return msgspec.json.encode(SegmentResult("verified", last, expected[last], worker="liar:1"))

    used = inline(spoil)
    used.trusted = False
    with pytest.raises(SegmentFailed, match="worker liar:1 said verified; here it is"):
        verify_in_segments(history.request(tmp_path, source=history.write("lies", blocks)))
    changes: list[dict[str, object]] = [{"state_root": "ab" * 32}, {"next_seq": 1}, {"l1_origin": 1}]
    for number, change in enumerate(changes):

        def change_one(_: SegmentTask, run: Callable[[], bytes], change: dict[str, object] = change) -> bytes:
            return msgspec.json.encode(
                msgspec.structs.replace(msgspec.json.decode(run(), type=SegmentResult), **change)
            )

        inline(change_one).trusted = False
        with pytest.raises(SegmentFailed, match="said verified; here it is verified, in another state"):
            verify_in_segments(history.request(tmp_path / str(number), least_actions=10**9))
    honest = inline()
    honest.trusted = False
    found = verify_in_segments(history.request(tmp_path / "honest"))
    require_right(found, history)
    assert BLOCKS // SPACING + 1 == found.executed_again


def test_stores_of_finished_segments_do_not_pile_up(
    history: History, tmp_path: Path, inline: Callable[..., Inline]
) -> None:
    most = 0

    def spoil(_: SegmentTask, run: Callable[[], bytes]) -> bytes:
        nonlocal most
        result = run()
        most = max(most, len(list(tmp_path.glob("**/data.mdb"))))
        return result

    inline(spoil)
    require_right(verify_in_segments(history.request(tmp_path)), history)
    assert most <= 4


# --- snapshots that a node keeps -------------------------------------------------------------------------------------


def test_a_store_s_snapshots_are_kept(history: History, tmp_path: Path, inline: Callable[..., Inline]) -> None:
    """Those beside a store are found by themselves."""
    store = tmp_path / "data"
    shutil.copytree(history.root / "builder", store, ignore=shutil.ignore_patterns("*.lock", "lock.mdb"))
    shelf = SnapshotShelf(store / "snapshots")
    written = keep_snapshots(zoo, store, shelf, 10)
    assert written is not None
    assert [(20, written)] == shelf.list_files()
    assert None is keep_snapshots(zoo, store, shelf, 10)
    assert None is keep_snapshots(zoo, store, shelf, 100)
    inline()
    found = verify_in_segments(history.request(tmp_path / "work", source=store, snapshots=None))
    require_right(found, history)
    assert (2, True) == (found.segments, found.from_snapshots)
