"""`testing.querying.query`: an app's queries without a node, as a node would answer them."""

from __future__ import annotations

import pytest

import hostile_reads
from hostile_rollup import app as hostile
from microrollup.errors import UsageError, ValueOutOfBounds
from microrollup.execution.querying import QueryFault
from microrollup.testing.execution import Senders, at, execute, next_block
from microrollup.testing.querying import query
from shelf import Place, Remove
from shelf import app as shelf
from shelf_indexes import FATAL
from shelf_reads import best, count_ranked, height, no_index, placed_by, ranked
from trial_subs import Cancel, Fund, SetPrice, Subscribe, Tick, app
from trial_subs_reads import Account, account, overdue, plans_of

ALICE, BOB = Senders(2)


def test_queries_of_the_subscriptions() -> None:
    """Plans by payer in pages, what is overdue, and how long an account lasts."""
    oracle = app.genesis.oracle
    steps = [
        (oracle, SetPrice(10)),
        (ALICE, Fund(100_000)),
        *[(ALICE, Subscribe(BOB, cents, 100 * cents)) for cents in range(1, 8)],
        (BOB, Subscribe(ALICE, 5, 50)),
        (ALICE, Cancel(3)),
        at(250),
    ]
    run = execute(app, steps)
    assert [1, 2, 4, 5, 6, 7] == [each.number for each in query(app, plans_of, run, ALICE)]
    assert [4, 5] == [each.number for each in query(app, plans_of, run, ALICE, after=2, limit=2)]
    assert [8] == [each.number for each in query(app, plans_of, run, BOB)]
    assert [] == query(app, plans_of, run, bytes(20))
    assert [(8, 200), (1, 150), (2, 50)] == query(app, overdue, run)
    assert [(8, 200)] == query(app, overdue, run, limit=1)
    assert Account(100_000, 6, 6 * 864, 250 + 100_000 * 86_400 // (6 * 864 * 10)) == query(app, account, run, ALICE)
    paid = execute(app, [*steps, (BOB, Tick())])
    assert [(1, 50)] == query(app, overdue, paid)
    with pytest.raises(QueryFault, match="no such payer") as fault:
        query(app, account, run, bytes(20))
    assert "rejected" == fault.value.code


def test_faults_and_mistakes() -> None:
    """A query that takes too long or answers with another type fails as at a node; arguments are checked first."""
    run = execute(hostile, [])
    for function, code in (
        (hostile_reads.loops, "steps"),
        (hostile_reads.raises, "raised"),
        (hostile_reads.returns_text, "mistyped"),
        (hostile_reads.returns_more, "size"),
    ):
        with pytest.raises(QueryFault) as fault:
            query(hostile, function, run)
        assert code == fault.value.code
    with pytest.raises(ValueOutOfBounds):
        query(hostile, hostile_reads.entries, run, -1)
    with pytest.raises(UsageError):
        query(app, hostile_reads.total, run)


def test_indexes() -> None:
    """Queries over indexes see what the run's blocks have made of them, by pages and by ranges."""
    steps = [
        *[(ALICE, Place(number, 3)) for number in (5, 1, 9, 7)], next_block(), (BOB, Place(2, 8)), (BOB, Remove(9)),
        (ALICE, Place(1, 3)), next_block(), (BOB, Place(1_000, 1)), (BOB, Remove(77)),
    ]  # fmt: skip
    run = execute(shelf, steps)
    assert [(8, 2), (7, 1_004), (7, 1_003)] == query(shelf, best, run, 3)
    assert ([1, 5], 5) == query(shelf, ranked, run, 3, limit=2)
    assert ([7], None) == query(shelf, ranked, run, 3, after=5, limit=2)
    assert ([], None) == query(shelf, ranked, run, 4)
    assert [3, 3, 3, 3, 3] == query(shelf, placed_by, run, ALICE)
    assert [8, 1] == query(shelf, placed_by, run, BOB)
    assert (5, False, 4) == query(shelf, count_ranked, run, 3)
    assert (1, True, 4) == query(shelf, count_ranked, run, 1)
    with pytest.raises(QueryFault) as raised:
        query(shelf, no_index, run)
    assert "raised" == raised.value.code
    failed = execute(shelf, [(ALICE, Place(1, FATAL))])
    assert 1 == query(shelf, height, failed)
    assert [(FATAL, 1)] == query(shelf, best, failed, 1)
    with pytest.raises(QueryFault, match="block 1: it raised ValueError: a fatal rank") as raised:
        query(shelf, count_ranked, failed, 1)
    assert "index_failed" == raised.value.code
