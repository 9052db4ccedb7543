"""Indexes of an app with versions: they begin with the block from which on their version is in force."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import trial_subs as v1
import trial_subs_v2 as v2
import trial_subs_v3 as v3
from kernel_fixtures import fast_directory, make_key
from microrollup.crypto.ecdsa import compute_address
from microrollup.declaration.query import load_reads
from microrollup.ledger.code import OtherCode
from microrollup.ledger.indexes.builder import IndexBuilder
from microrollup.ledger.indexes.replay import REPLAY_DIRECTORY
from microrollup.ledger.indexes.status import IndexStatus
from microrollup.ledger.indexes.viewing import IndexReader
from microrollup.ledger.viewing import make_view
from microrollup.sequencer.sequencer import Sequenced
from microrollup.store.environment import Environment
from microrollup.store.retention import Retention
from microrollup.testing.execution import Senders, at, execute, upgrade
from microrollup.testing.querying import query
from shop.chain import ShopChain
from trial_subs_v2_reads import by_payer, income, paid, plans_of

READS = load_reads(v2.app)
assert READS is not None
ALICE, BOB = compute_address(make_key("alice")), compute_address(make_key("bob"))
EVERY = 10


@pytest.fixture
def chain() -> Iterator[ShopChain]:
    """Two plans under the first version, then the second one is announced and in force at height 3."""
    with fast_directory() as directory:
        made = ShopChain(directory, v2.app)
        for action, name in (
            (v1.Fund(10**9), "alice"),
            (v1.Subscribe(BOB, 3, EVERY), "alice"),
            (v1.Subscribe(ALICE, 4, EVERY), "bob"),
        ):
            assert isinstance(made.do(action, name), Sequenced)
            made.build()
        made.announce(v2.app)
        made.build()
        yield made
        made.close()


def finish(directory: Path) -> dict[str, IndexStatus]:
    """Fill all indexes, as a process of its own does."""
    assert READS is not None
    builder = IndexBuilder(v2.app, READS, directory)
    try:
        for _ in range(500):
            statuses = builder.advance(0.02)
            if not any(status.is_building for status in statuses):
                return {status.name: status for status in statuses}
    finally:
        builder.close()
    raise AssertionError(statuses)


def test_begins_with_the_version(chain: ShopChain) -> None:
    """The migrated state is new to it; heights before are of other code. It goes on from there."""
    directory = chain.root / "builder"
    begins = chain.ledger.checkpoint.height
    assert v2.app.stf_id == chain.ledger.get_header(begins).stf_id != chain.ledger.get_header(begins - 1).stf_id
    for _ in range(3):
        chain.do(v2.Subscribe(BOB, 1, EVERY), "alice")
        chain.build()
    tip = chain.ledger.checkpoint.height
    chain.ledger.sync_tree()
    chain.sequencer.close()
    chain.ledger.close()
    statuses = finish(directory)
    assert {(begins, tip)} == {(status.lowest, status.reached) for status in statuses.values()}
    assert READS is not None
    reader = IndexReader(directory, READS.indexes)
    with (
        Environment(directory, read_only=True) as environment,
        environment.snapshot() as txn,
        reader.session() as find_index,
    ):
        first = make_view(v2.app, txn, environment, begins, find_index=find_index)
        assert {(ALICE, 1): 0, (BOB, 2): 0} == dict(first.index(by_payer).items())
        newest = make_view(v2.app, txn, environment, find_index=find_index)
        assert [1, 3, 4, 5] == [number for _, number in newest.index(by_payer).keys(prefix=(ALICE,))]
        assert [] == list(newest.index(paid).items())
        with pytest.raises(OtherCode):
            make_view(v2.app, txn, environment, begins - 1, find_index=find_index)
    reader.close()
    chain.reopen()


def test_executed_again_over_the_upgrade(chain: ShopChain) -> None:
    """Where the upgrade's state is kept no more, blocks are executed again, each by its own code."""
    for _ in range(30):
        chain.ledger.retention = Retention(blocks=2, unsettled_blocks=2)
        chain.do(v2.Subscribe(BOB, 1, EVERY), "alice")
        chain.build()
        chain.ledger.sync_tree()
    tip = chain.ledger.checkpoint.height
    directory = chain.root / "builder"
    chain.sequencer.close()
    chain.ledger.close()
    statuses = finish(directory)
    assert {tip} == {status.reached for status in statuses.values()}
    assert 32 == statuses["by_payer"].rows
    assert not (directory / REPLAY_DIRECTORY).exists()
    chain.reopen()


def test_before_the_version_is_in_force() -> None:
    """There is nothing to fill, and nothing fails."""
    with fast_directory() as directory:
        chain = ShopChain(directory, v2.app)
        chain.do(v1.Fund(5))
        chain.build()
        chain.sequencer.close()
        chain.ledger.close()
        assert READS is not None
        builder = IndexBuilder(v2.app, READS, directory / "builder")
        for _ in range(2):
            assert [-1, -1] == [status.reached for status in builder.advance()]
        builder.close()
        chain.reopen()
        chain.close()


def test_stops_where_its_version_ends() -> None:
    """A process that began under the version before leaves the blocks of the next one alone."""
    with fast_directory() as directory:
        chain = ShopChain(directory, v3.app)
        chain.do(v1.Subscribe(BOB, 3, EVERY), "alice")
        chain.build()
        chain.announce(v2.app)
        chain.build()
        chain.ledger.sync_tree()
        chain.sequencer.close()
        chain.ledger.close()
        last = chain.ledger.checkpoint.height
        assert {last} == {status.reached for status in finish(directory / "builder").values()}
        chain.reopen()
        chain.announce(v3.app)
        chain.build()
        chain.do(v3.Fund(1))
        chain.build()
        chain.sequencer.close()
        chain.ledger.close()
        assert READS is not None
        builder = IndexBuilder(v2.app, READS, directory / "builder")
        for _ in range(2):
            assert {(last, "")} == {(status.reached, status.failure) for status in builder.advance()}
        builder.close()
        chain.reopen()
        assert v3.app.stf_id == chain.ledger.header.stf_id
        chain.close()


def test_in_a_run() -> None:
    """`query` fills indexes from the upgrade on, as a node does."""
    alice, bob = Senders(2)
    steps = [
        (v1.app.genesis.oracle, v1.SetPrice(2)), (alice, v1.Fund(100)), (alice, v1.Subscribe(bob, 3, EVERY)),
        at(EVERY), (bob, v1.Tick()), upgrade(v2.app), (bob, v2.Subscribe(alice, 1, EVERY)), at(2 * EVERY),
        (bob, v2.Pay(1)), (bob, v2.Pay(1)),
    ]  # fmt: skip
    run = execute(v1.app, steps)
    assert ["executed", "rejected"] == [outcome.status for outcome in run.outcomes[-2:]]
    assert [(1, 1)] == query(v2.app, plans_of, run, alice)
    assert [(2, 0)] == query(v2.app, plans_of, run, bob)
    assert 6 == query(v2.app, income, run, 1)
