"""What the checks of one scan share: the store as of one transaction, and where findings go."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Final, cast

import lmdb
import msgspec
from blake3 import blake3

from microrollup.chain.block import Header, compute_rollup_id
from microrollup.chain.record import decode_genesis
from microrollup.codec.canonical import encode_canonical
from microrollup.declaration.rollup import MicroRollup
from microrollup.errors import DecodeError, StoreCorrupt, WrongRollup
from microrollup.ledger.code import get_code_at
from microrollup.maintenance.scrub.report import Counted, Found, ScrubEvent, ScrubRequest, TableProgress, Unchecked
from microrollup.store.environment import BASE_KEY, Environment, Transaction, encode_number
from microrollup.store.keys_at import read_inserted
from microrollup.store.merging import merge_stored
from microrollup.store.overlays import read_row_changes
from microrollup.store.stored_keys import decode_leaf_index
from microrollup.store.tables import (
    CHAIN_BYTES,
    CHECKPOINT_KEY,
    REWINDING_KEY,
    SYNCED_KEY,
    Checkpoint,
    get_base,
    get_block_row,
    get_checkpoint,
    get_log_start,
    get_record,
)
from microrollup.store.tree import LEAVES_FILE, NODES_FILE, FlatTree
from microrollup.store.tree_delta import DeltaView

__all__ = ["LogFacts", "Scan", "show"]

_ROWS_BETWEEN_REPORTS: Final = 2_000
_MAX_FOUND: Final = 100
"""Findings of a stage beyond these are counted only."""


class LogFacts(msgspec.Struct):
    """What the other tables must agree with."""

    openings: dict[int, int]
    """Height -> record number of its `Open`."""
    ends: dict[int, tuple[int, bytes]]
    """Height -> number of its last `Close`, and blake3 of that record."""
    rebuild: bytes | None
    """The newest `Rebuild` record."""
    length: int
    version: MicroRollup
    """The code of the newest block that was opened so far."""


def show(key: bytes) -> str:
    """A key in words: numbers in decimal, everything else in hex."""
    return str(int.from_bytes(key, "big")) if len(key) == 8 else f"0x{key.hex()}"


class Scan:
    """One process's view of the store. Everything is read in one transaction, so a writer may go on."""

    def __init__(
        self, environment: Environment, rollup: MicroRollup, request: ScrubRequest, emit: Callable[[ScrubEvent], None]
    ) -> None:
        self.environment = environment
        self.tables = environment.tables
        self.rollup = rollup
        self.unreadable = set(request.unreadable)
        self.wrong = set(request.wrong)
        self.log: LogFacts | None = None
        self._emit = emit
        self._held: list[Found] | None = None
        self._told: set[Found] = set()
        self._state = self._read_state(environment.reader)
        self._found_in_stage = 0

    def get_code(self, height: int) -> MicroRollup:
        """The version whose state stands after a block. Raises `OtherCode`, `StoreCorrupt`."""
        return get_code_at(self.environment, self.txn, self.rollup, height)

    @cached_property
    def is_based(self) -> bool:
        """Whether the rollup has no builder, so that its blocks bear no seals."""
        try:
            return decode_genesis(get_record(self.txn, self.tables, 0) or b"").is_based
        except DecodeError:
            return False

    # Reporting

    def begin_stage(self) -> None:
        """Count findings anew."""
        self._found_in_stage = 0

    def find(self, table: str, key: object, reason: str, *, unreadable: bool = False) -> None:
        """Report damage at a key of a table; without a key (None) in the table as a whole."""
        self.wrong.add(table)
        if unreadable:
            self.unreadable.add(table)
        found = Found(table if key is None else f"{table}/{key}", reason, unreadable)
        if found in self._told:
            return
        self._told.add(found)
        self._found_in_stage += 1
        if self._held is not None:
            self._held.append(found)
        elif self._found_in_stage <= _MAX_FOUND:
            self._emit(found)

    def end_stage(self) -> None:
        """Tell how many findings were not told."""
        if self._found_in_stage > _MAX_FOUND:
            self._emit(Unchecked(f"{self._found_in_stage - _MAX_FOUND} more findings of the same kind are not listed"))

    def skip(self, what: str) -> None:
        """Report what could not be looked at."""
        self._emit(Unchecked(what))

    def count(self, table: str, rows: int) -> None:
        """Report that a table was read."""
        self._emit(Counted(table, rows))

    def report(self, table: str, done: int, total: int) -> None:
        """Report progress now and then."""
        if done % _ROWS_BETWEEN_REPORTS == 0 or done == total:
            self._emit(TableProgress(table, done, total))

    def hold(self) -> None:
        """Keep findings back until `release`: the writer may be changing what is read."""
        self._held = []

    def release(self, what: str) -> None:
        """Tell what was kept back, unless the writer has finished a block meanwhile."""
        held, self._held = self._held or [], None
        if held and self._is_written():
            self.skip(f"{what}: the store was written meanwhile; scrub again, or stop the writer first")
            return
        for found in held[:_MAX_FOUND]:
            self._emit(found)

    def _is_written(self) -> bool:
        """Whether somebody has finished a block since the scan's transaction began."""
        with self.environment.snapshot() as txn:
            return self._read_state(txn) != self._state

    def _read_state(self, txn: Transaction) -> list[bytes] | None:
        """What changes in the store when the flat files do; None if that cannot be read."""
        try:
            return [
                bytes(txn.get(key, b"", db=self.tables["meta"])) for key in (CHECKPOINT_KEY, REWINDING_KEY, BASE_KEY)
            ]
        except lmdb.Error:
            return None

    # Reading

    @property
    def txn(self) -> Transaction:
        """The transaction in which everything is read, as long as no damaged page has ended it."""
        return self.environment.reader

    def recover(self) -> None:
        """Go on after a damaged page."""
        self.environment.refresh()

    def get(self, table: str, key: bytes) -> bytes | None:
        """One row."""
        return self.environment.get(table, key)

    def iterate(self, table: str) -> Iterator[tuple[bytes, bytes]]:
        """All rows of a table, ascending."""
        return cast("Iterator[tuple[bytes, bytes]]", iter(self.environment.cursor(table)))

    # What is known of the store

    @cached_property
    def rollup_id(self) -> bytes:
        """Of the genesis record, or of the newest block if that record is damaged. Raises `StoreCorrupt`."""
        raw = self.get("log", encode_number(0))
        try:
            genesis = decode_genesis((raw or b"")[CHAIN_BYTES:])
            rollup_id = compute_rollup_id(genesis)
        except DecodeError:
            return self.tip_header.rollup_id
        if raw is not None and blake3(rollup_id + encode_canonical(genesis)).digest() != raw[:CHAIN_BYTES]:
            return self.tip_header.rollup_id
        if genesis.name != self.rollup.name:
            raise WrongRollup(f"the store holds the rollup {genesis.name!r}, not {self.rollup.name!r}")
        return rollup_id

    @cached_property
    def checkpoint(self) -> Checkpoint:
        """How far derived data is. Raises `StoreCorrupt`."""
        return get_checkpoint(self.txn, self.tables)

    @cached_property
    def tip_header(self) -> Header:
        """The newest block's. Raises `StoreCorrupt`."""
        return self.get_header(self.checkpoint.height)

    @cached_property
    def start(self) -> tuple[int, int]:
        """Lowest height and record number that the store must have after the genesis's; (0, 0) if it has them all."""
        start = get_log_start(self.txn, self.tables)
        return (0, 0) if start is None else (start.height, start.number)

    def get_header(self, height: int) -> Header:
        """The header of a closed block. Raises `StoreCorrupt`."""
        row = get_block_row(self.txn, self.tables, height)
        if row is None:
            raise StoreCorrupt(f"blocks/{height}", "missing")
        return row.header

    def get_number(self, key: bytes) -> int | None:
        """A number of the `meta` table."""
        raw = self.get("meta", key)
        return None if raw is None else int.from_bytes(raw, "big")

    def get_delta(self, height: int) -> DeltaView:
        """What a block changed in the tree. Raises `StoreCorrupt`, `DecodeError`."""
        raw = self.get("undo_tree", encode_number(height))
        if raw is None:
            raise StoreCorrupt(f"undo_tree/{height}", "missing")
        delta = DeltaView(raw)
        delta.check()
        return delta

    @cached_property
    def base(self) -> int:
        """The height up to which `state` and `tree` are complete. Raises `StoreCorrupt`."""
        return get_base(self.txn, self.tables)

    @cached_property
    def unwritten_rows(self) -> dict[bytes, list[bytes | None]]:
        """State rows that the blocks above `base` changed: what each was there and after each of those blocks.

        Raises `StoreCorrupt`.
        """
        found: dict[bytes, list[bytes | None]] = {}
        for height in range(self.base + 1, self.checkpoint.height + 1):
            for change in read_row_changes(self.txn, self.tables, height):
                values = found.setdefault(change.key, [change.old])
                if values[-1] != change.old:
                    raise StoreCorrupt(
                        f"changes/{height}", f"the old value of 0x{change.key.hex()} is not its last new one"
                    )
                values.append(change.new)
        return found

    @cached_property
    def unwritten_keys(self) -> dict[bytes, int]:
        """Tree keys that the blocks above `base` inserted, with their leaf indices. Raises `StoreCorrupt`."""
        return read_inserted(self.txn, self.tables, self.base + 1, self.checkpoint.height)

    def get_row(self, row_key: bytes) -> bytes | None:
        """A state row of the newest height, as stored."""
        values = self.unwritten_rows.get(row_key)
        return self.get("state", row_key) if values is None else values[-1]

    def iterate_rows(self) -> Iterator[tuple[bytes, bytes]]:
        """The state rows of the newest height, ascending, as stored."""
        rows = self.unwritten_rows
        return merge_stored(self.environment.cursor("state"), sorted(rows), lambda key: rows[key][-1])

    def find_leaf(self, tree_key: bytes) -> int | None:
        """The leaf index of a tree key."""
        found = self.unwritten_keys.get(tree_key)
        if found is None and (raw := self.get("tree", tree_key)) is not None:
            return decode_leaf_index(raw)
        return found

    @cached_property
    def tree(self) -> FlatTree:
        """The flat files as opening the store would bring them to the checkpoint, in this process's memory only.

        Raises `StoreError` and `DecodeError`.
        """
        height = self.checkpoint.height
        rewinding = self.get_number(REWINDING_KEY)
        tip = height if rewinding is None else rewinding
        synced = min(self.get_number(SYNCED_KEY) or 0, tip)
        deltas = [self.get_delta(number) for number in range(synced + 1, tip + 1)]
        if deltas:
            leaf_count = deltas[0].leaf_count_before
        else:
            leaf_count = self.checkpoint.leaf_count if rewinding is None else self.get_delta(tip).leaf_count
        for name in (LEAVES_FILE, NODES_FILE):
            if not (self.environment.directory / name).is_file():
                raise StoreCorrupt(name, "the file is missing")
        tree = FlatTree(self.environment.directory, leaf_count, private=True)
        tree.redo(deltas)
        if rewinding is not None:
            tree.rewind(self.get_delta(number) for number in range(tip, height, -1))
        return tree
