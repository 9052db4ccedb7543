"""The LMDB environment of a store: its tables, its writer's lock, durable transactions and mapped errors.

One directory, one environment, one writer. Readers of other processes open it read-only and hold no transaction for
long. Sync is never off: what `commit` has returned from is on disk.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final, Self

import lmdb

from microrollup.errors import CommitFailed, StoreCorrupt, StoreError, StoreFormat, StoreLocked, StoreMissing
from microrollup.store.row_check import pack_row
from microrollup.system import LMDB_TURN, describe_write_error, lock_file

__all__ = [
    "BASE_KEY",
    "COMPLETE_FORMAT",
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
    "name_error",
]

Transaction = lmdb.Transaction
Tables = dict[str, lmdb._Database]

FORMAT: Final = 5
"""Version of the store's layout: since 4, `state` and `tree` may lack what the blocks above `base` have changed; since
5, what a block changes in the tree has a check of its new keys.
"""

COMPLETE_FORMAT: Final = 3
"""The same layout, with the newest block for `base`, which has no check: it is read as it is, and a writer makes it a
store of this format. So is one of format 4; what its blocks changed stays as it is. All others are not opened.
"""

MAP_SIZE: Final = 1 << 40
"""Address space, not disk: 1 TiB is more than any store here will need."""

TABLES: Final = (
    "log", "blocks", "openings", "receipts", "state", "tree", "index", "changes", "undo_tree", "undo_checkpoint",
    "settled", "meta",
)  # fmt: skip
"""The tables; what each holds is in `microrollup.store.tables`."""

DATA_FILE: Final = "data.mdb"
_MAX_READERS: Final = 512
_COMMITS_BETWEEN_CHECKS: Final = 64
"""After so many commits the writer looks for readers that died: each pins the pages that were replaced since."""

BASE_KEY: Final = b"base"
_LOCK_FILE: Final = "writer.lock"
_FORMAT_KEY: Final = b"format"


_DAMAGE: Final = (
    lmdb.CorruptedError, lmdb.InvalidError, lmdb.PageNotFoundError, lmdb.NotFoundError, lmdb.BadTxnError,
)  # fmt: skip
"""What LMDB says of pages that are not what they must be, and of a transaction that met one."""


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
            inner = directory / "store"  # where `verify --data` keeps what it has verified
            hint = f"; there is one in {inner}" if (inner / DATA_FILE).exists() else ""
            raise StoreMissing(f"there is no store in {directory}{hint}")
        try:
            if create:
                directory.mkdir(parents=True, exist_ok=True)
            self._lock = None if read_only else _take_lock(directory / _LOCK_FILE)
        except OSError as error:
            raise StoreError(f"{directory} cannot be used: {error.strerror}") from error
        try:
            with LMDB_TURN:
                self._env = lmdb.open(
                    str(directory), map_size=map_size, max_dbs=len(TABLES) + 2, readonly=read_only,
                    max_readers=_MAX_READERS, metasync=True, sync=True, meminit=False, readahead=False,
                )  # fmt: skip
            try:
                self._env.reader_check()
                if not read_only:
                    self._fill_file()
                self.tables = self._open_tables(create=create)
            except BaseException:
                self._close_files()
                raise
        except BaseException as error:
            self._release_lock()
            if isinstance(error, lmdb.Error):
                raise _map_open_error(directory, error) from error
            raise
        self._closed = False
        self._reader: lmdb.Transaction | None = None
        self._commits = 0
        self._committed = 0
        """The transaction that this process committed last."""

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
        self._check_format()
        return {name: self._env.open_db(name.encode(), create=False) for name in TABLES}

    def _check_format(self) -> None:
        """Before any other table is opened: a store of another format may have other tables."""
        meta = self._env.open_db(b"meta", create=False)
        with self._env.begin(db=meta) as txn:
            raw = txn.get(_FORMAT_KEY)
        if raw is None or len(raw) != 8:
            raise StoreCorrupt("meta/format", "missing or damaged")
        found = int.from_bytes(raw, "big")
        if found > FORMAT:
            raise StoreFormat(
                f"{self.directory} was written by a newer microrollup (format {found}, this one reads {FORMAT});"
                " upgrade microrollup"
            )
        if COMPLETE_FORMAT <= found < FORMAT:
            if not self.read_only:
                with self._env.begin(write=True, db=meta) as txn:
                    txn.put(_FORMAT_KEY, encode_number(FORMAT))
                    if found == COMPLETE_FORMAT:
                        txn.put(BASE_KEY, pack_row(BASE_KEY, txn.get(BASE_KEY) or b""))
        elif found < FORMAT:
            raise StoreFormat(
                f"{self.directory} was written by an older microrollup (format {found}, this one reads {FORMAT}),"
                " and its rows are not converted; go on with the microrollup that wrote it, or make a new store"
                " (`microrollup run` with another --data, or `microrollup restore` from a snapshot)"
            )

    def _has_records(self, *, create: bool) -> bool:
        """Whether the log holds anything: if not, the process that made the store ended before it had a genesis."""
        try:
            log = self._env.open_db(b"log", create=create)
        except lmdb.NotFoundError:
            return False
        with self._env.begin(db=log) as txn:
            return txn.stat(log)["entries"] > 0

    def get(self, table: str, key: bytes) -> bytes | None:
        """One value, read by the owner's own thread in its standing snapshot (renewed at each commit).

        Raises `StoreCorrupt` for a damaged page.
        """
        try:
            return (self._reader or self.reader).get(key, db=self.tables[table])  # type: ignore[return-value]
        except lmdb.Error as error:
            raise _map_open_error(self.directory, error) from error

    def cursor(self, table: str) -> lmdb.Cursor:
        """A cursor of the owner's standing snapshot; use it before the next commit."""
        try:
            return self.reader.cursor(self.tables[table])
        except lmdb.Error as error:
            raise _map_open_error(self.directory, error) from error

    @property
    def reader(self) -> lmdb.Transaction:
        """The owner's standing read transaction."""
        if self._reader is None:
            self._reader = self._begin_reading(buffers=False)
        return self._reader

    def _check_age(self, txn: lmdb.Transaction, oldest: int) -> None:
        """Raise `StoreCorrupt` unless a transaction sees what was committed when it began, and no later one than is.

        `oldest`: the last commit when it began. A damaged meta page shows the store as it was one commit earlier.
        """
        if oldest and not oldest <= txn.id() <= self._committed + 1:
            raise StoreCorrupt(str(self.directory / DATA_FILE), f"shows transaction {txn.id()}, not {oldest}")

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
        oldest = self._committed
        try:
            try:
                txn = self._env.begin(buffers=True) if buffers else self._env.begin()
            except lmdb.ReadersFullError:
                self._env.reader_check()
                txn = self._env.begin(buffers=True) if buffers else self._env.begin()
        except lmdb.Error as error:
            raise StoreError(f"{self.directory} cannot be read: {error}") from error
        self._check_age(txn, oldest)
        return txn

    @contextmanager
    def snapshot(self) -> Iterator[lmdb.Transaction]:
        """A short read transaction of its own, for threads other than the writer's; values are zero-copy views.

        Raises `StoreCorrupt` for a damaged page, whenever it is met.
        """
        with map_errors(self.directory), self._begin_reading(buffers=True) as txn:
            yield txn

    def write(self) -> AbstractContextManager[lmdb.Transaction]:
        """A write transaction; durable when the block is left, or nothing of it.

        Raises `CommitFailed` if the disk refuses (full, map full, I/O), `StoreCorrupt` for a damaged page.
        """
        return _Writing(self)

    def _begin_writing(self) -> lmdb.Transaction:
        if self._closed:
            raise StoreError("the store is closed")
        try:
            txn = self._env.begin(write=True)
        except lmdb.Error as error:
            raise self._map_write_error(error) from error
        try:
            self._check_age(txn, self._committed)
        except BaseException as error:
            self._abort(txn, error)
            raise
        return txn

    def _abort(self, txn: lmdb.Transaction, error: BaseException) -> None:
        """Nothing of it is written. Raises what an error of LMDB's or of the disk means."""
        txn.abort()
        if isinstance(error, (lmdb.Error, OSError)):
            raise self._map_write_error(error) from error

    def _commit(self, txn: lmdb.Transaction) -> None:
        started = time.perf_counter()
        try:
            txn.commit()
        except BaseException as error:
            self._abort(txn, error)
            raise
        with self._begin_reading(buffers=False) as committed:  # one that wrote nothing has no number of its own
            self._committed = committed.id()
        if self.on_commit is not None:
            self.on_commit(time.perf_counter() - started)
        self.refresh()
        self._commits += 1
        if self._commits % _COMMITS_BETWEEN_CHECKS == 0:
            self._env.reader_check()

    def _map_write_error(self, error: BaseException) -> StoreError:
        if isinstance(error, _DAMAGE):
            return _map_open_error(self.directory, error)
        return CommitFailed(f"the store could not be written: {describe_write_error(error, self.directory)}")

    def count(self, table: str) -> int:
        """Entries of a table, in the standing snapshot."""
        return int(self.reader.stat(self.tables[table])["entries"])

    def close(self) -> None:
        """Close the environment and let go of the writer's lock. May be called again."""
        if not self._closed:
            self.refresh()
            self._closed = True
            self._close_files()
        self._release_lock()

    def _close_files(self) -> None:
        with LMDB_TURN:
            self._env.close()

    def _release_lock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Writing:
    """`Environment.write`."""

    __slots__ = ("_environment", "_txn")

    def __init__(self, environment: Environment) -> None:
        self._environment = environment

    def __enter__(self) -> lmdb.Transaction:
        self._txn = self._environment._begin_writing()
        return self._txn

    def __exit__(self, _: object, error: BaseException | None, trace: object) -> None:
        if error is None:
            self._environment._commit(self._txn)
        else:
            self._environment._abort(self._txn, error)


def _take_lock(path: Path) -> int:
    """Hold an exclusive lock as long as the file stays open: LMDB itself would admit a second writing process."""
    handle = lock_file(path, create=True)
    if handle is None:
        raise StoreLocked(f"{path.parent} is being written by another process; stop it first")
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
        handle = lock_file(directory / _LOCK_FILE, shared=True)
    except FileNotFoundError:
        return False
    if handle is not None:
        os.close(handle)
    return handle is None


@contextmanager
def map_errors(directory: Path) -> Iterator[None]:
    """Turn what LMDB finds while a store is read into `StoreCorrupt` and other `StoreError`s."""
    try:
        yield
    except lmdb.Error as error:
        raise _map_open_error(directory, error) from error


def name_error(directory: Path, error: BaseException) -> BaseException:
    """What `map_errors` makes of an error: itself, unless it is LMDB's."""
    return _map_open_error(directory, error) if isinstance(error, lmdb.Error) else error


def _map_open_error(directory: Path, error: lmdb.Error) -> StoreError:
    if isinstance(error, _DAMAGE):
        return StoreCorrupt(str(directory / DATA_FILE), f"{error}; `microrollup scrub` lists what is damaged")
    if isinstance(error, lmdb.VersionMismatchError):
        return StoreFormat(f"{directory} was written by another LMDB: {error}")
    if "already open" in str(error):
        return StoreLocked(f"{directory} is open in this process already")
    return StoreError(f"{directory} cannot be opened: {error}")
