"""`Ledger`: a rollup over its store. Opens blocks, executes entries, computes headers, commits log and checkpoints.

Sequencer, verifier and replay all go this way, so what one builds another rebuilds to the byte:

    begin(open) -> execute(entries) ... -> compute_header() -> finish(seal)

Between `begin` and `finish` only `commit` touches the disk, and only the log; `finish` writes the close record and
everything derived from the block in one transaction. Opening a store executes again the entries behind its last
checkpoint.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final, Self

from microrollup.audit import audit_values
from microrollup.authentication import Authenticator
from microrollup.block import Block, Header, compute_block_hash, compute_rollup_id
from microrollup.closing import Closing, compute_changes, compute_closing, put_closing
from microrollup.entry import (
    decode_forced,
    is_forced_record,
    make_forced_entry,
    make_signed_entry,
)
from microrollup.errors import DecodeError, NotRetained, RefusedError, StoreCorrupt, StoreError, WrongRollup
from microrollup.genesis import check_genesis, read_genesis, write_genesis
from microrollup.journal import Journal
from microrollup.limits import relaxed_recursion
from microrollup.map import Map, bind_map, rebind_map
from microrollup.open_block import OpenBlock
from microrollup.receipt import Receipt
from microrollup.record import Close, Genesis, Open, Rebuild, Seal, encode_record
from microrollup.recovery import open_tree, read_logged_block, read_number, take_blocks_back
from microrollup.rollup import MicroRollup
from microrollup.settlement.forced import compute_queue_hash
from microrollup.state import NONCES
from microrollup.stf import BlockContext, ChainState, Entry, LimitHit, apply_actions
from microrollup.store.environment import MAP_SIZE, Environment, Transaction, encode_number, map_errors
from microrollup.store.retention import Retention, get_lowest_height, prune
from microrollup.store.rows import StoredKeys, StoredRows, read_scalar
from microrollup.store.tables import (
    CHECKPOINT_KEY,
    SYNCED_KEY,
    BlockRow,
    Checkpoint,
    append_records,
    encode_row,
    get_block,
    get_block_row,
    get_chain,
    get_checkpoint,
    get_log_length,
    get_log_start,
)
from microrollup.watchdog import Watchdog

__all__ = ["Ledger"]

SYNC_BLOCKS: Final = 64
SYNC_LEAVES: Final = 50_000
"""The flat files are made durable after so many blocks or changed leaves: what a crash leaves to redo."""


class Ledger:
    """A rollup's state with its store. One process owns it; close it, or use it in a `with` statement."""

    def __init__(self, rollup: MicroRollup, environment: Environment, genesis: Genesis, *, audit: bool = False) -> None:
        """Use `create` or `open`."""
        self.rollup = rollup
        self.environment = environment
        self.genesis = genesis
        self.rollup_id = compute_rollup_id(genesis)
        self.authenticator = Authenticator(rollup.action_types, genesis.domain)
        self.retention = Retention()
        self.block: OpenBlock | None = None
        self.watchdog: Watchdog | None = None
        """Interrupts STFs that run too long, once somebody sets it."""
        self._audit = audit
        self._keys = StoredKeys(environment)
        self._pending: list[bytes] = []
        self._opening: tuple[int, int] | None = None
        self._load()

    # Opening and closing the store

    @classmethod
    def create(
        cls, directory: Path, rollup: MicroRollup, genesis: Genesis, *, audit: bool = False, map_size: int = MAP_SIZE
    ) -> Self:
        """Make a store that holds the genesis and nothing else.

        Raises `WrongRollup` if the genesis commits to another first state than the app's, and `StoreError`.
        """
        environment = Environment(directory, create=True, map_size=map_size)
        try:
            write_genesis(directory, environment, rollup, genesis)
            return cls(rollup, environment, genesis, audit=audit)
        except BaseException:
            environment.close()
            raise

    @classmethod
    def open(cls, directory: Path, rollup: MicroRollup, *, audit: bool = False, map_size: int = MAP_SIZE) -> Self:
        """Open a store: repair the flat files if need be, and execute again what lies behind the last checkpoint.

        Raises `StoreError` and its kinds; `WrongRollup` if it is another app's.
        """
        environment = Environment(directory, map_size=map_size)
        try:
            with map_errors(directory):
                genesis = read_genesis(environment)
                check_genesis(rollup, genesis)
                ledger = cls(rollup, environment, genesis, audit=audit)
        except BaseException:
            environment.close()
            raise
        try:
            with map_errors(directory):
                ledger.resume()
        except BaseException:
            ledger.abandon()
            raise
        return ledger

    def close(self) -> None:
        """Make the flat files durable and close the store. Uncommitted entries are dropped."""
        try:
            self.sync_tree()
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Close without writing anything, as after an error; the next opening repairs what has to be."""
        self.tree.close()
        self.environment.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.close()
        else:
            self.abandon()

    def _load(self) -> None:
        """Take everything that is kept in memory from the store, as of its checkpoint."""
        environment, rollup = self.environment, self.rollup
        txn, tables = environment.reader, environment.tables
        self.checkpoint = get_checkpoint(txn, tables)
        if len(self.checkpoint.sizes) != len(rollup.state_fields) + 1:
            raise WrongRollup("the store's state has other fields than the app's")
        row = get_block_row(txn, tables, self.checkpoint.height)
        if row is None:
            raise StoreCorrupt(f"blocks/{self.checkpoint.height}", "missing")
        self.header = row.header
        self._length = get_log_length(txn, tables)
        self._chain = get_chain(txn, tables, self._length - 1, self.rollup_id)
        fields: dict[str, object] = {}
        for (name, field), size in zip(rollup.state_fields, self.checkpoint.sizes, strict=False):
            rows = StoredRows(environment, field)
            fields[name] = bind_map(rows, size) if field.is_map else read_scalar(environment, field)
        nonces: Map[bytes, int] = bind_map(StoredRows(environment, NONCES), self.checkpoint.sizes[-1])
        self.state = ChainState(rollup.state_type.cls(**fields), nonces, self.checkpoint.forced_count)
        self._unsynced_leaves = 0
        self.tree = open_tree(environment, self.checkpoint, self.header.state_root)
        self._synced_height = read_number(environment, SYNCED_KEY) or 0

    # Building a block

    @property
    def next_seq(self) -> int:
        """The sequence number of the next entry."""
        return self.checkpoint.next_seq if self.block is None else self.block.context.next_seq

    def begin(self, opened: Open) -> OpenBlock:
        """Open the next block. Its record goes to the log with the first `commit`."""
        if self.block is not None or opened.height != self.checkpoint.height + 1:
            raise StoreError(f"block {opened.height} cannot be opened behind block {self.checkpoint.height}")
        self._opening = (opened.height, self._length + len(self._pending))
        self._pending.append(encode_record(opened))
        return self._begin(opened, self._length + len(self._pending))

    def _begin(self, opened: Open, first_record: int) -> OpenBlock:
        journal = Journal(len(self.rollup.state_fields))
        context = BlockContext(opened.height, opened.timestamp, self.checkpoint.next_seq, journal, audit=self._audit)
        forced = (self.checkpoint.forced_count, self.checkpoint.forced_hash)
        self.block = OpenBlock(opened, first_record, context, forced)
        if self.watchdog is not None:
            self.watchdog.watch(context)
        return self.block

    def execute(self, entries: Sequence[Entry]) -> list[Receipt]:
        """Execute entries behind those that the open block has. In memory only, until `commit` or `finish`.

        Raises `LimitHit` if one hits a limit: those before it are executed, it and those behind it are not. Raises
        `NonceMismatch` likewise.
        """
        receipts = self._execute(entries)
        self._pending.extend([entry.record for entry in entries])
        return receipts

    def _execute(self, entries: Sequence[Entry]) -> list[Receipt]:
        block = self._require_block()
        try:
            self.state, receipts = apply_actions(self.rollup, self.state, entries, block.context)
        except LimitHit as hit:
            self.state = hit.state
            self._note(block, entries[: len(hit.receipts)], hit.receipts)
            self._pending.extend([entry.record for entry in entries[: len(hit.receipts)]])
            raise
        if self.environment.fault is not None:
            raise self.environment.fault
        self._note(block, entries, receipts)
        return receipts

    def _note(self, block: OpenBlock, entries: Sequence[Entry], receipts: list[Receipt]) -> None:
        records = [entry.record for entry in entries]
        block.records += records
        block.receipts += receipts
        block.record_bytes += sum(map(len, records))
        for entry in entries:
            if entry.nonce < 0:
                forced = decode_forced(entry.record)
                block.forced_count += 1
                block.forced_hash = compute_queue_hash(
                    block.forced_hash, forced.sender, forced.inclusion_block, forced.payload
                )

    def commit(self) -> None:
        """Make the log durable up to here. Raises `CommitFailed`; then nothing since may be acknowledged."""
        if self._pending:
            with self.environment.write() as txn:
                chain = self._append(txn, self._pending)
            self._appended(chain)

    def _append(self, txn: Transaction, records: list[bytes]) -> bytes:
        if self._opening is not None:
            height, number = self._opening
            txn.put(encode_number(height), encode_number(number), db=self.environment.tables["openings"])
        return append_records(txn, self.environment.tables, self._length, self._chain, records)

    def _appended(self, chain: bytes, more: int = 0) -> None:
        self._chain = chain
        self._length += len(self._pending) + more
        self._pending.clear()
        self._opening = None

    def compute_header(self) -> Closing:
        """The open block's header, and what it would write. Changes nothing; `finish` may follow."""
        block = self._require_block()
        changes = compute_changes(
            self.rollup, block.context.journal, self.state, self.checkpoint.lanes, self.tree, self._keys
        )
        if self._audit:
            audit_values(self.rollup, self.state, block.context.journal, self.environment)
        forced = (block.forced_count, block.forced_hash)
        return compute_closing(
            block.open, block.records, block.receipts, changes, self.checkpoint, self.rollup_id, forced
        )

    def finish(self, closing: Closing, seal: Seal) -> Header:
        """Close the open block: log, state, tree, receipts and checkpoint in one durable transaction."""
        block, header, changes = self._require_block(), closing.header, closing.changes
        tables, height = self.environment.tables, encode_number(closing.header.height)
        checkpoint = Checkpoint(
            height=header.height,
            block_hash=compute_block_hash(header),
            next_seq=header.first_seq + header.action_count,
            forced_count=header.forced_count,
            forced_hash=header.forced_hash,
            leaf_count=changes.delta.leaf_count,
            sizes=changes.sizes,
            lanes=changes.lanes,
        )
        with self.environment.write() as txn:
            chain = self._append(txn, [*self._pending, encode_record(Close(header.height, seal))])
            row = BlockRow(header, block.open, seal, block.first_record)
            txn.put(height, encode_row(row), db=tables["blocks"])
            put_closing(txn, tables, closing)
            txn.put(height, encode_row(self.checkpoint), db=tables["undo_checkpoint"])
            txn.put(CHECKPOINT_KEY, encode_row(checkpoint), db=tables["meta"])
            floor = self.retention.compute_floor(txn, tables, header.height, header.timestamp)
            prune(txn, tables, min(floor, self._synced_height))
        self._appended(chain, 1)
        self.tree.apply(changes.delta)
        self._settle_into(header, checkpoint)
        self._unsynced_leaves += len(changes.delta.leaf_indices)
        if self._unsynced_leaves >= SYNC_LEAVES or header.height % SYNC_BLOCKS == 0:
            self.sync_tree()
        return header

    def _settle_into(self, header: Header, checkpoint: Checkpoint) -> None:
        """Take over a finished block: its entries are stored now, so maps begin a fresh line of versions."""
        self.header, self.checkpoint, self.block = header, checkpoint, None
        app = self.state.app
        fields = {
            name: rebind_map(getattr(app, name), StoredRows(self.environment, field))
            if field.is_map
            else getattr(app, name)
            for name, field in self.rollup.state_fields
        }
        nonces = rebind_map(self.state.nonces, StoredRows(self.environment, NONCES))
        self.state = ChainState(self.rollup.state_type.cls(**fields), nonces, checkpoint.forced_count)

    def _require_block(self) -> OpenBlock:
        if self.block is None:
            raise StoreError("no block is open")
        return self.block

    def sync_tree(self) -> None:
        """Make the flat files durable, and note up to which height they are."""
        if self._synced_height == self.checkpoint.height:
            return
        self.tree.sync()
        with self.environment.write() as txn:
            txn.put(SYNCED_KEY, encode_number(self.checkpoint.height), db=self.environment.tables["meta"])
        self._synced_height = self.checkpoint.height
        self._unsynced_leaves = 0

    def get_block(self, height: int) -> Block | None:
        """A closed block above genesis, whole. Raises `StoreCorrupt`; `NotRetained` for what a snapshot left out."""
        return get_block(self.environment.reader, self.environment.tables, self.rollup_id, height)

    def get_block_hash(self, height: int) -> bytes:
        """The hash of a closed block. Raises `StoreCorrupt` if there is none, and `NotRetained`."""
        if height == self.checkpoint.height:
            return self.checkpoint.block_hash
        row = get_block_row(self.environment.reader, self.environment.tables, height)
        if row is None:
            raise StoreCorrupt(f"blocks/{height}", "missing")
        return compute_block_hash(row.header)

    def note_settled(self, height: int, time: int) -> None:
        """Note that a height settled on L1 at `time` (seconds); it decides how long old heights are kept."""
        with self.environment.write() as txn:
            txn.put(encode_number(height), encode_number(time), db=self.environment.tables["settled"])

    # Executing again what the log holds

    def resume(self) -> OpenBlock | None:
        """Execute again the entries of the next block if the log holds it: behind a crash, or during a rebuild."""
        if self.block is None:
            logged = read_logged_block(self.environment, self.rollup_id, self.checkpoint.height + 1)
            if logged is not None:
                block = self._begin(logged.open, logged.first_record)
                block.replayed = logged.closed
                with relaxed_recursion():
                    self._execute([self.read_entry(record) for record in logged.records])
        return self.block

    def rebuild(self, height: int, stf_id: bytes) -> None:
        """Take back the blocks from `height` on and make ready to execute their entries again under `stf_id`.

        Follow with `resume`, `compute_header` and `finish` until `resume` gives None or a block that is not `replayed`.
        Raises what `require_rebuildable` raises, and `CommitFailed`.
        """
        self.require_rebuildable(height)
        take_blocks_back(
            self.environment, self.tree, Rebuild(height, stf_id), self.checkpoint.height, self._length, self._chain
        )
        self.tree.close()
        self._load()

    def require_rebuildable(self, height: int) -> None:
        """Raises `StoreError` unless the height is closed, above what is settled, and no block is open.

        Raises `NotRetained` for a height that a snapshot brought.
        """
        settled = self.environment.cursor("settled")
        lowest = int.from_bytes(settled.key(), "big") + 1 if settled.last() else 1
        start = get_log_start(self.environment.reader, self.environment.tables)
        if start is not None and height <= start.height:
            raise NotRetained(f"block {height} cannot be built again: the store was restored at height {start.height}")
        if self.block is not None or not lowest <= height <= self.checkpoint.height:
            raise StoreError(f"a rebuild begins at a closed height from {lowest} to {self.checkpoint.height}")
        kept = get_lowest_height(self.environment.reader, self.environment.tables, self.checkpoint.height)
        if height <= kept:
            raise NotRetained(f"block {height} cannot be taken back any more, the lowest that can is {kept + 1}")

    def read_entry(self, record: bytes) -> Entry:
        """Authenticate a record of this log (forced ones are taken as they are). Raises `StoreCorrupt`."""
        try:
            if is_forced_record(record):
                return make_forced_entry(self.rollup, self.rollup_id, decode_forced(record))
            return make_signed_entry(self.rollup, self.authenticator.authenticate_record(record))
        except (DecodeError, RefusedError) as error:
            raise StoreCorrupt("log", f"an entry of the log is not valid: {error}") from None
