"""Which segment is given out next: workers go on where they are, and take over halves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from history import BLOCKS, SPACING, History, require_right, use_inline
from microrollup.deployment.segmenting import verify_in_segments
from microrollup.segments.schedule import Turn, choose_next
from microrollup.segments.segment import SegmentTask
from microrollup.segments.worker import name_segment


def make_turns(sizes: list[int], states: str) -> list[Turn]:
    """`states`: `.` waiting, `w` in work, `d` done, `b` waiting with what an earlier try left, `x` waiting
    without a snapshot.
    """
    turns = []
    for place, (size, state) in enumerate(zip(sizes, states, strict=True)):
        at_hand = state == "b" or (place > 0 and states[place - 1] == "d")
        turns.append(Turn(size, state in ".bx", at_hand, state != "x"))
    return turns


@pytest.mark.parametrize(
    ("states", "free", "expected"),
    [
        ("..........", 2, 0),
        ("w.........", 1, 5),
        ("w.........", 2, 4),
        ("w...w.....", 1, 7),
        ("wd...w....", 1, 2),
        ("w....wb...", 1, 6),
        ("ddddwddw..", 1, 9),
        ("ddddwdddw.", 1, 9),
        ("ddddwddddw", 1, None),
        ("dddddddddd", 2, None),
        ("wxxxxxxxxx", 1, None),
        ("dxxxxxxxxx", 2, 1),
        ("wxx.xxxxxx", 1, 3),
        ("wxxxxxx.xx", 1, 7),
        ("wxx.xxx.xx", 1, 7),
        ("wxxxx.w.xx", 1, 5),
    ],
)
def test_who_is_free_goes_on_or_takes_over_a_half(states: str, free: int, expected: int | None) -> None:
    assert expected == choose_next(make_turns([10] * 10, states), free)


def test_halves_are_of_actions() -> None:
    assert 5 == choose_next(make_turns([10, 10, 10, 10, 10, 50], "w....."), 1)
    assert 1 == choose_next(make_turns([50, 10, 10, 10, 10, 10], "w....."), 1)


@pytest.mark.parametrize("workers", [1, 2, 3, 8, 40])
def test_each_segment_is_given_out_once_and_few_snapshots_are_restored(workers: int) -> None:
    """Segments of equal length, each worker as quick as the others."""
    count, restored = 32, 0
    states = ["."] * count
    for _ in range(count):
        while (free := workers - states.count("w")) > 0:
            turns = make_turns([10] * count, "".join(states))
            place = choose_next(turns, free)
            if place is None:
                break
            assert states[place] == "."
            restored += place > 0 and not turns[place].is_at_hand
            states[place] = "w"
        states = ["d" if state == "w" else state for state in states]
    assert ["d"] * count == states
    assert restored <= min(count, 2 * workers) - 1


def test_workers_go_on_with_the_store_of_the_segment_before(
    history: History, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two workers restore three snapshots at most, where six segments follow each other."""
    restored: list[int] = []

    def look(task: SegmentTask, run: Callable[[], bytes]) -> bytes:
        if task.start and not list(tmp_path.glob(f"*/{name_segment(task.start, task.start_hash)}.from")):
            restored.append(task.start)
        return run()

    use_inline(monkeypatch, look).workers = 2
    found = verify_in_segments(history.request(tmp_path))
    require_right(found, history)
    assert BLOCKS // SPACING + 1 == found.segments > 4
    assert 1 <= len(restored) <= 3
