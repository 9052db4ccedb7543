"""Rows of the store's tables, and the chain of the log."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from blake3 import blake3

from kernel_fixtures import Chain, mutate
from microrollup.errors import DecodeError, MicrorollupError, StoreCorrupt
from microrollup.store.environment import Environment, encode_number
from microrollup.store.tables import (
    CHECKPOINT_KEY,
    LogStart,
    append_records,
    decode_block_row,
    decode_checkpoint,
    decode_log_start,
    encode_row,
    get_block,
    get_block_row,
    get_chain,
    get_checkpoint,
    get_log_length,
    get_receipt,
    get_record,
    iterate_log,
    read_records,
)

ROLLUP_ID = bytes(range(32))
RECORDS = [b"one", b"two", b"", b"four" * 1000, b"five"]


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Environment]:
    """A log of five records."""
    with Environment(tmp_path, create=True, map_size=1 << 24) as environment:
        with environment.write() as txn:
            chain = append_records(txn, environment.tables, 0, ROLLUP_ID, RECORDS[:2])
            append_records(txn, environment.tables, 2, chain, RECORDS[2:])
        yield environment


def read(log: Environment, first: int = 0, count: int | None = None) -> list[tuple[int, bytes]]:
    return list(iterate_log(log.reader, log.tables, ROLLUP_ID, first, count))


def test_chain(log: Environment) -> None:
    """chain_n is blake3 of chain_{n-1} and the record, from the rollup id on."""
    chain = ROLLUP_ID
    for number, record in enumerate(RECORDS):
        chain = blake3(chain + record).digest()
        assert chain + record == log.get("log", encode_number(number))
        assert chain == get_chain(log.reader, log.tables, number, ROLLUP_ID)
        assert record == get_record(log.reader, log.tables, number)
    assert ROLLUP_ID == get_chain(log.reader, log.tables, -1, ROLLUP_ID)
    assert 5 == get_log_length(log.reader, log.tables)
    assert get_record(log.reader, log.tables, 5) is None
    with pytest.raises(StoreCorrupt, match="log/5"):
        get_chain(log.reader, log.tables, 5, ROLLUP_ID)


def test_reading(log: Environment) -> None:
    """Records are read from anywhere on, with their numbers; more of them than there are is damage."""
    assert list(enumerate(RECORDS)) == read(log)
    assert [(3, RECORDS[3]), (4, RECORDS[4])] == read(log, 3)
    assert tuple(RECORDS[1:3]) == read_records(log.reader, log.tables, ROLLUP_ID, 1, 2)
    assert [] == read(log, 5)
    assert [] == read(log, 2, 0)
    for first, count in ((3, 3), (5, 1)):
        with pytest.raises(StoreCorrupt, match="log/5"):
            read(log, first, count)


def test_another_rollups_log(log: Environment) -> None:
    """The chain begins with the rollup id: no record of it fits another rollup."""
    with pytest.raises(StoreCorrupt, match="log/0"):
        list(iterate_log(log.reader, log.tables, bytes(32)))


@pytest.mark.parametrize("number", range(5))
def test_every_bit_counts(log: Environment, number: int) -> None:
    """A flipped bit of a record or of its link is found at the record, or at the next one where the link leads."""
    key = encode_number(number)
    row = log.get("log", key)
    assert row is not None
    for bit in (0, 100, 255, *range(256, min(8 * len(row), 300))):
        raw = bytearray(row)
        raw[bit // 8] ^= 1 << bit % 8
        with log.write() as txn:
            txn.put(key, bytes(raw), db=log.tables["log"])
        with pytest.raises(StoreCorrupt, match=f"log/{number}:"):
            read(log)
        if number < 4 and bit < 256:
            with pytest.raises(StoreCorrupt, match=f"log/{number + 1}:"):
                read(log, number + 1)


@pytest.mark.parametrize("damage", ["gap", "swap", "short"])
def test_damaged_order(log: Environment, damage: str) -> None:
    """A record that is missing, in another's place or shorter than its link is found."""
    rows = [log.get("log", encode_number(number)) for number in range(5)]
    with log.write() as txn:
        table = log.tables["log"]
        if damage == "gap":
            txn.delete(encode_number(2), db=table)
        elif damage == "short":
            txn.put(encode_number(2), b"short", db=table)
        else:
            txn.put(encode_number(2), rows[3] or b"", db=table)
            txn.put(encode_number(3), rows[2] or b"", db=table)
    with pytest.raises(StoreCorrupt, match="log/2"):
        read(log)
    if damage == "short":
        with pytest.raises(StoreCorrupt, match="log/2"):
            read(log, 3)


def test_nothing_is_overwritten(log: Environment) -> None:
    """Appending where a record stands is refused, and the transaction with it."""
    before = read(log)
    for number in (0, 4):
        with pytest.raises(MicrorollupError), log.write() as txn:
            append_records(txn, log.tables, number, ROLLUP_ID, [b"other"])
    assert before == read(log)


def test_rows_of_a_store(tmp_path: Path) -> None:
    """Block rows, checkpoints and starts have one encoding; mutated ones decode canonically or raise `DecodeError`."""
    chain = Chain(tmp_path)
    chain.work(Random(1), 2)
    environment, rng = chain.ledger.environment, Random(2)
    start = encode_row(LogStart(5, 6, bytes(32)))
    good = {
        decode_block_row: [environment.get("blocks", encode_number(height)) for height in range(3)],
        decode_checkpoint: [environment.get("meta", CHECKPOINT_KEY)],
        decode_log_start: [start],
    }
    for decode, rows in good.items():
        for row in rows:
            assert row is not None
            assert row == encode_row(decode(row))  # type: ignore[operator]
        refused = 0
        for _ in range(1_500):
            raw = mutate(rng, rng.choice(rows) or b"")
            try:
                assert raw == encode_row(decode(raw))  # type: ignore[operator]
            except DecodeError:
                refused += 1
        assert refused > 700
    chain.close()


def test_damaged_rows_are_named(tmp_path: Path) -> None:
    """A row that does not decode, or is missing where it must be, is told with its table and key."""
    chain = Chain(tmp_path)
    chain.work(Random(1), 1)
    environment = chain.ledger.environment
    assert get_block(environment.reader, environment.tables, chain.ledger.rollup_id, 9) is None
    with environment.write() as txn:
        txn.put(encode_number(1), b"\x00", db=environment.tables["blocks"])
        txn.put(CHECKPOINT_KEY, b"\x00", db=environment.tables["meta"])
    reader, tables = environment.reader, environment.tables
    with pytest.raises(StoreCorrupt, match="blocks/1"):
        get_block_row(reader, tables, 1)
    with pytest.raises(StoreCorrupt, match="blocks/1"):
        get_block(reader, tables, chain.ledger.rollup_id, 1)
    with pytest.raises(StoreCorrupt, match="meta/checkpoint"):
        get_checkpoint(reader, tables)
    assert get_block(reader, tables, chain.ledger.rollup_id, 0) is None
    assert get_receipt(reader, tables, 10_000) is None
    with environment.write() as txn:
        txn.delete(CHECKPOINT_KEY, db=environment.tables["meta"])
    with pytest.raises(StoreCorrupt, match="meta/checkpoint"):
        get_checkpoint(environment.reader, tables)
    chain.close()
