"""A first pass notes who sent what, and workers of the same machine take it where it is about the very block."""

from __future__ import annotations

import shutil
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from history import History, divergence_of, lie, require_right, use_inline
from microrollup.chain.block import Block
from microrollup.deployment.segmenting import verify_in_segments
from microrollup.execution.authentication import Authenticated, Authentication
from microrollup.execution.authentication_pool import AuthenticationPool
from microrollup.segments import first_pass, senders
from microrollup.segments.segment import SegmentTask
from microrollup.segments.senders import SenderNotes, SenderWriter, authenticate_noted
from microrollup.verifier.follow import authenticate_blocks

LIMIT = 60.0
KEY = b"k" * 32

Outcomes = list[tuple[Block, list[Authentication]]]


@pytest.fixture
def pool(history: History) -> Iterator[AuthenticationPool]:
    with AuthenticationPool("zoo:zoo", history.chain.genesis.domain, 0) as made:
        yield made


@pytest.fixture
def authenticated(history: History, pool: AuthenticationPool) -> Outcomes:
    return list(authenticate_blocks(history.blocks, pool, LIMIT))


def write(directory: Path, authenticated: Outcomes) -> Path:
    writer = SenderWriter(directory, KEY)
    for block, outcomes in authenticated:
        writer.note(0, block.header, outcomes)
    writer.close()
    return directory / "0"


def count_noted(path: Path, blocks: Iterable[Block], pool: AuthenticationPool, expected: Outcomes) -> int:
    """How many blocks are found, whose outcomes must be those of authenticating them."""
    notes = SenderNotes(path, KEY)
    assert expected == list(authenticate_noted(notes, blocks, pool, LIMIT))
    notes.close()
    notes = SenderNotes(path, KEY)
    found = [notes.find(block, 0) is not None for block in blocks]
    notes.close()
    return sum(found)


def test_what_is_noted_is_what_authenticating_gives(
    history: History, pool: AuthenticationPool, authenticated: Outcomes, tmp_path: Path
) -> None:
    path = write(tmp_path, authenticated)
    plain = sum(all(isinstance(each, Authenticated) for each in outcomes) for _, outcomes in authenticated)
    assert plain == count_noted(path, history.blocks, pool, authenticated) > 12
    later = count_noted(path, history.blocks[10:], pool, authenticated[10:])
    assert 0 < later < plain


@pytest.mark.parametrize("damage", ["cut", "flipped", "length", "empty"])
def test_notes_that_are_damaged_end_there(
    history: History, pool: AuthenticationPool, authenticated: Outcomes, tmp_path: Path, damage: str
) -> None:
    path = write(tmp_path, authenticated)
    whole, raw = count_noted(path, history.blocks, pool, authenticated), bytearray(path.read_bytes())
    if damage == "length":
        raw[0] = 0xFF
    elif damage == "flipped":
        raw[len(raw) // 2] ^= 1
    path.write_bytes({"cut": raw[: len(raw) // 2], "empty": b""}.get(damage, raw))
    assert count_noted(path, history.blocks, pool, authenticated) < whole


def test_a_length_is_no_reason_to_take_memory(tmp_path: Path) -> None:
    (tmp_path / "0").write_bytes(b"\xff" * 4 + bytes(32) + b"a body")
    tracemalloc.start()
    try:
        SenderNotes(tmp_path / "0", KEY).close()
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_notes_of_another_block_are_not_taken(
    history: History, pool: AuthenticationPool, authenticated: Outcomes, tmp_path: Path
) -> None:
    """Another header or other records at the height, another version of the app, and notes by who lacks the key."""
    path = write(tmp_path, authenticated)
    block = next(block for block in history.blocks if len(block.records) > 2)
    stranger = SenderNotes(path, b"s" * 32)
    assert stranger.find(block, 0) is None
    stranger.close()
    notes = SenderNotes(path, KEY)
    assert notes.find(lie(block), 0) is None
    assert notes.find(msgspec.structs.replace(block, records=block.records[:-1]), 0) is None
    assert notes.find(block, 1) is None
    assert notes.find(block, 0) is not None
    notes.close()


def test_a_disk_that_refuses_ends_the_notes(authenticated: Outcomes, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    writer = SenderWriter(tmp_path / "file", KEY)
    for block, outcomes in authenticated:
        writer.note(0, block.header, outcomes)
    writer.close()


# --- in a first pass -------------------------------------------------------------------------------------------------


def verify_after_pass(
    history: History,
    work: Path,
    monkeypatch: pytest.MonkeyPatch,
    spoil: Callable[[SegmentTask, Callable[[], bytes]], Any] = lambda _, run: run(),
    **changes: Any,
) -> tuple[Any, list[int]]:
    """The verdict after a first pass with short segments, and the heights whose signatures workers checked."""
    checked: list[int] = []

    def look(blocks: Iterable[Block], *arguments: Any) -> Iterator[tuple[Block, list[Authentication]]]:
        for block, outcomes in authenticate_blocks(blocks, *arguments):
            checked.append(block.header.height)
            yield block, outcomes

    monkeypatch.setattr(first_pass, "_MIN_ACTIONS", 20)
    monkeypatch.setattr(senders, "authenticate_blocks", look)
    use_inline(monkeypatch, spoil).workers = 2
    request = history.request(work, snapshots=None, least_actions=None, **changes)
    return verify_in_segments(request), checked


def test_signatures_are_checked_once_and_most_segments_need_no_snapshot(
    history: History, authenticated: Outcomes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks: list[SegmentTask] = []

    def look(task: SegmentTask, run: Callable[[], bytes]) -> bytes:
        tasks.append(task)
        return run()

    found, checked = verify_after_pass(history, tmp_path, monkeypatch, look)
    require_right(found, history)
    plain = {
        block.header.height
        for block, outcomes in authenticated
        if all(isinstance(each, Authenticated) for each in outcomes)
    }
    assert plain.isdisjoint(checked)
    assert found.segments == len(tasks) > 4
    assert any(task.start > 0 and task.snapshot is None for task in tasks)


@pytest.mark.parametrize("height", [2, 9, 24])
def test_a_lie_after_a_first_pass_is_named(
    history: History, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, height: int
) -> None:
    blocks = list(history.blocks)
    blocks[height - 1] = lie(blocks[height - 1])
    source = history.write("lies", blocks)
    found, checked = verify_after_pass(history, tmp_path, monkeypatch, source=source)
    assert height == divergence_of(found).height
    assert height in checked


def test_a_store_that_is_lost_where_no_snapshot_is_has_the_segment_before_done_again(
    history: History, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost: list[int] = []

    def lose(task: SegmentTask, run: Callable[[], bytes]) -> bytes:
        if task.snapshot is None and task.start > 0 and not lost:
            lost.append(task.start)
            for store in tmp_path.glob("*/*-*/store"):
                shutil.rmtree(store)
        return run()

    found, _ = verify_after_pass(history, tmp_path, monkeypatch, lose)
    require_right(found, history)
    assert lost
