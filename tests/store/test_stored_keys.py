"""Settled entries that are not found: the tree shows that they are absent, or that something was lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import lmdb
import pytest

from kernel_fixtures import Chain
from microrollup.crypto.merkle.indexed import compute_tree_key
from microrollup.declaration.map import ABSENT, StoreFault
from microrollup.errors import StoreCorrupt
from microrollup.store.environment import Environment
from microrollup.store.rows import StoredRows
from microrollup.store.stored_keys import StoredKeys, encode_leaf_index
from zoo import zoo

FIELD = zoo.state_type.get_field("tickets")


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[Chain]:
    made = Chain(tmp_path)
    made.edit(*[("set_ticket", key, key) for key in range(40)])
    made.close_block()
    made.edit(("delete_ticket", 7, 0))
    made.close_block()
    made.ledger.flushing.flush()
    yield made
    made.close()


def make_rows(chain: Chain) -> StoredRows:
    keys = StoredKeys(chain.ledger.environment)
    keys.bind(chain.ledger.tree)
    return StoredRows(chain.ledger.environment, FIELD, 39, keys)


def change(environment: Environment, table: str, act: Callable[[lmdb.Transaction, lmdb._Database], object]) -> None:
    with environment.write() as txn:
        act(txn, environment.tables[table])


def test_absent_or_deleted(chain: Chain) -> None:
    """A key that was never set, and one that was deleted, have no value."""
    rows = make_rows(chain)
    assert [ABSENT] * 61 == [rows.load(key) for key in (7, *range(40, 100))]
    assert 8 == rows.load(8)


def test_a_lost_row_is_not_absent(chain: Chain) -> None:
    """A page that ends too early hides rows from every look-up of the table; the tree still has their leaves."""
    row_key = FIELD.row_prefix + FIELD.encode_key(8)
    change(chain.ledger.environment, "state", lambda txn, table: txn.delete(row_key, db=table))
    with pytest.raises(StoreFault, match="its state row is lost"):
        make_rows(chain).load(8)
    assert ABSENT is make_rows(chain).load(7)


def test_a_lost_key_is_not_absent(chain: Chain) -> None:
    """Row and tree key are lost: the leaf below does not lead to the key above."""
    encoded = FIELD.encode_key(8)
    tree_key = compute_tree_key(FIELD.number, encoded)
    environment = chain.ledger.environment
    change(environment, "state", lambda txn, table: txn.delete(FIELD.row_prefix + encoded, db=table))
    change(environment, "tree", lambda txn, table: txn.delete(tree_key, db=table))
    with pytest.raises(StoreFault, match="not between two keys that are neighbours"):
        make_rows(chain).load(8)


def test_a_damaged_index_shows_no_absence(chain: Chain) -> None:
    """Wherever a damaged leaf index leads, beyond the leaves too, the leaf there is not the one below the key."""
    rng, environment = Random(1), chain.ledger.environment
    keys = StoredKeys(environment)
    keys.bind(chain.ledger.tree)
    absent = rng.randbytes(32)
    below, leaf_index, _ = keys.low_neighbour(absent)
    assert below is not None
    keys.check_absent(absent)
    for bit in range(32):
        damaged = encode_leaf_index(leaf_index ^ 1 << bit)
        change(environment, "tree", lambda txn, table, damaged=damaged: txn.put(below, damaged, db=table))
        with pytest.raises(StoreCorrupt):
            keys.check_absent(absent)


def test_a_damaged_leaf_shows_no_absence(chain: Chain) -> None:
    """Each bit of flags, key and next key of the leaf below counts; its value does not."""
    keys, tree, absent = StoredKeys(chain.ledger.environment), chain.ledger.tree, Random(2).randbytes(32)
    keys.bind(tree)
    _, leaf_index, _ = keys.low_neighbour(absent)
    leaf = tree.leaf_rows[leaf_index]
    for bit in range(8 * 99):
        leaf[bit // 8] ^= 1 << bit % 8
        if bit < 8 * 67:
            with pytest.raises(StoreCorrupt):
                keys.check_absent(absent)
        else:
            keys.check_absent(absent)
        leaf[bit // 8] ^= 1 << bit % 8


def test_gaps_are_forgotten_when_keys_are_added(chain: Chain) -> None:
    """What was found below an absent key is the answer until the tree grows."""
    keys = StoredKeys(chain.ledger.environment)
    keys.bind(chain.ledger.tree)
    absent = compute_tree_key(FIELD.number, FIELD.encode_key(8_000))
    keys.check_absent(absent)
    before = keys.low_neighbour(absent)
    chain.edit(*[("set_ticket", key, key) for key in range(1_000, 1_400)])
    chain.close_block()
    chain.ledger.flushing.flush()
    assert before != keys.low_neighbour(absent) == StoredKeys(chain.ledger.environment).low_neighbour(absent)


def test_no_tree_shows_nothing(chain: Chain) -> None:
    """Keys without their tree cannot say that one is absent."""
    with pytest.raises(StoreCorrupt, match="not open"):
        StoredKeys(chain.ledger.environment).check_absent(bytes(32))
