"""The store of one index: an LMDB environment of its own, written by the process that fills the index.

    state     0x8000 || encoded key -> canonical msgpack of the value, as rows of a state are
    changes   height -> rows before and after the block; see `microrollup.store.row_changes`
    blocks    height -> `IndexedBlock`
    meta      format; head: `IndexHead`

`blocks` has the heights whose rows can be read, from its first to its last, the tip, whose rows are in `state`. What a
block makes of all four is written in one transaction, so whatever ends the process, the tables are those of the tip.
Without any line in `blocks`, `state` may hold a part of the first block, and is worth nothing. Rows carry checks as the
store's do; all of it is derived, so what is damaged is removed and filled again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final, Self, TypeVar

import lmdb
import msgspec

from microrollup.codec.canonical import decode_canonical, encode_canonical
from microrollup.errors import CommitFailed, DecodeError, StoreCorrupt, StoreError, StoreMissing
from microrollup.primitives import Bytes32, Uint64
from microrollup.store.environment import (
    DATA_FILE,
    MAP_SIZE,
    Tables,
    Transaction,
    encode_number,
    hold_writer_lock,
    map_errors,
)
from microrollup.store.row_changes import RowChange, decode_row_changes, encode_row_changes
from microrollup.store.row_check import pack_row, unpack_row
from microrollup.system import LMDB_TURN, describe_write_error

__all__ = ["INDEXES_DIRECTORY", "IndexHead", "IndexStore", "IndexedBlock", "list_stores"]

_T = TypeVar("_T")

INDEXES_DIRECTORY: Final = "indexes"
"""In a data directory: one directory for each index, by its name."""

INDEX_FORMAT: Final = 1
TABLES: Final = ("state", "changes", "blocks", "meta")
_MAX_READERS: Final = 512
_PRUNED_AT_ONCE: Final = 1_000
_FORMAT_KEY: Final = b"format"
_HEAD_KEY: Final = b"head"
_MAX_ROW_BYTES: Final = 4_096


class IndexHead(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Which index the rows are of, and how it stands."""

    id: Bytes32
    generation: Uint64
    """Grows whenever blocks are taken back: what was kept in memory of older ones is void."""
    failure: str
    """Why the index stopped at its tip; empty while it goes on."""


class IndexedBlock(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A block that the index has taken."""

    hash: Bytes32
    size: Uint64
    """Entries of the index after it."""


_HEAD_DECODER: Final = msgspec.msgpack.Decoder(IndexHead)
_BLOCK_DECODER: Final = msgspec.msgpack.Decoder(IndexedBlock)


def list_stores(directory: Path) -> list[Path]:
    """The directories of the indexes of a data directory, by name."""
    return sorted(path.parent for path in (directory / INDEXES_DIRECTORY).glob(f"*/{DATA_FILE}"))


class IndexStore:
    """One index's store, opened. Close it, or use it in a `with` statement."""

    def __init__(self, directory: Path, *, read_only: bool, map_size: int = MAP_SIZE) -> None:
        """Open the store, or make it; several may read it, one writes.

        Raises `StoreMissing` if there is none to be read, `StoreLocked`, `StoreCorrupt` also for another format, and
        `StoreError`.
        """
        self.directory = directory
        self._stack = ExitStack()
        if not (directory / DATA_FILE).exists() and read_only:
            raise StoreMissing(f"there is no index in {directory}")
        try:
            if not read_only:
                directory.mkdir(parents=True, exist_ok=True)
                self._stack.enter_context(hold_writer_lock(directory))
        except OSError as error:
            raise StoreError(f"{directory} cannot be used: {error.strerror}") from error
        try:
            with map_errors(directory):
                with LMDB_TURN:
                    self._env = lmdb.open(
                        str(directory), map_size=map_size, max_dbs=len(TABLES), readonly=read_only,
                        max_readers=_MAX_READERS, meminit=False, readahead=False,
                    )  # fmt: skip
                self._stack.callback(self._close_files)
                self._env.reader_check()
                self.tables: Tables = self._open_tables(create=not read_only)
            self.inode = (directory / DATA_FILE).stat().st_ino
            """Of the file, so that a reader notices that it was removed and made anew."""
        except BaseException:
            self._stack.close()
            raise

    def _open_tables(self, *, create: bool) -> Tables:
        try:
            tables = {name: self._env.open_db(name.encode(), create=create) for name in TABLES}
        except lmdb.NotFoundError:
            raise StoreMissing(f"the index in {self.directory} is being made") from None
        with self._env.begin(write=create) as txn:
            found = txn.get(_FORMAT_KEY, db=tables["meta"])
            if found is None and create:
                txn.put(_FORMAT_KEY, encode_number(INDEX_FORMAT), db=tables["meta"])
            elif found is None:
                raise StoreMissing(f"the index in {self.directory} is being made")
            elif bytes(found) != encode_number(INDEX_FORMAT):
                raise StoreCorrupt(f"{self.directory}", "is of another format")
        return tables

    def close(self) -> None:
        """Close the store. May be called again."""
        self._stack.close()

    def _close_files(self) -> None:
        with LMDB_TURN:
            self._env.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def snapshot(self) -> Iterator[Transaction]:
        """A read transaction. Raises `StoreCorrupt` for a damaged page, whenever it is met."""
        with map_errors(self.directory), self._env.begin(buffers=True) as txn:
            yield txn

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """A write transaction; durable when the block is left, or nothing of it. Raises `CommitFailed`."""
        with map_errors(self.directory):
            txn = self._env.begin(write=True)
            try:
                yield txn
                txn.commit()
            except BaseException as error:
                txn.abort()
                if isinstance(error, (lmdb.MapFullError, lmdb.DiskError, OSError)):
                    reason = describe_write_error(error, self.directory)
                    raise CommitFailed(f"the index could not be written: {reason}") from error
                raise

    # Reading

    def get_head(self, txn: Transaction) -> IndexHead | None:
        """Which index the rows are of; None in a store that was just made. Raises `StoreCorrupt`."""
        raw = txn.get(_HEAD_KEY, db=self.tables["meta"])
        return None if raw is None else self._decode("meta/head", _HEAD_KEY, raw, _HEAD_DECODER)

    def get_block(self, txn: Transaction, height: int) -> IndexedBlock | None:
        """What the index is after a block; None for a height that it does not have. Raises `StoreCorrupt`."""
        key = encode_number(height)
        raw = txn.get(key, db=self.tables["blocks"])
        return None if raw is None else self._decode(f"blocks/{height}", key, raw, _BLOCK_DECODER)

    def _decode(self, where: str, key: bytes, raw: bytes | memoryview, decoder: msgspec.msgpack.Decoder[_T]) -> _T:
        try:
            return decode_canonical(decoder, unpack_row(key, bytes(raw)), what=where, limit=_MAX_ROW_BYTES)
        except DecodeError as error:
            raise StoreCorrupt(f"{self.directory.name}/{where}", error.reason) from None

    def get_heights(self, txn: Transaction) -> tuple[int, int] | None:
        """The lowest and the highest height whose rows can be read; None before the first block is complete."""
        cursor = txn.cursor(self.tables["blocks"])
        if not cursor.first():
            return None
        lowest = int.from_bytes(cursor.key(), "big")
        cursor.last()
        return lowest, int.from_bytes(cursor.key(), "big")

    def read_changes(self, txn: Transaction, height: int) -> list[RowChange]:
        """What a block changed. Raises `StoreCorrupt`."""
        raw = txn.get(encode_number(height), db=self.tables["changes"])
        if raw is None:
            raise StoreCorrupt(f"{self.directory.name}/changes/{height}", "missing")
        try:
            return decode_row_changes(height, raw)
        except DecodeError as error:
            raise StoreCorrupt(f"{self.directory.name}/changes/{height}", error.reason) from None

    # Writing

    def put_head(self, txn: Transaction, head: IndexHead) -> None:
        """Note how the index stands."""
        txn.put(_HEAD_KEY, pack_row(_HEAD_KEY, encode_canonical(head)), db=self.tables["meta"])

    def clear(self, txn: Transaction, id_: bytes) -> None:
        """Begin anew, for an index of this id."""
        found = txn.get(_HEAD_KEY, db=self.tables["meta"])
        try:
            generation = 0 if found is None else (self.get_head(txn) or IndexHead(id_, 0, "")).generation + 1
        except StoreCorrupt:
            generation = 0
        for table in ("state", "changes", "blocks"):
            txn.drop(self.tables[table], delete=False)
        self.put_head(txn, IndexHead(id_, generation, ""))

    def put_rows(self, txn: Transaction, changes: Iterable[RowChange]) -> None:
        """Write rows as they are after some changes."""
        state = self.tables["state"]
        for change in changes:
            if change.new is None:
                txn.delete(change.key, db=state)
            else:
                txn.put(change.key, change.new, db=state)

    def put_block(self, txn: Transaction, height: int, block: IndexedBlock, changes: list[RowChange] | None) -> None:
        """Note a block whose rows are written, and what it has changed, without which it cannot be taken back."""
        key = encode_number(height)
        if changes is not None:
            txn.put(key, encode_row_changes(height, changes), db=self.tables["changes"])
        txn.put(key, pack_row(key, encode_canonical(block)), db=self.tables["blocks"])

    def take_back(self, txn: Transaction, height: int) -> None:
        """Undo the block at the tip. Raises `StoreCorrupt`."""
        changes = self.read_changes(txn, height)
        self.put_rows(txn, [RowChange(change.key, change.new, change.old) for change in changes])
        for table in ("changes", "blocks"):
            txn.delete(encode_number(height), db=self.tables[table])

    def prune(self, txn: Transaction, floor: int) -> None:
        """Drop some heights below `floor`: they cannot be read any more, nor taken back to."""
        for table, first in (("changes", floor + 1), ("blocks", floor)):
            cursor = txn.cursor(self.tables[table])
            for _ in range(_PRUNED_AT_ONCE):
                if not cursor.first() or int.from_bytes(cursor.key(), "big") >= first:
                    break
                cursor.delete()
