"""Indexes: filled block by block, as if from nothing at each height; begun anew, taken back, and never ahead."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest
from structlog.testing import capture_logs

import shelf_indexes
from kernel_fixtures import BUILDER, MAP_SIZE, Chain, fast_directory
from microrollup.crypto.keccak import keccak256
from microrollup.declaration.index import describe_index
from microrollup.declaration.modules import Package
from microrollup.declaration.query import Reads, load_reads
from microrollup.errors import IndexNotReady, NotRetained, StoreMissing
from microrollup.execution.authentication_pool import AuthenticationPool
from microrollup.execution.entry import decode_forced, is_forced_record
from microrollup.ledger.indexes import viewing
from microrollup.ledger.indexes.builder import IndexBuilder
from microrollup.ledger.indexes.replay import REPLAY_DIRECTORY
from microrollup.ledger.indexes.status import IndexStatus, list_statuses
from microrollup.ledger.indexes.viewing import IndexReader
from microrollup.ledger.viewing import ReadFault, make_view
from microrollup.maintenance.scrub import scrub_store
from microrollup.maintenance.snapshot import restore_snapshot, write_snapshot
from microrollup.store.index_store import IndexHead, IndexStore
from microrollup.store.retention import Retention
from microrollup.store.rows_at import RowsAt
from microrollup.verifier.follow import verify_blocks
from paths import ROOT, SUPPORT
from shelf import Place, Remove, app
from shelf_indexes import by_rank, fussy, history, sizes
from shelf_words import queued, words

READS: Reads = load_reads(app)  # type: ignore[assignment]
NAMES = ["by_rank", "fussy", "history", "sizes"]


@pytest.fixture
def chain(monkeypatch: pytest.MonkeyPatch) -> Iterator[Chain]:
    """A shelf without blocks; who asks for rows that are not there is told at once, as no process is to fill them."""
    monkeypatch.setattr(viewing, "WAIT_SECONDS", 0.0)
    with fast_directory() as directory:
        chain = Chain(directory, app, map_size=MAP_SIZE)
        yield chain
        chain.close()


def work(chain: Chain, rng: Random, blocks: int) -> None:
    """Blocks of a few random actions by two senders, forced ones among them."""
    for number in range(blocks):
        if number % 5 == 2:
            chain.force(Place(rng.randrange(20), rng.randrange(9)), "frank")
        actions = [
            Place(rng.randrange(20), rng.randrange(9)) if rng.random() < 0.7 else Remove(rng.randrange(25))
            for _ in range(rng.randrange(1, 6))
        ]
        chain.submit(*[chain.signer.sign(action, f"sender {rng.randrange(2)}") for action in actions])
        chain.close_block()
        chain.advance()


@contextmanager
def building(chain: Chain, reads: Reads = READS) -> Iterator[IndexBuilder]:
    """A builder of indexes over the chain's store, which is opened by another process in earnest."""
    chain.sequencer.close()
    chain.ledger.close()
    builder = IndexBuilder(app, reads, chain.root / "builder", map_size=MAP_SIZE)
    try:
        yield builder
    finally:
        builder.close()
        chain.reopen()


def fill(chain: Chain, reads: Reads = READS) -> dict[str, IndexStatus]:
    """Fill all indexes up to the newest block."""
    with building(chain, reads) as builder:
        return finish(builder)


def finish(builder: IndexBuilder) -> dict[str, IndexStatus]:
    """Let a builder work until nothing is behind."""
    for _ in range(1_000):
        statuses = builder.advance()
        if not any(status.is_building for status in statuses):
            return {status.name: status for status in statuses}
    raise AssertionError(statuses)


def read(chain: Chain, function: Any, height: int | None = None, reads: Reads = READS) -> dict[Any, Any]:
    """The rows of an index at a height."""
    reader = IndexReader(chain.root / "builder", reads.indexes)
    environment = chain.ledger.environment
    try:
        with environment.snapshot() as txn, reader.session() as find_index:
            view = make_view(app, txn, environment, height, find_index=find_index)
            rows = view.index(function)
            found = dict(rows.items())
            assert len(found) == len(rows)
            assert list(reversed(found.items())) == list(rows.items(reverse=True))
            assert all(value == rows[key] and key in rows for key, value in found.items())
            return found
    except ReadFault as fault:
        raise fault.cause from None
    finally:
        reader.close()


def expect(chain: Chain, height: int) -> dict[str, dict[Any, Any]]:
    """What all indexes should hold at a height, from the state and the log."""
    environment = chain.ledger.environment
    with environment.snapshot() as txn:
        state = make_view(app, txn, environment, height).state
        ranks = {(item.rank, number): item.owner for number, item in state.items.items()}
        lengths = {at: len(make_view(app, txn, environment, at).state.items) for at in range(height + 1)}
    seen: dict[Any, Any] = {}
    counts: dict[int, int] = {}
    for block in chain.get_blocks()[:height]:
        for seq, record in enumerate(block.records, block.header.first_seq):
            entry = chain.ledger.read_entry(record, block.header.height)
            if isinstance(entry.action, Place):
                seen[entry.sender, seq] = entry.action.rank
                counts[entry.action.rank] = counts.get(entry.action.rank, 0) + 1
    return {"by_rank": ranks, "history": seen, "sizes": lengths, "fussy": counts}


def test_every_height(chain: Chain) -> None:
    """At each retained height every index holds what it would hold if that block were the newest."""
    rng = Random(1)
    work(chain, rng, 12)
    first = fill(chain)
    assert dict.fromkeys(NAMES, (0, 12, 12)) == {
        name: (status.lowest, status.reached, status.tip) for name, status in first.items()
    }
    work(chain, rng, 9)
    with pytest.raises(IndexNotReady, match="by_rank is being built: it has reached height 12 of 21"):
        read(chain, by_rank)
    assert len(read(chain, by_rank, 12)) == first["by_rank"].rows
    fill(chain)
    for height in range(22):
        wanted = expect(chain, height)
        for function in (by_rank, history, sizes, fussy):
            assert wanted[function.__name__] == read(chain, function, height), (function, height)


def test_the_words_of_a_block_and_the_queue(chain: Chain) -> None:
    """An index may read the header, the first builder, and what came through the inbox's queue as it lay there."""
    work(chain, Random(7), 6)
    package = Package("shelf", ())
    own = {function.__name__: describe_index(function, package) for function in (words, queued)}  # type: ignore[arg-type]
    reads = msgspec.structs.replace(READS, indexes=own, trees={**READS.trees, **package.trees})
    fill(chain, reads)
    blocks = chain.get_blocks()
    wanted = {
        block.header.height: (
            block.header.parent_hash, keccak256(block.header.state_root + block.header.actions_root), BUILDER
        )
        for block in blocks
    }  # fmt: skip
    found = read(chain, words, reads=reads)
    found.pop(0, None)
    assert wanted == found
    forced = [
        (seq, decode_forced(record))
        for block in blocks
        for seq, record in enumerate(block.records, block.header.first_seq)
        if is_forced_record(record)
    ]
    assert forced
    assert {entry.index: (seq, entry.payload) for seq, entry in forced} == read(chain, queued, reads=reads)


def test_filled_in_one_go_or_block_by_block(chain: Chain) -> None:
    """However often the builder is stopped, the tables are equal to the byte."""
    rng = Random(2)
    for _ in range(6):
        work(chain, rng, 1)
        fill(chain)
    there = chain.root / "builder" / "indexes"
    stepwise = dump(there)
    shutil.rmtree(there)
    fill(chain)
    assert stepwise == dump(there)


def dump(directory: Path) -> dict[str, list[tuple[str, bytes, bytes]]]:
    """All rows of all indexes but their heads."""
    found: dict[str, list[tuple[str, bytes, bytes]]] = {}
    for path in sorted(directory.iterdir()):
        with IndexStore(path, read_only=True) as store, store.snapshot() as txn:
            found[path.name] = [
                (table, bytes(key), bytes(value))
                for table in ("state", "changes", "blocks")
                for key, value in txn.cursor(store.tables[table])
            ]
    return found


def test_another_code_builds_anew(chain: Chain) -> None:
    """Rows of another id are not shown, and go when the index is filled; the other indexes stay."""
    work(chain, Random(3), 4)
    fill(chain)
    other = msgspec.structs.replace(READS.indexes["sizes"], id=b"\1" * 32)
    changed = msgspec.structs.replace(READS, indexes={**READS.indexes, "sizes": other})
    with pytest.raises(IndexNotReady, match="it has reached no height of 4"):
        read(chain, sizes, reads=changed)
    assert 4 == len(read(chain, sizes, 3))
    before = dump(chain.root / "builder" / "indexes")
    fill(chain, changed)
    with IndexStore(chain.root / "builder" / "indexes" / "sizes", read_only=True) as store, store.snapshot() as txn:
        assert IndexHead(b"\1" * 32, 3, "") == store.get_head(txn)
    assert expect(chain, 4)["sizes"] == read(chain, sizes, reads=changed)
    assert before == dump(chain.root / "builder" / "indexes")
    fewer = msgspec.structs.replace(READS, indexes={"by_rank": READS.indexes["by_rank"]})
    fill(chain, fewer)
    assert ["by_rank"] == [path.name for path in (chain.root / "builder" / "indexes").iterdir()]


@contextmanager
def forked(chain: Chain, seed: int, common: int, more: int) -> Iterator[Chain]:
    """Another chain of the same rollup, whose first blocks are those of `work(chain, Random(seed), common)`, and which
    has taken over the indexes of the first chain.
    """
    with fast_directory() as directory:
        other = Chain(directory, app, map_size=MAP_SIZE)
        work(other, Random(seed), common)
        work(other, Random(seed + 1), more)
        shutil.copytree(chain.root / "builder" / "indexes", directory / "builder" / "indexes")
        yield other
        other.close()


def test_blocks_taken_back(chain: Chain) -> None:
    """Where the store has other blocks, rows are refused at once; the builder undoes them and goes on from there."""
    rng = Random(4)
    work(chain, rng, 8)
    fill(chain)
    with forked(chain, 4, 5, 5) as other:
        assert chain.ledger.get_block_hash(5) == other.ledger.get_block_hash(5)
        assert chain.ledger.get_block_hash(6) != other.ledger.get_block_hash(6)
        with pytest.raises(IndexNotReady):
            read(other, by_rank, 8)
        assert expect(other, 5)["by_rank"] == read(other, by_rank, 5)
        with capture_logs() as logs:
            fill(other)
        assert {("index_taken_back", 5)} == {(line["event"], line["height"]) for line in logs}
        for height in (3, 5, 6, 10):
            wanted = expect(other, height)
            for function in (by_rank, history, sizes, fussy):
                assert wanted[function.__name__] == read(other, function, height), (function, height)
    chain.sequencer.rebuild(3)  # the same blocks come out again, so nothing is to be taken back
    assert expect(chain, 8)["history"] == read(chain, history)


def test_a_store_that_is_older_than_its_index(chain: Chain) -> None:
    """Rows ahead of the store, as after an older copy was put in its place, are taken back."""
    rng = Random(5)
    work(chain, rng, 3)
    chain.ledger.sync_tree()
    shutil.copytree(chain.root / "builder", chain.root / "copy")
    work(chain, rng, 3)
    fill(chain)
    shutil.copytree(chain.root / "builder" / "indexes", chain.root / "copy" / "indexes")
    builder = IndexBuilder(app, READS, chain.root / "copy", map_size=MAP_SIZE)
    assert {3} == {status.reached for status in finish(builder).values()}
    builder.close()


def test_history_that_is_not_kept(chain: Chain) -> None:
    """Below the retained heights an index of receipts is filled from what is stored; any other by executing again."""
    chain.ledger.retention = Retention(blocks=3, unsettled_blocks=3)
    rng = Random(6)
    work(chain, rng, 40)
    chain.ledger.sync_tree()
    chain.ledger.flushing.flush()
    for _ in range(12):  # pruning goes on a little with each block
        chain.ledger.retention = Retention(blocks=3, unsettled_blocks=3)
        work(chain, rng, 1)
        chain.ledger.sync_tree()
        chain.ledger.flushing.flush()
    chain.ledger.close = chain.ledger.abandon  # type: ignore[method-assign]
    tip = chain.ledger.checkpoint.height
    statuses: dict[str, IndexStatus] = {}
    with building(chain) as builder:
        for _ in range(1_000):
            statuses = {status.name: status for status in builder.advance(0.02)}
            if not any(status.is_building for status in statuses.values()):
                break
        assert not (chain.root / "builder" / REPLAY_DIRECTORY).exists()
    assert {tip} == {status.reached for status in statuses.values()}
    lowest = statuses["by_rank"].lowest
    assert 0 < lowest
    with pytest.raises(NotRetained):
        read(chain, by_rank, 1)
    rows = read(chain, sizes)
    assert list(range(tip + 1)) == list(rows)
    environment = chain.ledger.environment
    with environment.snapshot() as txn:
        items = make_view(app, txn, environment).state.items
        assert len(items) == rows[tip]
        assert {(item.rank, number): item.owner for number, item in items.items()} == read(chain, by_rank)
    assert sum(read(chain, fussy).values()) == len(read(chain, history))


def test_an_index_that_fails(chain: Chain) -> None:
    """It stops at the block below, says why and at which, and is tried again by the next process; others go on."""
    rng = Random(7)
    work(chain, rng, 2)
    chain.submit(chain.signer.sign(Place(1, shelf_indexes.FATAL)))
    chain.close_block()
    work(chain, rng, 2)
    with capture_logs() as logs:
        statuses = fill(chain)
    assert "block 3: it raised ValueError: a fatal rank" == statuses["fussy"].failure
    assert [2, 5, 5, 5] == [statuses[name].reached for name in ("fussy", "by_rank", "history", "sizes")]
    failed = [line for line in logs if line["event"] == "index_failed"]
    assert [("fussy", 3)] == [(line["index"], line["height"]) for line in failed]
    with pytest.raises(IndexNotReady, match="fussy stopped after height 2: block 3") as error:
        read(chain, fussy)
    assert "index_failed" == error.value.code
    assert expect(chain, 2)["fussy"] == read(chain, fussy, 2)
    listed = list_statuses(chain.root / "builder", 5)
    assert statuses == {status.name: status for status in listed}
    with capture_logs() as logs:
        fill(chain)
    assert "index_failed" in [line["event"] for line in logs]


@pytest.mark.parametrize("table", ["blocks", "state", "changes", "meta"])
def test_damage_is_mended(chain: Chain, table: str) -> None:
    """A damaged index is removed and filled again; the rollup's own store is not suspected."""
    work(chain, Random(8), 4)
    fill(chain)
    path = chain.root / "builder" / "indexes" / "by_rank"
    with IndexStore(path, read_only=False) as store, store.write() as txn:
        for key, value in list(txn.cursor(store.tables[table])):
            txn.put(key, bytes([value[0] ^ 1]) + value[1:], db=store.tables[table])
    with forked(chain, 8, 3, 30) as other:
        with building(other) as builder, capture_logs() as logs:
            for _ in range(3):
                builder.advance()
            finish(builder)
        assert ("index_damaged", "by_rank") in [(line["event"], line.get("index")) for line in logs]
        assert expect(other, 33)["by_rank"] == read(other, by_rank)


def test_no_room(chain: Chain) -> None:
    """What cannot be written is logged once and tried again; nothing is lost or counted twice."""
    work(chain, Random(16), 40)
    with building(chain) as builder, capture_logs() as logs:
        for fill_ in builder._fills:
            fill_._map_size = 1 << 16
        told = [len(builder.advance()) for _ in range(3)]
        failed = [line["reason"] for line in logs if line["event"] == "index_not_filled"]
        assert 0 < len(failed) == 4 - told[-1]
        assert all("the index could not be written" in reason for reason in failed)
        for fill_ in builder._fills:
            fill_.close()
            fill_._map_size = MAP_SIZE
        finish(builder)
    wanted = expect(chain, 40)
    for function in (by_rank, history, sizes, fussy):
        assert wanted[function.__name__] == read(chain, function)


def test_a_restored_store(chain: Chain, tmp_path: Path) -> None:
    """Without a history the first block is the oldest that can be read, all of its entries new; then it goes on."""
    work(chain, Random(12), 6)
    chain.ledger.sync_tree()
    write_snapshot(chain.ledger.environment, app, tmp_path / "snapshot")
    restored = restore_snapshot(tmp_path / "snapshot", tmp_path / "restored", app, map_size=MAP_SIZE)
    work(chain, Random(13), 3)
    with AuthenticationPool("shelf", chain.genesis.domain, 0) as pool:
        verify_blocks(restored, chain.get_blocks(7), None, pool)
    restored.close()
    builder = IndexBuilder(app, READS, tmp_path / "restored", map_size=MAP_SIZE)
    statuses = finish(builder)
    builder.close()
    assert {(6, 9)} == {(status.lowest, status.reached) for status in statuses.values()}
    wanted = expect(chain, 9)
    found = check_rows(tmp_path / "restored" / "indexes")
    assert wanted["by_rank"] == found["by_rank"]
    assert {height: wanted["sizes"][height] for height in range(6, 10)} == found["sizes"]
    first = chain.get_blocks(7)[0].header.first_seq
    assert {key: rank for key, rank in wanted["history"].items() if key[1] >= first} == found["history"]


def check_rows(directory: Path) -> dict[str, dict[Any, Any]]:
    """The rows of all indexes at their tips."""
    found: dict[str, dict[Any, Any]] = {}
    for path in directory.iterdir():
        field = READS.indexes[path.name].field
        with IndexStore(path, read_only=True) as store, store.snapshot() as txn:
            heights = store.get_heights(txn)
            assert heights is not None
            rows = RowsAt(txn, store.tables, heights[1], tip=heights[1]).iterate()
            found[path.name] = {field.decode_key(key[2:]): field.decode_row(value) for key, value in rows}
    return found


def test_scrubbed(chain: Chain) -> None:
    """Damage in an index is found and named, with what to do; an index that is behind is none."""
    work(chain, Random(14), 3)
    fill(chain)
    work(chain, Random(15), 1)
    chain.ledger.sync_tree()
    report = scrub_store(chain.root / "builder", "shelf:app")
    assert [] == report.damages
    assert 0 < report.checked["indexes"]
    path = chain.root / "builder" / "indexes" / "by_rank"
    with IndexStore(path, read_only=False) as store, store.write() as txn:
        cursor = txn.cursor(store.tables["state"])
        assert cursor.first()
        txn.put(cursor.key(), b"\0" * len(cursor.value()), db=store.tables["state"])
    (damage,) = scrub_store(chain.root / "builder", "shelf:app").damages
    assert damage.where.startswith("indexes/by_rank/0x80")
    assert "a node fills it again" in damage.repair


def test_the_id_is_the_code_s() -> None:
    """Two loads give one id; indexes of one module differ by name and types; queries do not count."""
    again = load_reads(app)
    assert again is not None
    assert {name: index.id for name, index in READS.indexes.items()} == {
        name: index.id for name, index in again.indexes.items()
    }
    assert 4 == len({index.id for index in READS.indexes.values()})
    assert set(NAMES) == set(READS.indexes)
    assert "byRank" not in READS.queries


def test_killed_anywhere(chain: Chain) -> None:
    """However often the process is killed: an index is never ahead of the store, and has the rows of its height."""
    rng = Random(11)
    work(chain, rng, 30)
    there = chain.root / "builder" / "indexes"
    wanted = [expect(chain, height) for height in range(31)]
    whole, seen = 0, set[int]()
    chain.sequencer.close()
    chain.ledger.close()
    script = [sys.executable, str(SUPPORT / "index_zygote.py")]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{SUPPORT}"}
    with subprocess.Popen(script, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment) as zygote:
        assert zygote.stdin is not None
        assert zygote.stdout is not None
        for number in range(100):
            if number >= 12 and whole:
                break
            zygote.stdin.write(f"{chain.root / 'builder'} {rng.uniform(0.001, 0.06)}\n")
            zygote.stdin.flush()
            code = int(zygote.stdout.readline())
            assert code in (0, -signal.SIGPROF)
            seen.update(check_indexes(there, wanted))
            if code == 0:
                assert [30] * 4 == check_indexes(there, wanted)
                shutil.rmtree(there)
                whole += 1
        zygote.stdin.close()
    chain.reopen()
    assert whole > 0
    assert 3 < len(seen)


def check_indexes(directory: Path, wanted: list[dict[str, dict[Any, Any]]]) -> list[int]:
    """Each index has a height, or none, and just the rows of that height; the heights are returned."""
    found = []
    for path in sorted(directory.glob("*/data.mdb")):
        name = path.parent.name
        try:
            store = IndexStore(path.parent, read_only=True)
        except StoreMissing:  # the first transaction was not finished
            continue
        with store, store.snapshot() as txn:
            reached = store.get_heights(txn)
            if reached is None:
                continue
            field = READS.indexes[name].field
            rows = RowsAt(txn, store.tables, reached[1], tip=reached[1]).iterate()
            read_rows = {field.decode_key(key[2:]): field.decode_row(value) for key, value in rows}
            assert wanted[reached[1]][name] == read_rows
            found.append(reached[1])
    return found
