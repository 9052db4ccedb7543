"""State rows and tree keys in the store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from kernel_fixtures import Chain
from microrollup.declaration.map import ABSENT, StoreFault
from microrollup.declaration.state import NONCES
from microrollup.errors import MicrorollupError, StoreCorrupt
from microrollup.store.environment import Environment
from microrollup.store.rows import StoredRows, read_scalar
from microrollup.store.stored_keys import StoredKeys, decode_leaf_index, encode_leaf_index
from microrollup.store.tree_index import MemoryKeyIndex
from zoo import Zoo, make_guard, zoo


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[Chain]:
    made = Chain(tmp_path)
    made.work(Random(1), 4)
    made.ledger.flushing.flush()
    yield made
    made.close()


def test_rows_of_a_field(chain: Chain) -> None:
    """A field's rows are its own, in the order of encoded keys, and none of the next field's."""
    state, environment = chain.ledger.state.app, chain.ledger.environment
    assert isinstance(state, Zoo)
    for name in ("animals", "tickets", "notes", "guards"):
        rows = StoredRows(environment, zoo.state_type.get_field(name), len(getattr(state, name)))
        stored = list(rows.iterate())
        assert list(getattr(state, name).items()) == stored
        assert stored
        assert sorted(rows.sort_key(key) for key, _ in stored) == [rows.sort_key(key) for key, _ in stored]
        for key, value in stored:
            assert value == rows.load(key)
    assert StoredRows(environment, zoo.state_type.get_field("guards"), 0).load(make_guard(9_999)) is ABSENT
    nonces = dict(StoredRows(environment, NONCES, len(chain.ledger.state.nonces)).iterate())
    assert dict(chain.ledger.state.nonces.items()) == nonces


def test_key_classes(chain: Chain) -> None:
    """A source knows the class of its keys."""
    classes = {
        name: StoredRows(chain.ledger.environment, zoo.state_type.get_field(name), 0).key_class
        for name in ("animals", "tickets", "notes", "guards")
    }
    assert {"animals": str, "tickets": int, "notes": bytes, "guards": bytes} == classes
    assert bytes is StoredRows(chain.ledger.environment, NONCES, 0).key_class


def test_damage(chain: Chain) -> None:
    """A row that does not decode is a fault, kept for whoever executes; a bad key is the caller's own error."""
    environment, field = chain.ledger.environment, zoo.state_type.get_field("tickets")
    rows = StoredRows(environment, field, 2)
    with pytest.raises(MicrorollupError):
        rows.load(-1)
    assert environment.fault is None
    with environment.write() as txn:
        txn.put(field.row_prefix + field.encode_key(5), b"\xff", db=environment.tables["state"])
        txn.put(field.row_prefix + b"short", b"\x01", db=environment.tables["state"])
    for read in (lambda: rows.load(5), lambda: list(rows.iterate())):
        environment.fault = None
        with pytest.raises(StoreFault):
            read()
        assert isinstance(environment.fault, StoreFault)


def test_a_damaged_page_is_a_fault(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    """What LMDB finds damaged under an STF is no outcome of the action, which any error of an STF would be."""
    rows = StoredRows(chain.ledger.environment, zoo.state_type.get_field("tickets"), 0)
    rows.load(5)

    def fail(*_: object) -> None:
        raise StoreCorrupt("data.mdb", "page")

    monkeypatch.setattr(Environment, "get", fail)
    with pytest.raises(StoreFault, match="page"):
        rows.load(5)


def test_lost_rows_are_noticed(chain: Chain) -> None:
    """Whoever goes through all entries learns that one is missing, or that they are out of order."""
    environment, field = chain.ledger.environment, zoo.state_type.get_field("tickets")
    stored = list(StoredRows(environment, field, len(chain.ledger.state.app.tickets)).iterate())  # type: ignore[attr-defined]
    assert len(stored) > 1
    with environment.write() as txn:
        txn.delete(field.row_prefix + field.encode_key(stored[0][0]), db=environment.tables["state"])
    with pytest.raises(StoreFault, match=f"{len(stored) - 1} where {len(stored)} were stored"):
        list(StoredRows(environment, field, len(stored)).iterate())
    assert stored[1:] == list(StoredRows(environment, field, len(stored) - 1).iterate())


def test_scalars(chain: Chain) -> None:
    """A scalar is read under its prefix alone; a missing or damaged one is told by its name."""
    environment, field = chain.ledger.environment, zoo.state_type.get_field("motto")
    assert chain.ledger.state.app.motto == read_scalar(environment, field)  # type: ignore[attr-defined]
    for raw in (None, b"\x01"):
        with environment.write() as txn:
            if raw is None:
                txn.delete(field.row_prefix, db=environment.tables["state"])
            else:
                txn.put(field.row_prefix, raw, db=environment.tables["state"])
        with pytest.raises(StoreCorrupt, match="motto"):
            read_scalar(environment, field)


def test_tree_keys(chain: Chain) -> None:
    """The index in the store answers as the one in memory does, for keys that are there and that are not."""
    environment = chain.ledger.environment
    stored, memory = StoredKeys(environment), MemoryKeyIndex()
    known = {bytes(key): decode_leaf_index(bytes(value)) for key, value in environment.cursor("tree")}
    memory.add(known.items())
    assert sorted(known.values()) == list(range(1, len(known) + 1))
    rng = Random(2)
    asked = [*known, *[rng.randbytes(32) for _ in range(200)], bytes(32), b"\xff" * 32]
    assert known == stored.find_all(asked) == memory.find_all(asked)
    assert {} == stored.find_all([])
    for key in asked:
        if key not in known:
            assert memory.low_neighbour(key) == stored.low_neighbour(key)


def test_empty_tree_keys(tmp_path: Path) -> None:
    """In an empty index every key lies between the dummy and nothing."""
    with Environment(tmp_path, create=True, map_size=1 << 20) as environment:
        assert (None, 0, None) == StoredKeys(environment).low_neighbour(bytes(32))
        assert {} == StoredKeys(environment).find_all([bytes(32)])
    for leaf_index in (0, 1, 2**31):
        assert leaf_index == decode_leaf_index(encode_leaf_index(leaf_index))
