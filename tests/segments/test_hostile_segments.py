"""What somebody may do to a history in segments: hostile snapshots and workers, runs that are cut off, upgrades."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
from blake3 import blake3

from history import BLOCKS, SPACING, History, divergence_of, lie, report_of, require_right, use_inline
from kernel_fixtures import Chain, fast_directory
from microrollup.chain.block import Block, compute_block_hash
from microrollup.chain.export import BlockFile
from microrollup.codec.canonical import encode_canonical
from microrollup.deployment.segmenting import SegmentRequest, verify_in_segments
from microrollup.errors import CommitFailed
from microrollup.maintenance.snapshot import SnapshotInfo, read_snapshot_head, write_snapshot
from microrollup.maintenance.snapshot.file import MAGIC, SnapshotHead
from microrollup.segments import coordinator, first_pass
from microrollup.segments.coordinator import SegmentFailed
from microrollup.segments.segment import SegmentResult, SegmentTask
from microrollup.segments.shelf import SnapshotShelf
from microrollup.verifier.events import DivergenceEvent
from microrollup.verifier.l1_rules import NotJudgedYet
from microrollup.verifier.source import StoreSource
from paths import ROOT, SUPPORT
from shop import v1, v2, v3
from shop.chain import ShopChain
from waiting import wait_for

# --- snapshots -------------------------------------------------------------------------------------------------------


def forge(path: Path, change: Callable[[SnapshotHead], SnapshotHead]) -> None:
    """Another head in a snapshot that is whole again, under the name that its content has."""
    head, raw = read_snapshot_head(path), path.read_bytes()
    rest = raw[len(MAGIC) + 4 + len(encode_canonical(head)) : -38]
    frame = encode_canonical(change(head))
    made = MAGIC + len(frame).to_bytes(4, "big") + frame + rest
    digest = encode_canonical(blake3(made).digest())
    made += len(digest).to_bytes(4, "big") + digest
    path.unlink()
    (path.parent / f"{path.name[:12]}-{blake3(made).hexdigest()}.snapshot").write_bytes(made)


def change_header(**changes: Any) -> Callable[[SnapshotHead], SnapshotHead]:
    replace = msgspec.structs.replace
    return lambda head: replace(head, header=replace(head.header, **changes), open=replace(head.open, **{
        name: value for name, value in changes.items() if name in head.open.__struct_fields__
    }))  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [
        change_header(stf_id=b"\x07" * 32),
        change_header(l1_origin=1 << 60),
        change_header(state_root=bytes(32)),
        change_header(first_seq=1 << 62),
        lambda head: msgspec.structs.replace(head, genesis=msgspec.structs.replace(head.genesis, builder=bytes(20))),
        lambda head: msgspec.structs.replace(head, leaf_count=1 << 40),
        lambda head: msgspec.structs.replace(head, sizes=()),
        lambda head: msgspec.structs.replace(head, seal=None),
        lambda head: msgspec.structs.replace(head, last_record=1 << 47),
    ],
)
def test_a_forged_snapshot_costs_time_and_nothing_else(
    history: History, shelf: SnapshotShelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Any
) -> None:
    """Of other code, another origin, another rollup; with roots, counts and sizes that are not those of its rows."""
    forge(shelf.list_files()[2][1], change)
    use_inline(monkeypatch)
    require_right(verify_in_segments(history.request(tmp_path / "work", snapshots=shelf.directory)), history)


def test_what_is_no_file_is_not_waited_for(
    history: History, shelf: SnapshotShelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pipe nobody writes to, an endless device, and a link out of the directory, under good names."""
    for digit, (_, path) in enumerate(shelf.list_files()[:3]):
        path.unlink()
        name = shelf.directory / f"{path.name[:12]}-{str(digit) * 64}.snapshot"
        os.mkfifo(name) if digit == 0 else name.symlink_to("/dev/zero" if digit == 1 else tmp_path)
    assert BLOCKS // SPACING - 3 == len(shelf.read_starts(history.chain.ledger.rollup_id))
    use_inline(monkeypatch)
    require_right(verify_in_segments(history.request(tmp_path / "work", snapshots=shelf.directory)), history)


# --- workers ---------------------------------------------------------------------------------------------------------


def answer_verified(height: int, waiting: int | None = None) -> bytes:
    return msgspec.json.encode(SegmentResult("verified", height=height, block_hash="ab" * 32, waiting=waiting))


@pytest.mark.parametrize(
    "answer",
    [
        None,
        "verified",
        7,
        b"",
        b"{}",
        b'{"kind":"right"}',
        b'{"kind":"verified","height":-1}',
        b'{"kind":"verified","block_hash":"../../etc"}',
        b'{"kind":"verified","message":"' + b"x" * coordinator.MAX_RESULT_BYTES + b'"}',
        b'{"kind":"verified","height":8}',
        answer_verified(7),
        answer_verified(9),
        answer_verified(8, waiting=8),
        b'{"kind":"divergence"}',
        b'{"kind":"snapshot","waiting":5}',
    ],
    ids=lambda answer: repr(answer)[:30],
)
def test_an_answer_that_is_no_result_names_its_segment(
    history: History, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: Any
) -> None:
    use_inline(monkeypatch, lambda task, run: answer if task.start == SPACING else run())
    with pytest.raises(SegmentFailed, match=r"blocks 5 to 8: no result after 3 tries: what a worker answered is not"):
        verify_in_segments(history.request(tmp_path))


def test_a_worker_elsewhere_that_accuses_is_not_believed(
    history: History, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it calls wrong is executed here; a block that is wrong stays so."""
    accusation = DivergenceEvent(6, None, "stateRoot", "0x00", "0x01")

    def spoil(task: SegmentTask, run: Callable[[], bytes]) -> bytes:
        if task.start != SPACING:
            return run()
        return msgspec.json.encode(SegmentResult("divergence", divergence=accusation, worker="liar:1"))

    use_inline(monkeypatch, spoil, trusted=False)
    with pytest.raises(SegmentFailed, match="worker liar:1 said divergence; here it is verified"):
        verify_in_segments(history.request(tmp_path))
    blocks = list(history.blocks)
    blocks[5] = lie(blocks[5])
    use_inline(monkeypatch, trusted=False)
    found = verify_in_segments(history.request(tmp_path, source=history.write("lies", blocks)))
    assert (6, 1) == (divergence_of(found).height, found.executed_again)


def test_a_worker_that_breaks_is_an_error_and_not_a_lost_executor(
    history: History, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> None:
        raise ZeroDivisionError("a fault")

    monkeypatch.setattr("microrollup.segments.worker.load_rollup", fail)
    used = use_inline(monkeypatch)
    with pytest.raises(SegmentFailed, match=r"after 3 tries: worker .*: ZeroDivisionError: a fault"):
        verify_in_segments(history.request(tmp_path))
    assert 1 == used.opened


# --- runs that are cut off -------------------------------------------------------------------------------------------


def test_a_killed_coordinator_leaves_no_process_and_the_next_one_goes_on(history: History, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "microrollup", "verify", "zoo:zoo", "--from", str(history.file)]
    command += ["--snapshots", str(history.shelf.directory), "--executor", "processes:2", "--segment-actions", "1"]
    command += ["--data", str(tmp_path)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(SUPPORT)])}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for(lambda: list(tmp_path.glob("*/*/progress")), seconds=60)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    process.kill()
    assert -signal.SIGKILL == process.wait()
    wait_for(lambda: not any(Path(f"/proc/{child}/cmdline").exists() for child in children), seconds=60)
    assert list(tmp_path.glob("*/*/progress"))
    done = subprocess.run([*command, "--json"], env=environment, capture_output=True, check=False)
    assert 0 == done.returncode, done.stderr
    assert f"0x{history.tip.block_hash.hex()}" == json.loads(done.stdout)["blockHash"]
    assert [] == list(tmp_path.iterdir())


def test_what_is_verified_is_not_verified_again(
    history: History, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first run is cut off at the last segment. The same request goes on; one with another source begins anew."""

    def stop(task: SegmentTask, run: Callable[[], bytes]) -> bytes:
        return b"" if task.last is None else run()

    use_inline(monkeypatch, stop)
    with pytest.raises(SegmentFailed):
        verify_in_segments(history.request(tmp_path))
    found = {path.parent.name for path in tmp_path.glob("*/*/result-*")}
    assert found
    verified: list[int] = []

    def note(task: SegmentTask, run: Callable[[], bytes]) -> bytes:
        verified.append(task.start)
        return run()

    use_inline(monkeypatch, note)
    require_right(verify_in_segments(history.request(tmp_path)), history)
    assert len(found) + len(set(verified)) == BLOCKS // SPACING + 1
    assert [] == list(tmp_path.iterdir())
    use_inline(monkeypatch, stop)
    with suppress(SegmentFailed):
        verify_in_segments(history.request(tmp_path))
    blocks = list(history.blocks)
    blocks[1] = lie(blocks[1])
    use_inline(monkeypatch)
    found = verify_in_segments(history.request(tmp_path, source=history.write("lies", blocks)))
    assert 2 == divergence_of(found).height


def test_a_store_that_an_earlier_run_left_beyond_the_end(
    history: History, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same history is cut at other places: what goes further than a segment is begun anew."""

    def cut_off(_: SegmentTask, run: Callable[[], bytes]) -> bytes:
        run()
        return b""

    use_inline(monkeypatch, cut_off)
    with pytest.raises(SegmentFailed):
        verify_in_segments(history.request(tmp_path, least_actions=10**9))
    (work,) = tmp_path.iterdir()
    assert 0o700 == work.stat().st_mode & 0o777
    use_inline(monkeypatch)
    require_right(verify_in_segments(history.request(tmp_path)), history)


@pytest.mark.parametrize("least", [1, 10**9], ids=["many", "one"])
def test_blocks_that_were_taken_back_between_two_runs_accuse_nobody(
    history: History, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, least: int
) -> None:
    """Neither results and stores of the first run nor snapshots are of the blocks that there are now."""
    served, height = list(history.blocks), 2 * SPACING
    monkeypatch.setattr(BlockFile, "read_blocks", lambda _, first=1: iter(served[first - 1 :]))
    use_inline(monkeypatch, lambda task, run: b"" if run() and task.last is None else run())
    request = history.request(tmp_path / "work", least_actions=least)
    with pytest.raises(SegmentFailed):
        verify_in_segments(request)
    with closing(Chain(tmp_path)) as chain:
        rng = random.Random(14)
        chain.work(rng, SPACING)
        chain.work(rng, SPACING)
        chain.work(random.Random(1), BLOCKS)
        served[:] = chain.get_blocks()
    assert history.blocks[height - 1] == served[height - 1]
    assert history.blocks[height].header != served[height].header
    use_inline(monkeypatch)
    report = report_of(verify_in_segments(request))
    assert report.block_hash == f"0x{compute_block_hash(served[-1].header).hex()}"


def test_a_source_that_grows_accuses_nobody(history: History, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is executed again ends where the worker's answer does."""
    served = history.blocks[:-2]
    monkeypatch.setattr(BlockFile, "read_blocks", lambda _, first=1: iter(served[first - 1 :]))
    monkeypatch.setattr(coordinator, "CHECKED_AGAIN", 1)

    def grow(_: SegmentTask, run: Callable[[], bytes]) -> bytes:
        result = run()
        served[:] = history.blocks
        return result

    use_inline(monkeypatch, grow, trusted=False)
    found = verify_in_segments(history.request(tmp_path, least_actions=10**9))
    assert (BLOCKS - 2, 1) == (report_of(found).verified, found.executed_again)


@pytest.mark.parametrize("results", [True, False], ids=["results", "progress"])
def test_what_lies_in_the_directory_is_not_believed(
    history: History, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, results: bool
) -> None:
    """Results and notes of progress that nobody wrote: the verdict is right all the same."""
    answers = [SegmentResult(kind) for kind in ("snapshot", "divergence", "code", "busy", "error", "verified")]
    odd = [b"", b"\xff" * 24, bytes(1 << 20), *map(msgspec.json.encode, answers), answer_verified(4)]
    left = iter(odd * 2)

    def spoil(task: SegmentTask, run: Callable[[], bytes]) -> bytes:
        directory = Path(task.directory)
        directory.mkdir(parents=True, exist_ok=True)
        for name in (f"result-{task.last}",) if results else ("progress",):
            if not (directory / name).exists():
                (directory / name).write_bytes(next(left))
        return b"" if results else run()

    use_inline(monkeypatch, spoil)
    if results:
        with pytest.raises(SegmentFailed):
            verify_in_segments(history.request(tmp_path))
        assert list(tmp_path.glob("*/*/result-*"))
        use_inline(monkeypatch)
    told: list[tuple[int, int]] = []
    require_right(verify_in_segments(history.request(tmp_path), lambda *done: told.append(done)), history)
    assert max(told) == (history.tip.height, history.tip.height)


def test_a_first_pass_that_was_cut_off_goes_on(
    history: History, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a full disk while it drops its third snapshot: the segments so far are good ones, and the verdict is right.
    The next run finds them, and executes what was left.
    """
    dropped: list[int] = []

    def write(*arguments: Any) -> SnapshotInfo:
        if len(dropped) == 2:
            raise CommitFailed("no space left on device")
        dropped.append(arguments[3])
        return write_snapshot(*arguments)

    def stop(task: SegmentTask, run: Callable[[], bytes]) -> bytes:
        return b"" if task.last is None else run()

    request = history.request(tmp_path, snapshots=None, least_actions=20)
    monkeypatch.setattr(first_pass, "write_snapshot", write)
    use_inline(monkeypatch, stop)
    with pytest.raises(SegmentFailed, match="to the last"):
        verify_in_segments(request)
    assert 2 == len(dropped)
    read: list[int] = []

    def look(blocks: Iterable[Block], _: object) -> Iterator[Block]:
        for block in blocks:
            read.append(block.header.height)
            yield block

    monkeypatch.setattr(first_pass, "write_snapshot", write_snapshot)
    monkeypatch.setattr(first_pass, "read_judgeable", look)
    use_inline(monkeypatch)
    found = verify_in_segments(request)
    require_right(found, history)
    assert found.segments > 3
    assert read[0] > dropped[1]


def test_a_full_disk_in_the_first_pass_is_no_verdict(
    history: History, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(*_: object) -> SnapshotInfo:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(first_pass, "write_snapshot", write)
    use_inline(monkeypatch)
    found = verify_in_segments(history.request(tmp_path, snapshots=None, least_actions=20))
    require_right(found, history)
    assert 1 == found.segments


def test_blocks_that_are_not_judged_yet_end_the_verdict(
    history: History, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Snapshots may lie beyond what a view of L1 judges."""

    def look(blocks: Iterable[Block], _: object) -> Iterator[Block]:
        for block in blocks:
            if block.header.height >= 14:
                raise NotJudgedYet(block.header.height, 2, 1)
            yield block

    monkeypatch.setattr("microrollup.segments.worker.read_judgeable", look)
    use_inline(monkeypatch, trusted=False)
    report = report_of(verify_in_segments(history.request(tmp_path)))
    assert (13, 14) == (report.verified, report.waiting)
    assert f"0x{compute_block_hash(history.blocks[12].header).hex()}" == report.block_hash


# --- where starts come from ------------------------------------------------------------------------------------------


def test_a_store_gives_the_states_that_it_still_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what lies before them is executed in a first pass; what is made lies in the directory that was named."""
    executed: list[int] = []

    def look(blocks: Iterable[Block], _: object) -> Iterator[Block]:
        for block in blocks:
            executed.append(block.header.height)
            yield block

    monkeypatch.setattr(first_pass, "read_judgeable", look)
    with fast_directory() as root:
        with closing(History(root)) as history:
            pass
        made = SnapshotShelf(tmp_path / "made")
        request = history.request(
            tmp_path / "work", source=root / "builder", snapshots=made.directory, least_actions=20
        )
        for lowest in (0, 15):
            shutil.rmtree(made.directory, ignore_errors=True)
            if lowest:
                monkeypatch.setattr(StoreSource, "read_lowest", lambda _: 15)
            found = verify_in_segments(request)  # by processes: this one has the store open meanwhile
            require_right(found, history)
            assert (False, len(made.list_files()) + 1) == (found.from_snapshots, found.segments)
            assert [*range(1, lowest + 1)] == executed
            heights = [height for height, _ in made.list_files()]
            assert heights[0] < 15 < heights[-1]
        use_inline(monkeypatch)
        again = verify_in_segments(request)
        require_right(again, history)
        assert again.from_snapshots


def test_segments_begin_and_end_at_upgrades(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A snapshot after each block: before an upgrade, of the upgrade block itself, and after it. A worker holds all
    versions, so a segment may also cross an upgrade.
    """
    with fast_directory() as root:
        chain = ShopChain(root)
        shelf = SnapshotShelf(root / "shelf")
        shelf.directory.mkdir()

        def build() -> None:
            chain.build()
            path = shelf.directory / "writing"
            shelf.place(write_snapshot(chain.ledger.environment, chain.app, path), path)

        for app, action in ((v1.app, v1.Deposit(1)), (v2.app, v2.Deposit(2)), (v3.app, v3.See())):
            if app is not v1.app:
                chain.announce(app)
                build()
            for _ in range(2):
                chain.do(action)
                build()
            assert app.stf_id == chain.ledger.header.stf_id
        tip = chain.ledger.checkpoint
        chain.close()
        use_inline(monkeypatch)
        request = SegmentRequest("shop.v3", root / "builder", "processes", tmp_path, shelf.directory, least_actions=1)
        found = verify_in_segments(request)
        assert (tip.height, f"0x{tip.block_hash.hex()}") == (report_of(found).verified, report_of(found).block_hash)
        for _, path in shelf.list_files()[1:-1]:
            path.unlink()
        crossing = report_of(verify_in_segments(request))
        assert f"0x{tip.block_hash.hex()}" == crossing.block_hash
