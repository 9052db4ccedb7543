"""The LMDB environment of a store: its tables, its writer's lock, durable transactions and mapped errors.

One directory, one environment, one writer. Readers of other processes open it read-only and hold no transaction for
long. Sync is never off: what `commit` has returned from is on disk.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Self, cast

import lmdb

from microrollup.errors import CommitFailed, StoreCorrupt, StoreError, StoreFormat, StoreLocked, StoreMissing

__all__ = [
    "FORMAT",
    "MAP_SIZE",
    "TABLES",
    "Environment",
    "Tables",
    "Transaction",
    "encode_number",
    "hold_writer_lock",
    "is_being_written",
    "map_errors",
]

Transaction = lmdb.Transaction
Tables = dict[str, lmdb._Database]

FORMAT: Final = 1
"""Version of the store's layout; a store of a newer one is not opened."""

MAP_SIZE: Final = 1 << 40
"""Address space, not disk: 1 TiB is more than any store here will need."""

TABLES: Final = (
    "log", "blocks", "openings", "receipts", "state", "tree", "index", "undo_rows", "undo_tree", "undo_checkpoint",
    "settled", "meta",
)  # fmt: skip
"""The tables; what each holds stands in `microrollup.store.tables`."""

DATA_FILE: Final = "data.mdb"
_LOCK_FILE: Final = "writer.lock"
_FORMAT_KEY: Final = b"format"


def encode_number(number: int) -> bytes:
    """A key of 8 bytes, big-endian, so that numbers sort as keys do."""
    return number.to_bytes(8, "big")


class Environment:
    """An open LMDB environment. Close it, or use it in a `with` statement."""

    def __init__(
        self, directory: Path, *, create: bool = False, read_only: bool = False, map_size: int = MAP_SIZE
    ) -> None:
        """Open (or create) the environment in `directory`.

        Raises `StoreMissing`, `StoreLocked`, `StoreFormat`, `StoreCorrupt`, or `StoreError` for what the disk says.
        """
        self.directory = directory
        self.read_only = read_only
        self.fault: BaseException | None = None
        """A failure to read that happened while an STF ran, whatever the STF made of it."""
        self.on_commit: Callable[[float], None] | None = None
        """Is told how many seconds each durable commit took, its sync included."""
        exists = (directory / DATA_FILE).exists()
        if not exists and not create:
            raise StoreMissing(f"there is no store in {directory}")
        try:
            if create:
                directory.mkdir(parents=True, exist_ok=True)
            self._lock = None if read_only else _take_lock(directory / _LOCK_FILE)
        except OSError as error:
            raise StoreError(f"{directory} cannot be used: {error.strerror}") from error
        try:
            self._env = lmdb.open(
                str(directory), map_size=map_size, max_dbs=len(TABLES) + 2, readonly=read_only, max_readers=512,
                metasync=True, sync=True, meminit=False, readahead=False,
            )  # fmt: skip
            try:
                if not read_only:
                    self._fill_file()
                self.tables = self._open_tables(create=create)
            except BaseException:
                self._env.close()
                raise
        except BaseException as error:
            self._release_lock()
            if isinstance(error, lmdb.Error):
                raise _map_open_error(directory, error) from error
            raise
        self._closed = False
        self._reader: lmdb.Transaction | None = None

    def _fill_file(self) -> None:
        """Zeros where a data file was cut off: LMDB calls them damage, while a missing page would kill the process."""
        path = self.directory / DATA_FILE
        size = (self._env.info()["last_pgno"] + 1) * self._env.stat()["psize"]
        if path.stat().st_size < size:
            os.truncate(path, size)

    def _open_tables(self, *, create: bool) -> dict[str, lmdb._Database]:
        if create:
            if self._has_records(create=True):
                raise StoreError(f"{self.directory} holds a store already")
            tables = {name: self._env.open_db(name.encode()) for name in TABLES}
            with self._env.begin(write=True, db=tables["meta"]) as txn:
                txn.put(_FORMAT_KEY, encode_number(FORMAT))
            return tables
        if not self._has_records(create=False):
            raise StoreMissing(f"the store in {self.directory} was never finished; make it again")
        tables = {name: self._env.open_db(name.encode(), create=False) for name in TABLES}
        with self._env.begin(db=tables["meta"]) as txn:
            raw = txn.get(_FORMAT_KEY)
        if raw is None or len(raw) != 8:
            raise StoreCorrupt("meta/format", "missing or damaged")
        if int.from_bytes(raw, "big") > FORMAT:
            raise StoreFormat(
                f"{self.directory} was written by a newer microrollup (format {int.from_bytes(raw, 'big')}, this one"
                f" reads {FORMAT}); upgrade microrollup"
            )
        return tables

    def _has_records(self, *, create: bool) -> bool:
        """Whether the log holds anything: if not, the process that made the store ended before it had a genesis."""
        try:
            log = self._env.open_db(b"log", create=create)
        except lmdb.NotFoundError:
            return False
        with self._env.begin(db=log) as txn:
            return txn.stat(log)["entries"] > 0

    def get(self, table: str, key: bytes) -> bytes | None:
        """One value, read by the owner's own thread in its standing snapshot (renewed at each commit)."""
        return cast("bytes | None", (self._reader or self.reader).get(key, db=self.tables[table]))

    def cursor(self, table: str) -> lmdb.Cursor:
        """A cursor of the owner's standing snapshot; use it before the next commit."""
        return self.reader.cursor(self.tables[table])

    @property
    def reader(self) -> lmdb.Transaction:
        """The owner's standing read transaction."""
        if self._reader is None:
            self._reader = self._begin_reading(buffers=False)
        return self._reader

    def refresh(self) -> None:
        """Let the standing snapshot see what has been committed since, and hold nothing until it is used again.

        A snapshot that a reader keeps open makes the writer's file grow: who only reads calls this when done.
        """
        if self._reader is not None:
            self._reader.abort()
            self._reader = None

    def _begin_reading(self, *, buffers: bool) -> lmdb.Transaction:
        if self._closed:
            raise StoreError("the store is closed")
        try:
            return self._env.begin(buffers=True) if buffers else self._env.begin()
        except lmdb.Error as error:
            raise StoreError(f"{self.directory} cannot be read: {error}") from error

    @contextmanager
    def snapshot(self) -> Iterator[lmdb.Transaction]:
        """A short read transaction of its own, for threads other than the writer's; values are zero-copy views."""
        with self._begin_reading(buffers=True) as txn:
            yield txn

    @contextmanager
    def write(self) -> Iterator[lmdb.Transaction]:
        """A write transaction; durable when the block is left, or nothing of it.

        Raises `CommitFailed` if the disk refuses (full, map full, I/O).
        """
        if self._closed:
            raise StoreError("the store is closed")
        try:
            txn = self._env.begin(write=True)
        except lmdb.Error as error:
            raise CommitFailed(f"the store could not be written: {error}") from error
        try:
            yield txn
            started = time.perf_counter()
            txn.commit()
        except BaseException as error:
            txn.abort()
            if isinstance(error, (lmdb.Error, OSError)):
                raise CommitFailed(f"the store could not be written: {error}") from error
            raise
        if self.on_commit is not None:
            self.on_commit(time.perf_counter() - started)
        self.refresh()

    def count(self, table: str) -> int:
        """Entries of a table, in the standing snapshot."""
        return int(self.reader.stat(self.tables[table])["entries"])

    def close(self) -> None:
        """Close the environment and let go of the writer's lock. May be called again."""
        if not self._closed:
            self.refresh()
            self._closed = True
            self._env.close()
        self._release_lock()

    def _release_lock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _take_lock(path: Path) -> int:
    """Hold an exclusive lock as long as the file stays open: LMDB itself would admit a second writing process."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        raise StoreLocked(f"{path.parent} is being written by another process; stop it first") from None
    return handle


@contextmanager
def hold_writer_lock(directory: Path) -> Iterator[None]:
    """Keep writers out of a directory that a store is about to appear in. Raises `StoreLocked`."""
    handle = _take_lock(directory / _LOCK_FILE)
    try:
        yield
    finally:
        os.close(handle)


def is_being_written(directory: Path) -> bool:
    """Whether somebody holds the writer's lock of a store now."""
    try:
        handle = os.open(directory / _LOCK_FILE, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(handle)
    return False


@contextmanager
def map_errors(directory: Path) -> Iterator[None]:
    """Turn what LMDB finds while a store is read into `StoreCorrupt` and other `StoreError`s."""
    try:
        yield
    except lmdb.Error as error:
        raise _map_open_error(directory, error) from error


def _map_open_error(directory: Path, error: lmdb.Error) -> StoreError:
    if isinstance(error, (lmdb.CorruptedError, lmdb.InvalidError, lmdb.PageNotFoundError, lmdb.NotFoundError)):
        return StoreCorrupt(str(directory / DATA_FILE), str(error))
    if isinstance(error, lmdb.VersionMismatchError):
        return StoreFormat(f"{directory} was written by another LMDB: {error}")
    if "already open" in str(error):
        return StoreLocked(f"{directory} is open in this process already")
    return StoreError(f"{directory} cannot be opened: {error}")
