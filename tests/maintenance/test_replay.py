"""Replay: the log alone gives the whole store back, to the byte; and whatever differs between two stores is found."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from msgspec.structs import replace

from kernel_fixtures import MAP_SIZE, Chain, make_steps, seal
from microrollup.chain.record import Close, Seal, encode_record
from microrollup.errors import StoreCorrupt
from microrollup.execution.authentication_pool import AuthenticationPool
from microrollup.ledger.genesis import read_genesis
from microrollup.ledger.ledger import Ledger
from microrollup.maintenance.replay import DERIVED_TABLES, UNDO_TABLES, Difference, compare_stores, replay_log
from microrollup.store.environment import Environment
from microrollup.store.tables import append_records, decode_checkpoint, encode_row, get_chain, get_log_length
from zoo import zoo


def replay(source: Environment, directory: Path) -> Ledger:
    """Replay in this process."""
    with AuthenticationPool("zoo:zoo", read_genesis(source).domain, 0) as pool:
        return replay_log(source, zoo, directory, pool)


def compare(source: Environment, directory: Path) -> list[Difference]:
    """The differences between a store and the replay of its log."""
    with replay(source, directory) as replayed:
        replayed.sync_tree()
        return compare_stores(source, replayed.environment)


@pytest.mark.parametrize("block_size", [1, 3, 1_000])
@pytest.mark.parametrize("seed", range(3))
def test_any_history(tmp_path: Path, block_size: int, seed: int) -> None:
    """All kinds of fields, deletions, rejections, forced actions, rebuilds, restarts and an open block: equal."""
    rng = Random(seed)
    chain = Chain(tmp_path, block_size=block_size)
    chain.work(rng, 4)
    chain.sequencer.rebuild(rng.randrange(1, chain.ledger.checkpoint.height + 1))
    chain.work(rng, 2)
    chain.reopen(abandon=bool(seed % 2))
    chain.work(rng, 2)
    chain.sequencer.rebuild(chain.ledger.checkpoint.height)
    chain.force(b"open", "frank")
    chain.edit(("set_ticket", 1, 1), ("delete_note", 7, 0))
    chain.ledger.sync_tree()
    expected = (chain.ledger.block.records, chain.ledger.block.receipts) if chain.ledger.block else None
    with replay(chain.ledger.environment, tmp_path / "replay") as replayed:
        replayed.sync_tree()
        assert [] == compare_stores(chain.ledger.environment, replayed.environment)
        assert [] == compare_stores(replayed.environment, chain.ledger.environment)
        assert chain.ledger.header == replayed.header
        assert expected == ((replayed.block.records, replayed.block.receipts) if replayed.block else None)
    chain.close()


def test_empty_rollup(tmp_path: Path) -> None:
    """A log that holds nothing but the genesis replays to the genesis."""
    chain = Chain(tmp_path)
    assert [] == compare(chain.ledger.environment, tmp_path / "replay")
    chain.close()


def test_progress_counts_every_record(tmp_path: Path) -> None:
    """Whoever watches is told every record's number, in order."""
    chain = Chain(tmp_path)
    chain.work(Random(1), 3)
    told: list[int] = []
    with AuthenticationPool("zoo:zoo", chain.genesis.domain, 0) as pool:
        replay_log(chain.ledger.environment, zoo, tmp_path / "replay", pool, told.append).close()
    assert list(range(1, chain.ledger.environment.count("log"))) == told
    chain.close()


def test_a_log_that_grows(tmp_path: Path) -> None:
    """A replay ends where the log ended when it began, whatever is appended meanwhile."""
    chain = Chain(tmp_path)
    chain.work(Random(1), 3)
    before = chain.ledger.environment.count("log")
    told: list[int] = []

    def append(number: int) -> None:
        told.append(number)
        if 1 == number:
            chain.work(Random(2), 3)

    with AuthenticationPool("zoo:zoo", chain.genesis.domain, 0) as pool:
        replay_log(chain.ledger.environment, zoo, tmp_path / "replay", pool, append).close()
    assert list(range(1, before)) == told
    assert before < chain.ledger.environment.count("log")
    chain.close()


# --- differences -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Path]]:
    """Two equal stores, closed."""
    root = tmp_path_factory.mktemp("pair")
    chain = Chain(root)
    chain.work(Random(5), 5)
    chain.ledger.close()
    chain.sequencer.close()
    with Environment(root / "builder", read_only=True) as source:
        assert [] == compare(source, root / "replay")
    yield root / "builder", root / "replay"
    chain.l1.close()


def open_pair(pair: tuple[Path, Path], directory: Path) -> tuple[Environment, Environment]:
    shutil.copytree(pair[1], directory / "damaged")
    return Environment(pair[0], read_only=True, map_size=MAP_SIZE), Environment(
        directory / "damaged", map_size=MAP_SIZE
    )


@pytest.mark.parametrize("change", ["value", "key", "missing", "more"])
@pytest.mark.parametrize("table", [*DERIVED_TABLES, *UNDO_TABLES])
def test_every_table_is_compared(pair: tuple[Path, Path], tmp_path: Path, table: str, change: str) -> None:
    """One row of one table that is altered, moved, gone or added is named, whichever store is given first."""
    left, right = open_pair(pair, tmp_path)
    with left, right:
        rows = list(right.cursor(table))
        key, value = rows[len(rows) // 2]
        with right.write() as txn:
            if change in ("key", "missing"):
                txn.delete(key, db=right.tables[table])
            if change == "value":
                txn.put(key, value[:-1] + bytes((value[-1] ^ 1,)), db=right.tables[table])
            if change in ("key", "more"):
                txn.put(b"\xff" * len(key), value, db=right.tables[table])
        if table in UNDO_TABLES and change != "value":
            return  # a store keeps as many as it likes
        assert [table] == [difference.table for difference in compare_stores(left, right)]
        assert [table] == [difference.table for difference in compare_stores(right, left)]


@pytest.mark.parametrize("name", ["leaves", "nodes"])
def test_flat_files_are_compared(pair: tuple[Path, Path], tmp_path: Path, name: str) -> None:
    """One byte of one used row is named by its row; a file that is too short as well; unused rows do not count."""
    left, right = open_pair(pair, tmp_path)
    path = right.directory / name
    whole = path.read_bytes()
    with left, right:
        for row, size in ((0, {"leaves": 99, "nodes": 32}[name]), (3, {"leaves": 99, "nodes": 32}[name])):
            raw = bytearray(whole)
            raw[row * size] ^= 1
            path.write_bytes(raw)
            (found,) = compare_stores(left, right)
            assert (name, str(row)) == (found.table, found.key)
        path.write_bytes(whole[:200])
        assert {name} == {difference.table for difference in compare_stores(left, right)}
        path.write_bytes(whole[:-1] + b"\x01")
        assert [] == compare_stores(left, right)


def test_checkpoint_is_compared(pair: tuple[Path, Path], tmp_path: Path) -> None:
    """A checkpoint with other lanes is named."""
    left, right = open_pair(pair, tmp_path)
    with left, right:
        raw = right.get("meta", b"checkpoint")
        assert raw is not None
        with right.write() as txn:
            other = encode_row(replace(decode_checkpoint(raw), lanes=bytes(2048)))
            txn.put(b"checkpoint", other, db=right.tables["meta"])
        assert [("meta", "checkpoint")] == [(found.table, found.key) for found in compare_stores(left, right)]


# --- damaged logs ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(12))
def test_damaged_log(pair: tuple[Path, Path], tmp_path: Path, seed: int) -> None:
    """A flipped bit anywhere behind the genesis, or a record that is gone, stops the replay at its number."""
    rng = Random(seed)
    left, source = open_pair(pair, tmp_path)
    left.close()
    with source:
        number = rng.randrange(1, source.count("log"))
        key = number.to_bytes(8, "big")
        row = source.get("log", key)
        assert row is not None
        with source.write() as txn:
            if seed % 4 == 0:
                txn.delete(key, db=source.tables["log"])
            else:
                bit = rng.randrange(8 * len(row))
                raw = bytearray(row)
                raw[bit // 8] ^= 1 << bit % 8
                txn.put(key, bytes(raw), db=source.tables["log"])
        if seed % 4 == 0 and number == source.count("log"):
            return  # the last record of a log is not missed by anybody
        with pytest.raises(StoreCorrupt, match="log/") as caught:
            compare(source, tmp_path / "replay")
        assert int(caught.value.where.split("/")[1]) in (number, number + 1)


def append(source: Environment, rollup_id: bytes, *records: bytes) -> None:
    """Append records with right links of the chain."""
    with source.write() as txn:
        length = get_log_length(txn, source.tables)
        chain = get_chain(txn, source.tables, length - 1, rollup_id)
        append_records(txn, source.tables, length, chain, list(records))


def test_records_that_cannot_follow(pair: tuple[Path, Path], tmp_path: Path) -> None:
    """A log whose chain is right and whose records make no sense is refused where the sense ends."""
    with Ledger.open(pair[0], zoo) as ledger:
        genesis, rollup_id = ledger.genesis, ledger.rollup_id
    seal = Seal(0, bytes(65), "")
    for index, record in enumerate(
        (
            encode_record(Close(9, seal)),
            encode_record(genesis),
            b"\x93nonsense",
            b"",
            b"\x95\xa4open",
            b"\x96\xa6forced",
        ),
    ):
        (tmp_path / str(index)).mkdir()
        left, source = open_pair(pair, tmp_path / str(index))
        left.close()
        with source:
            append(source, rollup_id, record)
            with pytest.raises(StoreCorrupt, match="log/"):
                compare(source, tmp_path / str(index) / "replay")


@pytest.mark.parametrize("round_", [0, 1, 2])
def test_rounds_are_checked(tmp_path: Path, round_: int) -> None:
    """A rebuilt block replays if the log closes it in the next round: not in one that it had, nor in a later one."""
    chain = Chain(tmp_path)
    chain.edit(("count", 0, 1))
    chain.close_block()
    chain.ledger.rebuild(1)
    chain.ledger.resume()
    closing = chain.ledger.compute_header()
    chain.ledger.finish(closing, seal(closing.header, round_=round_))
    if round_ == 1:
        assert [] == compare(chain.ledger.environment, tmp_path / "replay")
    else:
        with pytest.raises(StoreCorrupt, match="rebuilt and must be sealed in round 1"):
            compare(chain.ledger.environment, tmp_path / "replay")
    chain.close()


def test_signatures_are_checked(tmp_path: Path) -> None:
    """A record with a right chain and a foreign signature does not replay."""
    chain = Chain(tmp_path)
    chain.edit(("count", 0, 1))
    chain.close_block()
    signed = chain.signer.sign(make_steps(("count", 0, 2)), "bob")
    entry = chain.ledger.read_entry(signed.record)
    chain.sequencer._open_block()
    chain.ledger.execute([entry])
    chain.ledger._pending[-1] = entry.record[:-65] + bytes(65)
    chain.ledger.commit()
    with pytest.raises(StoreCorrupt):
        compare(chain.ledger.environment, tmp_path / "replay")
    chain.close()
