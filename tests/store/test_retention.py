"""How far back is kept: the last blocks, what settled lately, what has not settled; pruned a little at a time."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from microrollup.store.environment import Environment, encode_number
from microrollup.store.retention import UNDO_TABLES, Retention, get_lowest_height, prune, put_settled


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[Environment]:
    with Environment(tmp_path, create=True, map_size=1 << 24) as made:
        yield made


def settle(environment: Environment, *settled: tuple[int, int]) -> None:
    with environment.write() as txn:
        for height, time in settled:
            put_settled(txn, environment.tables, height, time)


def compute(environment: Environment, retention: Retention, height: int, time: int) -> int:
    with environment.write() as txn:
        return retention.compute_floor(txn, environment.tables, height, time)


def list_settled(environment: Environment) -> list[int]:
    return [int.from_bytes(key, "big") for key, _ in environment.cursor("settled")]


def test_unsettled_heights_are_kept(environment: Environment) -> None:
    """While nothing settles everything is kept, up to a bound; a rebuild may need it."""
    retention = Retention(blocks=10, unsettled_blocks=100)
    assert compute(environment, retention, 50, 0) <= 0
    assert 400 == compute(environment, retention, 500, 0)
    settle(environment, (480, 0))
    assert 480 == compute(environment, retention, 500, 0)
    assert 490 == compute(environment, Retention(blocks=10, settled_seconds=0), 500, 10) + 10


def test_the_last_blocks_are_kept(environment: Environment) -> None:
    """The last blocks are kept however much has settled."""
    settle(environment, (500, 0))
    assert 490 == compute(environment, Retention(blocks=10, settled_seconds=5), 500, 100)


def test_what_settled_lately_is_kept(environment: Environment) -> None:
    """Heights that settled within the time are kept; older ones are struck, all but the newest."""
    retention = Retention(blocks=1, settled_seconds=100)
    settle(environment, (10, 1_000), (20, 1_050), (30, 1_100))
    assert 10 == compute(environment, retention, 40, 1_100)
    assert 20 == compute(environment, retention, 40, 1_101)
    assert [20, 30] == list_settled(environment)
    assert 30 == compute(environment, retention, 40, 1_151)
    assert 30 == compute(environment, retention, 40, 9_999)
    assert [30] == list_settled(environment)


def test_a_little_at_a_time(environment: Environment) -> None:
    """However much is too old, one block's end strikes and drops only a few heights."""
    settle(environment, *[(height, 0) for height in range(1, 200)])
    retention = Retention(blocks=1, settled_seconds=1)
    compute(environment, retention, 300, 10_000)
    assert 195 == len(list_settled(environment))
    for table in UNDO_TABLES:
        with environment.write() as txn:
            for height in range(1, 100):
                txn.put(encode_number(height), b"", db=environment.tables[table])
    lowest = []
    for _ in range(40):
        with environment.write() as txn:
            prune(txn, environment.tables, 90)
        lowest.append(get_lowest_height(environment.reader, environment.tables, 100))
    assert all(0 <= after - before <= 4 for before, after in itertools.pairwise(lowest))
    assert 90 == lowest[-1]
    assert {9} == {environment.count(table) for table in UNDO_TABLES}


def test_nothing_is_kept(environment: Environment) -> None:
    """Without any undo only the tip can be read."""
    assert 7 == get_lowest_height(environment.reader, environment.tables, 7)
    with environment.write() as txn:
        prune(txn, environment.tables, 10**6)


def test_never_below_what_must_be_kept(environment: Environment) -> None:
    """On random histories the floor never lies above any height that the rule keeps."""
    rng = Random(1)
    retention = Retention(blocks=5, unsettled_blocks=20, settled_seconds=30)
    settled: dict[int, int] = {}
    time = 100
    for height in range(1, 200):
        time += rng.randrange(5)
        newest = max(settled, default=0)
        if rng.random() < 0.3 and newest < height - 1:
            chosen = rng.randrange(newest + 1, height)
            settled[chosen] = time
            settle(environment, (chosen, time))
        floor = compute(environment, retention, height, time)
        assert floor <= height - 5
        assert floor <= max(max(settled, default=0), height - 20)
        for kept, at in settled.items():
            assert floor <= kept or at + 30 < time
