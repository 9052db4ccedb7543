"""Reading state rows at a height: the merge of table and changes against a model, wherever the table stands."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import pytest

from microrollup.errors import StoreCorrupt
from microrollup.store.environment import Environment, encode_number
from microrollup.store.row_changes import RowChange, encode_row_changes
from microrollup.store.row_check import pack_row
from microrollup.store.rows_at import RowsAt
from microrollup.store.spans import Spans
from microrollup.store.tables import Checkpoint, put_base, put_checkpoint

TIP = 12
KEYS = [prefix + bytes((number,)) for prefix in (b"\x00\x00", b"\x80\x00", b"\xff\xff") for number in range(6)]

States = list[dict[bytes, bytes]]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environment]:
    with Environment(tmp_path_factory.mktemp("rows"), create=True) as made:
        yield made


def write_history(environment: Environment, seed: int) -> States:
    """Changes of random blocks in the store; the rows after each height, values as stored."""
    rng = Random(seed)
    states: States = [{key: pack_row(key, rng.randbytes(4)) for key in KEYS if rng.randrange(2)}]
    with environment.write() as txn:
        for height in range(1, TIP + 1):
            state = dict(states[-1])
            changes = []
            for key in rng.sample(KEYS, rng.randrange(5)):
                new = None if key in state and rng.randrange(3) == 0 else pack_row(key, rng.randbytes(4))
                changes.append(RowChange(key, state.pop(key, None), new))
                if new is not None:
                    state[key] = new
            txn.put(encode_number(height), encode_row_changes(height, changes), db=environment.tables["changes"])
            states.append(state)
    return states


def write_table(environment: Environment, states: States, base: int, seed: int) -> None:
    """The `state` table while a flush is under way: each row is as of some height from the base to the tip."""
    rng = Random(seed)
    with environment.write() as txn:
        txn.drop(environment.tables["state"], delete=False)
        for key in KEYS:
            stored = states[rng.randrange(base, TIP + 1)].get(key)
            if stored is not None:
                txn.put(key, stored, db=environment.tables["state"])
        put_checkpoint(txn, environment.tables, Checkpoint(TIP, bytes(32), 0, 0, bytes(32), 1, (), bytes(2048)))
        put_base(txn, environment.tables, base)


def read_plain(state: dict[bytes, bytes]) -> dict[bytes, bytes]:
    return {key: stored[:-8] for key, stored in state.items()}


@pytest.mark.parametrize("base", [0, 4, 11, TIP])
@pytest.mark.parametrize("seed", range(4))
def test_every_height(environment: Environment, base: int, seed: int) -> None:
    """Every row and every range at every height, by look-ups and by one merge, whatever part is written out."""
    states = write_history(environment, seed)
    write_table(environment, states, base, seed)
    with environment.snapshot() as txn:
        spans = Spans(blocks=6, short=3)
        for height in range(TIP + 1):
            expected = read_plain(states[height])
            loaded = RowsAt(txn, environment.tables, height)
            loaded.load()
            for rows in (
                RowsAt(txn, environment.tables, height),
                RowsAt(txn, environment.tables, height, spans),
                loaded,
            ):
                assert expected == {key: value for key in KEYS if (value := rows.get(key)) is not None}, height
                assert rows.get(b"\x00\x00never") is None
                assert sorted(expected.items()) == list(rows.iterate())
                for prefix in (b"\x00\x00", b"\x80\x00", b"\xff\xff", b"\x12"):
                    wanted = [pair for pair in sorted(expected.items()) if pair[0].startswith(prefix)]
                    assert wanted == list(rows.iterate(prefix))
                    assert wanted[::-1] == list(rows.iterate(prefix, reverse=True))
                    start, stop = b"\x00", b"\x80"
                    within = [pair for pair in wanted if prefix + start <= pair[0] < prefix + stop]
                    assert within == list(rows.iterate(prefix, start, stop))
                    assert within[::-1] == list(rows.iterate(prefix, start, stop, reverse=True))


def test_whoever_waits_may_give_up(environment: Environment) -> None:
    """`load` calls back before each block that it reads, and what that raises ends it."""
    write_table(environment, write_history(environment, 1), 4, 1)
    calls = []
    with environment.snapshot() as txn:
        RowsAt(txn, environment.tables, 6).load(lambda: calls.append(1))
        assert TIP - 4 == len(calls)

        def give_up() -> None:
            raise TimeoutError

        with pytest.raises(TimeoutError):
            RowsAt(txn, environment.tables, 6).load(give_up)


@pytest.mark.parametrize("damage", ["missing", "index", "body"])
def test_damaged_changes(environment: Environment, damage: str) -> None:
    """Changes that are missing or damaged are told by their height, and not taken for a block without changes."""
    write_table(environment, write_history(environment, 2), TIP, 2)
    key, table = encode_number(7), environment.tables["changes"]
    with environment.write() as txn:
        raw = bytearray(encode_row_changes(7, [RowChange(KEYS[0], None, b"x")]))
        raw[5 if damage == "index" else -1] ^= 1
        txn.delete(key, db=table) if damage == "missing" else txn.put(
            key, bytes(raw[: -1 if damage == "body" else None]), db=table
        )
    with environment.snapshot() as txn:
        for read in (lambda rows: rows.get(KEYS[0]), lambda rows: rows.load(), lambda rows: list(rows.iterate())):
            with pytest.raises(StoreCorrupt, match="changes/7"):
                read(RowsAt(txn, environment.tables, 6))
        for spans in (None, Spans(blocks=2, short=2)) if damage != "body" else ():
            with pytest.raises(StoreCorrupt, match="changes/7"):
                RowsAt(txn, environment.tables, 5, spans).get(b"\x00\x00never")


def test_damaged_rows(environment: Environment) -> None:
    """A row whose value is not the one that was stored is told by its key."""
    write_table(environment, write_history(environment, 3), TIP, 3)
    for key in (b"\x00\x00damaged", b"\x80\x00damaged"):
        with environment.write() as txn:
            txn.put(key, b"whatever was there", db=environment.tables["state"])
        with environment.snapshot() as txn:
            rows = RowsAt(txn, environment.tables, TIP)
            with pytest.raises(StoreCorrupt, match=key.hex()):
                rows.get(key)
            with pytest.raises(StoreCorrupt, match=key.hex()):
                list(rows.iterate(key[:2]))


def test_lost_rows(environment: Environment) -> None:
    """A row whose key is damaged is not taken for one that never was."""
    states = write_history(environment, 3)
    write_table(environment, states, TIP, 3)
    key = min(states[TIP])
    with environment.write() as txn:
        stored = txn.pop(key, db=environment.tables["state"])
        assert stored is not None
        txn.put(key + b"\0", stored, db=environment.tables["state"])
    with environment.snapshot() as txn, pytest.raises(StoreCorrupt, match=key.hex()):
        RowsAt(txn, environment.tables, TIP).get(key)
