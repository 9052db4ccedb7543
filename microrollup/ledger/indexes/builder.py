"""Filling an app's indexes: block by block up to the newest closed one, anew where an index's code has changed."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import structlog

from microrollup.chain.block import Header, compute_block_hash
from microrollup.declaration.index import IndexBlock, IndexType
from microrollup.declaration.map import Map, bind_map
from microrollup.declaration.query import Reads
from microrollup.declaration.rollup import MicroRollup
from microrollup.errors import StoreCorrupt, StoreError
from microrollup.execution.indexing import IndexFault, IndexRunner
from microrollup.ledger.code import OtherCode, get_code_at
from microrollup.ledger.indexes.blocks import BlockReader, StateWanted, StoredBlock
from microrollup.ledger.indexes.replay import REPLAY_DIRECTORY, Replay
from microrollup.ledger.indexes.status import IndexStatus, read_status
from microrollup.ledger.reading import read_header
from microrollup.ledger.viewing import ReadFault, ViewedRows
from microrollup.store.environment import MAP_SIZE, Environment, Transaction
from microrollup.store.index_store import INDEXES_DIRECTORY, IndexedBlock, IndexHead, IndexStore
from microrollup.store.retention import get_lowest_height
from microrollup.store.row_changes import RowChange
from microrollup.store.row_check import pack_row
from microrollup.store.rows_at import RowsAt
from microrollup.store.tables import get_checkpoint, get_log_start

__all__ = ["IndexBuilder"]

_COMMIT_SECONDS: Final = 0.1
"""So long blocks are taken into one transaction while an index is being built."""

_log = structlog.get_logger(__name__)


class IndexBuilder:
    """Fills all indexes of one data directory, which another process may be writing. For one thread."""

    def __init__(self, rollup: MicroRollup, reads: Reads, directory: Path, *, map_size: int = MAP_SIZE) -> None:
        """`directory` holds the store. Raises `StoreError` and its kinds."""
        self._rollup = rollup
        self._directory = directory
        self._runner = IndexRunner(reads)
        self._environment = Environment(directory, read_only=True, map_size=map_size)
        try:
            self._reader = BlockReader(rollup, self._environment)
        finally:
            self._environment.refresh()
        self._replay: Replay | None = None
        self._fills = [
            _Fill(index, directory / INDEXES_DIRECTORY / index.name, map_size) for index in reads.indexes.values()
        ]
        self._remove_others(set(reads.indexes))

    def _remove_others(self, names: set[str]) -> None:
        """Forget indexes that the app no longer has."""
        parent = self._directory / INDEXES_DIRECTORY
        for path in parent.iterdir() if parent.is_dir() else ():
            if path.name not in names:
                _log.info("index_removed", index=path.name)
                shutil.rmtree(path, ignore_errors=True)

    def close(self) -> None:
        """Close all stores."""
        for fill in self._fills:
            fill.close()
        if self._replay is not None:
            self._replay.close()
        self._environment.close()

    def advance(self, seconds: float = _COMMIT_SECONDS) -> list[IndexStatus]:
        """Bring each index nearer to the newest block for so long; how they stand then.

        An index that cannot be written or read is logged and tried again with the next call.
        """
        found: list[IndexStatus] = []
        for fill in self._fills:
            try:
                with self._environment.snapshot() as txn:
                    tip = get_checkpoint(txn, self._environment.tables).height
                    store = fill.open()
                    if not fill.failed:
                        self._advance(fill, store, txn, tip, time.monotonic() + seconds)
                    found.append(read_status(store, fill.index.name, fill.index.id, tip))
                fill.trouble = ""
            except StoreError as error:
                self._note_trouble(fill, error)
        self._end_replay()
        return found

    def _note_trouble(self, fill: _Fill, error: StoreError) -> None:
        if str(error) != fill.trouble:
            fill.trouble = str(error)
            _log.error("index_not_filled", index=fill.index.name, reason=fill.trouble)
        if isinstance(error, StoreCorrupt) and fill.is_own(error):
            _log.error("index_damaged", index=fill.index.name, reason=str(error))
            fill.remove()

    def _advance(self, fill: _Fill, store: IndexStore, txn: Transaction, tip: int, deadline: float) -> None:
        reached = self._take_back(fill, store, txn, tip)
        if reached is None:
            reached = self._begin(fill, store, txn, tip, deadline)
        while reached is not None and reached < tip and not fill.failed:
            reached = self._fill_some(fill, store, txn, reached, tip, deadline)
            if time.monotonic() >= deadline:
                break
        fill.reached = -1 if reached is None else reached

    def _take_back(self, fill: _Fill, store: IndexStore, txn: Transaction, tip: int) -> int | None:
        """Undo the blocks that are not the store's any more; the newest height that is left, None for none.

        The rows of another index than this one go as well.
        """
        with store.snapshot() as index_txn:
            head, heights = store.get_head(index_txn), store.get_heights(index_txn)
            is_ours = head is not None and head.id == fill.index.id
            if is_ours and heights is not None and self._is_of(store, index_txn, txn, heights[1], tip):
                return heights[1]
        with store.write() as index_txn:
            if is_ours and head is not None and heights is not None:
                for height in range(heights[1], heights[0], -1):
                    store.take_back(index_txn, height)
                    if self._is_of(store, index_txn, txn, height - 1, tip):
                        store.put_head(index_txn, IndexHead(fill.index.id, head.generation + 1, ""))
                        _log.warning("index_taken_back", index=fill.index.name, height=height - 1)
                        return height - 1
            store.clear(index_txn, fill.index.id)
        return None

    def _is_of(self, store: IndexStore, index_txn: Transaction, txn: Transaction, height: int, tip: int) -> bool:
        """Whether what the index has of a height is of the block that the rollup's store has there."""
        block = store.get_block(index_txn, height) if height <= tip else None
        return block is not None and block.hash == compute_block_hash(read_header(txn, self._environment, height))

    def _begin(self, fill: _Fill, store: IndexStore, txn: Transaction, tip: int, deadline: float) -> int | None:
        """Take the first block: the first one of the app's version, the genesis for the oldest. In a store without its
        history, it is the oldest height that can be read. None while there is no such block.
        """
        tables = self._environment.tables
        first = self._find_first(txn, tip)
        if first is None:
            return None
        _log.info("index_begins", index=fill.index.name, height=first, tip=tip)
        lowest = get_lowest_height(txn, tables, tip)
        if get_log_start(txn, tables) is not None:
            first = max(first, lowest)
        try:
            if lowest <= first:
                self._take_first(fill, store, self._reader, txn, read_header(txn, self._environment, first))
            else:
                with self._open_replay(first, txn, deadline) as replay, replay.environment.snapshot() as replay_txn:
                    header = read_header(replay_txn, replay.environment, first)
                    self._take_first(fill, store, replay.reader, replay_txn, header)
        except _Late:
            fill.needs_replay = True
            return None
        except IndexFault as fault:
            self._fail(fill, store, first, fault)
            return None
        return first

    def _find_first(self, txn: Transaction, tip: int) -> int | None:
        """The lowest height whose state is of the app's version; None before that version is in force."""
        if not self._is_in_force(txn, tip):
            return None
        start = get_log_start(txn, self._environment.tables)
        low, high = 0 if start is None else start.height, tip
        while low < high:
            middle = (low + high) // 2
            if self._is_in_force(txn, middle):
                high = middle
            else:
                low = middle + 1
        return high

    def _is_in_force(self, txn: Transaction, height: int) -> bool:
        try:
            return get_code_at(self._environment, txn, self._rollup, height) is self._rollup
        except OtherCode:
            return False

    def _take_first(
        self, fill: _Fill, store: IndexStore, reader: BlockReader, txn: Transaction, header: Header
    ) -> None:
        size = 0
        with store.write() as index_txn:
            store.clear(index_txn, fill.index.id)
        for part in reader.iterate_parts(txn, header):
            with store.write() as index_txn:
                changes, size = self._run(fill, store, index_txn, header.height, size, part)
                store.put_rows(index_txn, changes)
        with store.write() as index_txn:
            store.put_block(index_txn, header.height, IndexedBlock(compute_block_hash(header), size), None)

    def _fill_some(
        self, fill: _Fill, store: IndexStore, txn: Transaction, reached: int, tip: int, deadline: float
    ) -> int:
        """Take blocks above `reached` in one transaction, until time is up; the height that is reached then."""
        floor = get_lowest_height(txn, self._environment.tables, tip)
        fault: IndexFault | None = None
        with store.write() as index_txn:
            found = store.get_block(index_txn, reached)
            size = 0 if found is None else found.size
            while reached < tip:
                try:
                    with self._read_block(fill, txn, reached + 1, deadline) as block:
                        changes, size = self._run(fill, store, index_txn, reached, size, block)
                        hash_ = compute_block_hash(block.header)
                except StateWanted:
                    fill.needs_replay = True
                    break
                except _Late:
                    break
                except IndexFault as error:
                    fault = error
                    break
                reached += 1
                store.put_rows(index_txn, changes)
                undo = changes if reached > floor else None  # nobody reads below it, or takes it back
                store.put_block(index_txn, reached, IndexedBlock(hash_, size), undo)
                if time.monotonic() >= deadline:
                    break
            store.prune(index_txn, min(floor, reached))
        if fault is not None:
            self._fail(fill, store, reached + 1, fault)
        return reached

    @contextmanager
    def _read_block(self, fill: _Fill, txn: Transaction, height: int, deadline: float) -> Iterator[StoredBlock]:
        """A block, with its state where the index has asked for it. Raises `_Late`."""
        header = read_header(txn, self._environment, height)
        if header.stf_id != self._rollup.stf_id and not self._is_in_force(txn, height):
            raise _Late  # the rollup was upgraded: its node is about to begin anew
        block = self._reader.read_block(txn, header)
        if block.is_whole or not fill.needs_replay:
            yield block
            return
        with self._open_replay(height, txn, deadline) as replay, replay.environment.snapshot() as replay_txn:
            yield replay.reader.read_block(replay_txn, read_header(replay_txn, replay.environment, height))

    @contextmanager
    def _open_replay(self, height: int, txn: Transaction, deadline: float) -> Iterator[Replay]:
        """The replay, with the block at a height executed again. Raises `_Late` if that takes too long for now."""
        if self._replay is not None and not self._replay.holds(height):
            self._replay.close(remove=True)
            self._replay = None
        if self._replay is None:
            self._replay = Replay(self._rollup, self._environment, self._directory / REPLAY_DIRECTORY, height)
        while self._replay.header.height < height:
            self._replay.step(txn)
            if time.monotonic() >= deadline and self._replay.header.height < height:
                raise _Late
        yield self._replay

    def _end_replay(self) -> None:
        """Remove the replay once no index is at a height that needs it."""
        with self._environment.snapshot() as txn:
            tip = get_checkpoint(txn, self._environment.tables).height
            lowest = get_lowest_height(txn, self._environment.tables, tip)
        for fill in self._fills:
            fill.needs_replay = fill.needs_replay and not fill.failed and fill.reached < lowest
        if not any(fill.needs_replay for fill in self._fills):
            if self._replay is not None:
                self._replay.close()
                self._replay = None
            shutil.rmtree(self._directory / REPLAY_DIRECTORY, ignore_errors=True)

    def _run(
        self, fill: _Fill, store: IndexStore, index_txn: Transaction, reached: int, size: int, block: StoredBlock
    ) -> tuple[list[RowChange], int]:
        """What a block changes in the rows of an index, which has `size` entries before it.

        Raises `IndexFault`, `StateWanted`, and the `StoreError` of what could not be read.
        """
        rows = _OwnRows(store, index_txn, reached)
        entries: Map[Any, Any] = bind_map(ViewedRows(fill.index.field, rows), size)
        try:
            updates, size = self._runner.run(fill.index, partial(IndexBlock, block), entries, block.size)
        except ReadFault as fault:
            raise fault.cause from None
        changes: list[RowChange] = []
        for key, value in updates:
            row_key = fill.index.field.row_prefix + key
            old = index_txn.get(row_key, db=store.tables["state"])
            new = None if value is None else pack_row(row_key, value)
            if old is None or new is None or bytes(old) != new:
                changes.append(RowChange(row_key, None if old is None else bytes(old), new))
        return changes, size

    def _fail(self, fill: _Fill, store: IndexStore, height: int, fault: IndexFault) -> None:
        """Stop an index at the block below `height`, until its code is another or the process begins anew."""
        _log.error("index_failed", index=fill.index.name, height=height, reason=str(fault))
        fill.failed = True
        with store.write() as index_txn:
            head = store.get_head(index_txn)
            generation = 0 if head is None else head.generation
            store.put_head(index_txn, IndexHead(fill.index.id, generation, f"block {height}: {fault}"))


class _Late(Exception):
    """The next block cannot be taken for now."""


class _OwnRows(RowsAt):
    """The rows of an index at its tip; damage names the index."""

    def __init__(self, store: IndexStore, txn: Transaction, tip: int) -> None:
        super().__init__(txn, store.tables, tip, tip=tip)
        self._name = store.directory.name

    def get(self, row_key: bytes) -> bytes | None:
        """The value of a row. Raises `StoreCorrupt`."""
        try:
            return super().get(row_key)
        except StoreCorrupt as error:
            raise StoreCorrupt(f"{self._name}/{error.where}", error.reason) from None

    def iterate(
        self, prefix: bytes = b"", start: bytes = b"", stop: bytes | None = None, *, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        """Keys and values of a range. Raises `StoreCorrupt`."""
        try:
            yield from super().iterate(prefix, start, stop, reverse=reverse)
        except StoreCorrupt as error:
            raise StoreCorrupt(f"{self._name}/{error.where}", error.reason) from None


class _Fill:
    """One index, and how its filling goes."""

    def __init__(self, index: IndexType, directory: Path, map_size: int) -> None:
        self.index = index
        self._directory = directory
        self._map_size = map_size
        self._store: IndexStore | None = None
        self.reached = -1
        self.failed = False
        """It is not tried again in this process."""
        self.needs_replay = False
        self.trouble = ""
        """What was logged of a store that could not be used."""

    def open(self) -> IndexStore:
        """The store, opened now if it was not. What stopped the index in an earlier process is tried again."""
        if self._store is None:
            self._store = IndexStore(self._directory, read_only=False, map_size=self._map_size)
            with self._store.write() as txn:
                head = self._store.get_head(txn)
                if head is not None and head.failure:
                    self._store.put_head(txn, IndexHead(head.id, head.generation, ""))
        return self._store

    def is_own(self, error: StoreCorrupt) -> bool:
        """Whether the index's own store is damaged, not the rollup's."""
        return error.where.startswith((f"{self._directory.name}/", str(self._directory)))

    def remove(self) -> None:
        """Remove the store; the next call makes it anew."""
        self.close()
        self.reached = -1
        shutil.rmtree(self._directory, ignore_errors=True)

    def close(self) -> None:
        """Close the store."""
        if self._store is not None:
            self._store.close()
            self._store = None
