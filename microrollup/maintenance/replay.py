"""Replay: rebuild everything that is derived from a log into a fresh store, and compare two stores to the byte."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby, takewhile, zip_longest
from operator import itemgetter
from pathlib import Path
from typing import Any, Final, Protocol, cast

import lmdb
import msgspec
import numpy as np

from microrollup.chain.block_entry import is_block_record
from microrollup.chain.record import Close, Open, Rebuild
from microrollup.chain.upgrade_entry import is_upgrade_record
from microrollup.crypto.merkle.indexed import LEAF_BYTES, compute_depth
from microrollup.crypto.merkle.levels import HASH_BYTES
from microrollup.declaration.rollup import MicroRollup
from microrollup.errors import DecodeError, RefusedError, StoreCorrupt
from microrollup.execution.authentication import Authentication
from microrollup.execution.authentication_pool import RecordChunk, split_chunks
from microrollup.execution.entry import (
    decode_forced,
    decode_kernel_record,
    is_forced_record,
    is_signed_record,
    make_block_entry,
    make_entry,
    make_forced_entry,
    make_upgrade_entry,
)
from microrollup.execution.stf import Entry
from microrollup.ledger.genesis import read_genesis
from microrollup.ledger.ledger import Ledger
from microrollup.limits import relaxed_limits
from microrollup.store.action_index import BUCKET_BITS
from microrollup.store.environment import Environment, Tables, Transaction, encode_number
from microrollup.store.keys_at import iterate_tree_rows
from microrollup.store.retention import UNDO_TABLES
from microrollup.store.rows_at import iterate_state_rows
from microrollup.store.tables import get_checkpoint, get_log_length, iterate_log
from microrollup.store.tree import LEAVES_FILE, NODES_FILE

__all__ = ["Difference", "LogPart", "RecordAuthentication", "compare_stores", "continue_replay", "replay_log"]

DERIVED_TABLES: Final = ("log", "openings", "blocks", "receipts", "state", "tree", "index")
"""Of `state` and `tree` the rows as they are once the newest block is written out."""

_TABLES_OF_PARTS: Final = ("log", "openings", "blocks", "receipts", "index")
"""Of which a part of a history has rows of its own."""

_ROWS_AT_ONCE: Final = 1 << 16
_CHUNK: Final = 1_000
"""Records that a worker authenticates at a time: nobody waits for the first of them."""

_GROUP: Final = 1_000
"""Entries that are executed together; they become durable with their block, since nobody waits for them."""


class RecordAuthentication(Protocol):
    """Authenticates the records of a log: an `AuthenticationPool`, for one."""

    def authenticate_records(self, chunks: Iterable[Sequence[bytes]], /) -> Iterator[list[Authentication]]:
        """For each chunk the outcome of each record, in order."""
        ...


class LogPart(msgspec.Struct, frozen=True):
    """A part of a history: the records and entries of the blocks after one height up to another, both closed."""

    records: range
    heights: range
    seqs: range


class Difference(msgspec.Struct, frozen=True):
    """A place where two stores are not equal."""

    table: str
    key: str
    """Hex, or a row number of a flat file."""
    reason: str


def replay_log(
    source: Environment,
    rollup: MicroRollup,
    directory: Path,
    pool: RecordAuthentication,
    on_record: Callable[[int], None] = lambda _: None,
) -> Ledger:
    """Execute a whole log again into a new store in `directory`; only the log of `source` is read.

    Signatures are checked by the pool. Raises `StoreCorrupt` where the log is damaged or a record cannot follow.
    """
    ledger = Ledger.create(directory, rollup, read_genesis(source))
    try:
        continue_replay(source, ledger, pool, on_record=on_record)
    except BaseException:
        ledger.abandon()
        raise
    return ledger


def continue_replay(
    source: Environment,
    ledger: Ledger,
    pool: RecordAuthentication,
    last: int | None = None,
    on_record: Callable[[int], None] = lambda _: None,
) -> None:
    """Execute the log of `source` after the last record of `ledger`, up to record `last` if that is named.

    Raises as `replay_log`; then the ledger's memory is ahead of its store.
    """
    rollup, rollup_id = ledger.app, ledger.rollup_id
    first = get_log_length(ledger.environment.reader, ledger.environment.tables)
    count = None if last is None else last - first + 1
    group: list[Entry] = []
    carried: deque[bytes] = deque()  # what carriers brought, which the log has after them

    def flush() -> None:
        if group:
            with relaxed_limits():
                count = len(ledger.execute(group))
            if count > len(group) and ledger.block is not None:
                carried.extend(ledger.block.records[len(group) - count :])
            group.clear()

    with source.snapshot() as txn:
        outcomes = _authenticate(iterate_log(txn, source.tables, rollup_id, first, count), rollup, pool)
        for number, record in iterate_log(txn, source.tables, rollup_id, first, count):
            kernel = _decode_kernel_record(record, number)
            if carried:
                if record != carried.popleft():
                    raise StoreCorrupt(f"log/{number}", "is not what the carrier before it brings")
                next(outcomes)
            elif kernel is None:
                group.append(_read_entry(ledger, record, number, outcomes, len(group)))
                if len(group) >= _GROUP or group[-1].candidates is not None:
                    flush()
            else:
                flush()
                _replay_kernel_record(ledger, kernel, number)
            on_record(number)
    flush()
    ledger.commit()


def _authenticate(
    log: Iterator[tuple[int, bytes]], app: MicroRollup, pool: RecordAuthentication
) -> Iterator[Authentication]:
    """The outcomes of all signed records of a log, in order, checked ahead of their turn."""
    for outcomes in pool.authenticate_records(_split_versions(_read_signed(log, app), _CHUNK)):
        yield from outcomes


def _read_signed(log: Iterator[tuple[int, bytes]], app: MicroRollup) -> Iterator[tuple[int, bytes]]:
    """Each signed record, with the number of the version that was in force; 0 is the oldest."""
    ids = [version.stf_id for version in app.versions] if len(app.versions) > 1 else []
    version = 0
    for number, record in log:
        if not is_signed_record(record):
            continue
        kernel = _decode_kernel_record(record, number)
        if kernel is None:
            yield version, record
        elif isinstance(kernel, Open):
            version = ids.index(kernel.stf_id) if kernel.stf_id in ids else 0


def _split_versions(records: Iterator[tuple[int, bytes]], size: int) -> Iterator[RecordChunk]:
    """Chunks of at most `size` records that one version has signed, in order."""
    for version, run in groupby(records, key=itemgetter(0)):
        for chunk in split_chunks((record for _, record in run), size):
            yield RecordChunk(chunk, version)


def _decode_kernel_record(record: bytes, number: int) -> object:
    """The kernel's own record, None for an entry. Raises `StoreCorrupt`."""
    try:
        return decode_kernel_record(record)
    except DecodeError as error:
        raise StoreCorrupt(f"log/{number}", error.reason) from None


def _read_entry(ledger: Ledger, record: bytes, number: int, outcomes: Iterator[Authentication], index: int) -> Entry:
    if is_upgrade_record(record):
        return make_upgrade_entry(ledger.rollup_id, ledger.checkpoint.height + 1, index, record)
    if is_block_record(record):
        if ledger.block is None:
            raise StoreCorrupt(f"log/{number}", "an entry outside of a block")
        return make_block_entry(ledger.rollup_id, ledger.block.open.height)
    if is_forced_record(record):
        try:
            forced = decode_forced(record)
            return make_forced_entry(ledger.rollup, ledger.rollup_id, forced, ledger.authenticator)
        except DecodeError as error:
            raise StoreCorrupt(f"log/{number}", error.reason) from None
    outcome = next(outcomes)
    if isinstance(outcome, (RefusedError, DecodeError)):
        raise StoreCorrupt(f"log/{number}", f"not a valid action: {outcome}")
    return make_entry(ledger.rollup, ledger.rollup_id, outcome)


def _replay_kernel_record(ledger: Ledger, record: object, number: int) -> None:
    match record:
        case Open():
            ledger.begin(record)
        case Close():
            if ledger.block is None:
                ledger.resume()
            if ledger.block is None or ledger.block.open.height != record.height:
                raise StoreCorrupt(f"log/{number}", f"closes block {record.height}, which is not open")
            if ledger.block.replayed and ledger.block.round != record.seal.round:
                expected = f"round {ledger.block.round}, not {record.seal.round}"
                raise StoreCorrupt(
                    f"log/{number}", f"block {record.height} was rebuilt and must be sealed in {expected}"
                )
            ledger.finish(ledger.compute_header(), record.seal)
        case Rebuild():
            ledger.rebuild(record.height)
        case _:
            raise StoreCorrupt(f"log/{number}", "a second genesis record")


def compare_stores(
    one: Environment, other: Environment, part: LogPart | None = None, *, state: bool = True
) -> list[Difference]:
    """Where what is derived in two stores differs: the first place of each table, and of the two flat files.

    Undo is compared for the blocks that both keep. Stores that hold the same log give an empty list. With a `part` only
    its records, blocks and entries are compared, and the state only if `state` says that both end there.
    """
    differences: list[Difference] = []
    with one.snapshot() as left, other.snapshot() as right:
        for table in DERIVED_TABLES if state else _TABLES_OF_PARTS:
            rows = [_iterate(txn, tables, table, part) for txn, tables in ((left, one.tables), (right, other.tables))]
            pairs = zip_longest(*rows)
            for ours, theirs in pairs:
                if ours == theirs:
                    continue
                if ours is not None and theirs is not None and ours[0] == theirs[0]:
                    key, reason = ours[0], "value"
                else:
                    key, reason = min(bytes(row[0]) for row in (ours, theirs) if row is not None), "present in one"
                differences.append(Difference(table, f"0x{bytes(key).hex()}", f"{reason} differs"))
                break
        for table in UNDO_TABLES:
            for key, value in left.cursor(one.tables[table]):
                if part is not None and int.from_bytes(key, "big") not in part.heights:
                    continue
                found = right.get(key, db=other.tables[table])
                if found is not None and found != value:
                    differences.append(Difference(table, f"0x{bytes(key).hex()}", "value differs"))
                    break
        if not state:
            return differences
        checkpoints = [get_checkpoint(left, one.tables), get_checkpoint(right, other.tables)]
        if checkpoints[0] != checkpoints[1]:
            differences.append(Difference("meta", "checkpoint", "value differs"))
    return differences + _compare_files(one.directory, other.directory, checkpoints[0].leaf_count)


def _iterate(txn: Transaction, tables: Tables, table: str, part: LogPart | None) -> Iterator[tuple[bytes, bytes]]:
    """All rows of a table, ascending, or those of a part."""
    if part is not None and table in _TABLES_OF_PARTS:
        yield from _iterate_part(txn, tables, table, part)
        return
    match table:
        case "state":
            yield from iterate_state_rows(txn, tables)
        case "tree":
            yield from iterate_tree_rows(txn, tables, get_checkpoint(txn, tables).height)
        case _:
            yield from _read_rows(txn.cursor(tables[table]))


def _iterate_part(txn: Transaction, tables: Tables, table: str, part: LogPart) -> Iterator[tuple[bytes, bytes]]:
    """The rows of a part in one of `_TABLES_OF_PARTS`."""
    cursor = txn.cursor(tables[table])
    if table == "index":
        first, last = part.seqs.start >> BUCKET_BITS, (part.seqs.stop - 1) >> BUCKET_BITS
        if part.seqs and cursor.set_range(first.to_bytes(4, "big")):
            for key, row in takewhile(lambda item: int.from_bytes(item[0][:4], "big") <= last, _read_rows(cursor)):
                if int.from_bytes(row[:8], "big") in part.seqs:
                    yield key, row
        return
    numbers = {"log": part.records, "receipts": part.seqs}.get(table, part.heights)
    if cursor.set_range(encode_number(numbers.start)):
        yield from takewhile(lambda item: int.from_bytes(item[0], "big") < numbers.stop, _read_rows(cursor))


def _read_rows(cursor: lmdb.Cursor) -> Iterator[tuple[bytes, bytes]]:
    """From where the cursor is; `lmdb` types what it gives for all its settings."""
    return cast("Iterator[tuple[bytes, bytes]]", iter(cursor))


def _compare_files(one: Path, other: Path, leaf_count: int) -> list[Difference]:
    """The first differing row of `leaves`, and of each level of `nodes`; unused rows do not count."""
    differences: list[Difference] = []
    leaves, nodes = (
        [np.memmap(side / name, np.uint8, "r") for side in (one, other)] for name in (LEAVES_FILE, NODES_FILE)
    )
    used = np.arange(leaf_count)
    _compare_rows(LEAVES_FILE, leaves, LEAF_BYTES, used, differences)
    for level in range(compute_depth(leaf_count) + 1):
        indices = np.arange(-(-leaf_count >> level))
        _compare_rows(NODES_FILE, nodes, HASH_BYTES, ((2 * indices + 1) << level) - 1, differences)
    return differences


def _compare_rows(
    name: str, files: list[np.memmap[Any, Any]], row_bytes: int, rows: np.ndarray[Any, Any], found: list[Difference]
) -> None:
    one, other = (file[: len(file) - len(file) % row_bytes].reshape(-1, row_bytes) for file in files)
    for first in range(0, len(rows), _ROWS_AT_ONCE):
        part = rows[first : first + _ROWS_AT_ONCE]
        if int(part[-1]) >= min(len(one), len(other)):
            found.append(Difference(name, str(int(part[-1])), "one file is too short"))
            return
        wrong = np.flatnonzero((one[part] != other[part]).any(axis=1))
        if len(wrong):
            found.append(Difference(name, str(int(part[wrong[0]])), "row differs"))
            return
