"""`Ledger`: a rollup over its store. Opens blocks, executes entries, computes headers, commits log and checkpoints.

Sequencer, verifier and replay all go this way, so what one builds another rebuilds to the byte:

    begin(open) -> execute(entries) ... -> compute_header() -> finish(seal)

Between `begin` and `finish` only `commit` touches the disk, and only the log; `finish` writes the close record and
everything derived from the block in one transaction. Opening a store executes again the entries after its last
checkpoint.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final, Self

import msgspec

from microrollup.chain.block import Header, compute_rollup_id
from microrollup.chain.receipt import Receipt
from microrollup.chain.record import Close, Genesis, Open, Rebuild, Seal, encode_record
from microrollup.chain.upgrade_entry import is_upgrade_record
from microrollup.declaration.rollup import MicroRollup
from microrollup.errors import StoreCorrupt, StoreError
from microrollup.execution.authentication import Authenticator
from microrollup.execution.block_context import BlockContext
from microrollup.execution.carrier import apply_entries
from microrollup.execution.journal import Journal
from microrollup.execution.stf import Entry, LimitHit, Stopped
from microrollup.execution.watchdog import Watchdog
from microrollup.ledger.audit import audit_values
from microrollup.ledger.closing import Closing, StateChanges, compute_changes, compute_closing, put_closing
from microrollup.ledger.code import check_code, check_newest_block, find_code, keep_manifest
from microrollup.ledger.flush import Flushing, FlushLimits
from microrollup.ledger.genesis import check_genesis, read_genesis, write_genesis
from microrollup.ledger.ledger_store import LedgerStore
from microrollup.ledger.memory import StateMemory
from microrollup.ledger.open_block import OpenBlock
from microrollup.ledger.recovery import (
    LoggedBlock,
    find_rounds,
    open_tree,
    read_logged_block,
    read_number,
    require_rebuildable,
    take_blocks_back,
)
from microrollup.ledger.upgrade_block import compute_upgrade_changes, execute_upgrade
from microrollup.limits import collect_rarely, relaxed_limits
from microrollup.store.environment import MAP_SIZE, Environment, Transaction, encode_number, map_errors
from microrollup.store.retention import Retention, prune
from microrollup.store.rows import StateRows
from microrollup.store.stored_keys import StoredKeys
from microrollup.store.tables import (
    SYNCED_KEY,
    BlockRow,
    Checkpoint,
    append_records,
    check_log_end,
    encode_row,
    get_chain,
    get_checkpoint,
    get_log_length,
    make_checkpoint,
    put_tip,
    read_records,
)

__all__ = ["Ledger"]

SYNC_BLOCKS: Final = 64
SYNC_LEAVES: Final = 150_000
"""The flat files are made durable after so many blocks or changed leaves: what a crash leaves to redo."""


class Ledger(LedgerStore):
    """A rollup's state with its store. One process owns it; close it, or use it in a `with` statement."""

    def __init__(self, app: MicroRollup, environment: Environment, genesis: Genesis, *, audit: bool = False) -> None:
        """Use `create` or `open`."""
        collect_rarely()
        self.app = app
        """The app that is loaded, with all its versions."""
        self.rollup = app.oldest
        """The version that executes the open block, and the next one."""
        self.environment = environment
        self.genesis = genesis
        self.rollup_id = compute_rollup_id(genesis)
        self.authenticator = Authenticator.of(self.rollup, genesis.domain)
        self.retention = Retention()
        self.block: OpenBlock | None = None
        self.watchdog: Watchdog | None = None
        """Interrupts STFs that run too long, once somebody sets it."""
        self._audit, self.twice = audit, False
        """Execute each action twice and compare, once somebody sets `twice`; see `BlockContext`."""
        self.flushing = Flushing(environment, FlushLimits())
        self._keys = StoredKeys(environment, self.flushing.unflushed)
        self._memory = StateMemory(self.rollup, environment, self._keys, self.flushing.unflushed)
        self._pending: list[bytes] = []
        self._opening: tuple[int, int] | None = None
        self._rounds: dict[int, int] | None = None
        """Of the heights that a rebuild executes again, once they are needed."""
        self._load()
        _ = app.stf_id  # of the sources as they were loaded; read at the first block, an edit until then would count

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
        """Open a store: repair the flat files if need be, and execute again what follows the last checkpoint.

        Raises `StoreError` and its kinds; `WrongRollup` if it is another app's; `OtherCode` if no version of the app is
        the code of the newest block, or of the open one.
        """
        environment = Environment(directory, map_size=map_size)
        try:
            with map_errors(directory):
                genesis = read_genesis(environment)
                check_genesis(rollup, genesis)
                check_newest_block(environment, rollup)
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

    def _load(self) -> None:
        """Take everything that is kept in memory from the store, as of its checkpoint."""
        environment = self.environment
        txn, tables = environment.reader, environment.tables
        self.checkpoint = get_checkpoint(txn, tables)
        self.header = self.get_header(self.checkpoint.height)
        self._length = get_log_length(txn, tables)
        read_records(txn, tables, self.rollup_id, self._length - 1, 1)
        self._chain = get_chain(txn, tables, self._length - 1, self.rollup_id)
        self._use_code(find_code(environment, self.app, self.header.height, self.header.stf_id))
        self.flushing.load(self.checkpoint.height)
        self.state = self._memory.load(self.checkpoint)
        self._unsynced_leaves = 0
        self.tree = self._keys.bind(open_tree(environment, self.checkpoint, self.header.state_root))
        self._synced_height = read_number(environment, SYNCED_KEY) or 0

    def _use_code(self, version: MicroRollup) -> None:
        """Execute by this version from now on."""
        if version is not self.rollup:
            self.rollup = version
            self.authenticator = Authenticator.of(version, self.genesis.domain)
            self._memory = StateMemory(version, self.environment, self._keys, self.flushing.unflushed)

    # Building a block

    @property
    def next_seq(self) -> int:
        """The sequence number of the next entry."""
        return self.checkpoint.next_seq if self.block is None else self.block.context.next_seq

    def begin(self, opened: Open, *, rebuilt: bool = False) -> OpenBlock:
        """Open the next block. Its record goes to the log with the first `commit`. `rebuilt`: its entries are given."""
        if self.block is not None or opened.height != self.checkpoint.height + 1:
            raise StoreError(f"block {opened.height} cannot be opened after block {self.checkpoint.height}")
        self._opening = (opened.height, self._length + len(self._pending))
        self._pending.append(encode_record(opened))
        return self._begin(opened, self._length + len(self._pending), rebuilt=rebuilt)

    def _begin(self, opened: Open, first_record: int, *, rebuilt: bool) -> OpenBlock:
        journal = Journal(len(self.rollup.state_fields))
        next_seq = self.checkpoint.next_seq
        context = BlockContext(
            opened.height, opened.timestamp, next_seq, journal, audit=self._audit, twice=self.twice, rebuilt=rebuilt,
            rollup_id=self.rollup_id,
        )  # fmt: skip
        forced = (self.checkpoint.forced_count, self.checkpoint.forced_hash)
        self.block = OpenBlock(opened, first_record, context, forced)
        if self.watchdog is not None:
            self.watchdog.watch(context)
        return self.block

    def execute(self, entries: Sequence[Entry]) -> list[Receipt]:
        """Execute entries after those that the open block has, and what carriers among them bring: a receipt for each.
        In memory only, until `commit` or `finish`.

        Raises `LimitHit`, `OverBudget` or `NonceMismatch` at an entry that cannot be taken: those before it are
        executed, it and those after it are not. Entries of an upgrade come all at once, and into an empty block.
        """
        block = self._require_block()
        count = len(block.records)
        try:
            return self._execute(block, entries)
        finally:
            self._pending.extend(block.records[count:])

    def _execute(self, block: OpenBlock, entries: Sequence[Entry]) -> list[Receipt]:
        if entries and entries[0].kind == "upgrade":
            if block.records:
                raise StoreError(f"block {block.open.height} upgrades after other entries")
            self.flushing.flush()
            rows = StateRows(self.environment, self.checkpoint.height)
            block.upgraded = execute_upgrade(self.app, self.rollup, entries, rows, self.checkpoint, block.context)
            block.note(entries, block.upgraded.receipts)
            return block.upgraded.receipts
        if block.upgraded is not None and entries:
            raise StoreError(f"block {block.open.height} upgrades: it holds nothing else")
        try:
            self.state, executed, receipts = apply_entries(self.rollup, self.state, entries, block.context)
        except Stopped as stopped:
            self.state = stopped.state
            if isinstance(stopped, LimitHit) and stopped.limit == "memory":
                self._memory.forget(self.state, block.context.journal)
            block.note(stopped.entries, stopped.receipts)
            raise
        if self.environment.fault is not None:
            raise self.environment.fault
        block.note(executed, receipts)
        return receipts

    def upgrade(self, opened: Open, entries: Sequence[Entry]) -> OpenBlock:
        """Open a block that upgrades to `opened.stf_id` and execute its entries; it names the code that they lead to.

        Nothing goes to the log before `finish`. Raises what `execute` raises.
        """
        place = len(self._pending)
        block = self.begin(opened)
        self.execute(entries)
        if block.upgraded is not None:
            block.open = msgspec.structs.replace(opened, stf_id=block.upgraded.stf_id)
            self._pending[place] = encode_record(block.open)
        return block

    def commit(self) -> None:
        """Make the log durable up to here, with a slice of rows. `CommitFailed`: nothing since may be acknowledged."""
        if self._pending:
            self._replicate(self._pending)
            with self.environment.write() as txn:
                chain = self._append(txn, self._pending)
                self.flushing.put_slice(txn)
            self._appended(chain)
            self.flushing.note_durable()

    def _append(self, txn: Transaction, records: list[bytes]) -> bytes:
        check_log_end(txn, self.environment.tables, self._length, self._chain)
        if self._opening is not None:
            height, number = self._opening
            txn.put(encode_number(height), encode_number(number), db=self.environment.tables["openings"])
        return append_records(txn, self.environment.tables, self._length, self._chain, records)

    def _appended(self, chain: bytes, more: int = 0) -> None:
        self._chain = chain
        self._length += len(self._pending) + more
        self._pending.clear()
        self._opening = None
        if self.block is not None:
            self.block.durable = len(self.block.records)

    def compute_header(self) -> Closing:
        """The open block's header, and what it would write. Changes nothing; `finish` may follow.

        Raises `StoreError` for a block without the hook's entry as its first, or with it anywhere else.
        """
        block = self._require_block()
        block.check_begin(hooked=self.rollup.on_block is not None)
        if block.upgraded is not None:
            rows = StateRows(self.environment, self.checkpoint.height)
            changes = compute_upgrade_changes(
                self.app, self.rollup, block.upgraded, rows, self.checkpoint, self.tree, self._keys
            )
        else:
            changes = compute_changes(
                self.rollup, block.context.journal, self.state, self.checkpoint.lanes, self.tree, self._keys
            )
        if block.open.stf_id != (self.rollup.stf_id if block.upgraded is None else block.upgraded.stf_id):
            raise StoreError(f"block {block.open.height} names another code than the one that it leads to")
        if self._audit and block.upgraded is None:
            audit_values(self.rollup, self.state, block.context.journal, self.flushing.get_stored)
        forced = (block.forced_count, block.forced_hash)
        return compute_closing(
            block.open, block.records, block.receipts, changes, self.checkpoint, self.rollup_id, forced, block.carried
        )

    def finish(self, closing: Closing, seal: Seal) -> Header:
        """Close the open block: log, changes, undo, receipts and checkpoint in one durable transaction.

        Raises `CommitFailed`; the block may be closed then, if writing out older ones is what failed.
        """
        block, header, changes = self._require_block(), closing.header, closing.changes
        tables, height = self.environment.tables, encode_number(closing.header.height)
        checkpoint = make_checkpoint(header, changes.delta.leaf_count, changes.sizes, changes.lanes)
        records = [*self._pending, encode_record(Close(header.height, seal))]
        self._replicate(records, header)
        with self.environment.write() as txn:
            chain = self._append(txn, records)
            txn.put(height, encode_row(BlockRow(header, block.open, seal, block.first_record)), db=tables["blocks"])
            put_closing(txn, tables, closing)
            keep_manifest(txn, tables, find_code(self.environment, self.app, header.height, header.stf_id))
            txn.put(height, encode_row(self.checkpoint), db=tables["undo_checkpoint"])
            put_tip(txn, tables, checkpoint)
            floor = self.retention.compute_floor(txn, tables, header.height, header.timestamp)
            prune(txn, tables, min(floor, self._synced_height, self.flushing.unflushed.base))
        self._appended(chain, 1)
        self.tree.apply(changes.delta)
        self.flushing.add(header.height, changes)
        self._settle_into(header, checkpoint, changes)
        self._unsynced_leaves += len(changes.delta.leaf_indices)
        if self._unsynced_leaves >= SYNC_LEAVES or header.height % SYNC_BLOCKS == 0:
            self.sync_tree()
        self.flushing.make_room()
        return header

    def _settle_into(self, header: Header, checkpoint: Checkpoint, changes: StateChanges) -> None:
        """Take over a finished block: its entries are stored now."""
        upgraded = self._require_block().upgraded
        self.header, self.checkpoint, self.block = header, checkpoint, None
        if upgraded is not None and not upgraded.has_failed:
            self._use_code(find_code(self.environment, self.app, header.height, header.stf_id))
            self.state = self._memory.load(checkpoint)
        else:
            self.state = self._memory.move_on(self.state, changes)

    def _require_block(self) -> OpenBlock:
        if self.block is None:
            raise StoreError("no block is open")
        return self.block

    # Executing again what the log holds

    def resume(self) -> OpenBlock | None:
        """Execute again the entries of the next block if the log holds it: after a crash, or during a rebuild."""
        if self.block is None:
            logged = read_logged_block(self.environment, self.rollup_id, self.checkpoint.height + 1)
            if logged is not None:
                if not (logged.records and is_upgrade_record(logged.records[0])):
                    check_code(self.environment, self.rollup, logged.open.height, logged.open.stf_id)
                block = self._begin(logged.open, logged.first_record, rebuilt=logged.closed)
                block.replayed = logged.closed
                block.round = self._find_round(logged) if logged.closed else 0
                with relaxed_limits():
                    self._execute_logged(block, logged.records)
                block.durable = len(block.records)
        return self.block

    def _execute_logged(self, block: OpenBlock, records: Sequence[bytes]) -> None:
        """Execute again the entries that the log has of a block, up to each carrier, and on after what it brings."""
        given: list[Entry] = []
        while (at := len(block.records) + len(given)) < len(records):
            given.append(self.read_entry(records[at], index=at))
            if given[-1].candidates is not None or at + 1 == len(records):
                self._execute(block, given)
                given = []
        if block.records != records:
            raise StoreCorrupt(f"log/{block.first_record}", "holds other records than its carriers bring")

    def _find_round(self, logged: LoggedBlock) -> int:
        if self._rounds is None:
            self._rounds = find_rounds(self.environment, self.rollup_id, logged.first_record)
        return self._rounds[logged.open.height]

    def rebuild(self, height: int, *, forget: bool = False) -> None:
        """Take back the blocks from `height` on and make ready to execute their entries again, each block's under the
        code that built it; or let the log `forget` them, as where L1 gives other ones.

        Follow with `resume`, `compute_header` and `finish` until `resume` gives None or a block that is not `replayed`.
        Raises what `require_rebuildable` raises, and `CommitFailed`.
        """
        self.require_rebuildable(height)
        self.flushing.flush()
        self._replicate([encode_record(Rebuild(height))])
        end = self.checkpoint.height, self._length, self._chain
        take_blocks_back(self.environment, self.tree, Rebuild(height), *end, self.find_authenticator, forget=forget)
        self.tree.close()
        self._rounds = None
        self._load()

    def require_rebuildable(self, height: int) -> None:
        """Raises `StoreError` unless no block is open and `recovery.require_rebuildable` is content."""
        if self.block is not None:
            raise StoreError(f"block {self.block.open.height} is open; a rebuild begins between two blocks")
        require_rebuildable(self.environment, height, self.checkpoint.height)
