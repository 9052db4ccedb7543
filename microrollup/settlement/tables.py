"""The LMDB tables of the local settlement: what exists, and transactions with mapped errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import lmdb

from microrollup.errors import CommitFailed, StoreCorrupt, StoreError, StoreLocked, StoreMissing
from microrollup.system import LMDB_TURN, describe_write_error

__all__ = ["InboxTables", "open_tables"]

_MAP_BYTES: Final = 1 << 36
"""Address space, not disk: 64 GiB hold some 90,000 batches of the largest size."""

_WRITES_BETWEEN_CHECKS: Final = 64
"""After so many writes readers that died are looked for: each pins the pages that were replaced since."""


class _TakenBackError(Exception):
    """Ends a transaction that is not to stay."""


class InboxTables:
    """The environment of one inbox directory. Keys of all tables but `meta` are 8-byte big-endian numbers."""

    def __init__(self, environment: lmdb.Environment, directory: Path) -> None:
        self._environment = environment
        self._directory = directory
        self._writes = 0
        self.meta = environment.open_db(b"meta")
        self.settled = environment.open_db(b"settled")
        """Last height -> what L1 holds of the batch."""
        self.batches = environment.open_db(b"batches")
        """Last height -> the batch; stands for DA."""
        self.entries = environment.open_db(b"entries")
        """Index -> forced action."""
        self.queue = environment.open_db(b"queue")
        """Length -> queue hash over so many entries."""
        self.counts = environment.open_db(b"counts")
        """L1 block with forced actions -> length of the queue after it."""
        self.voids = environment.open_db(b"voids")
        """Index -> L1 blocks in which the void was announced, and from which it is in effect."""
        self.owners = environment.open_db(b"owners")
        """L1 block from which it is in effect -> 20-byte address."""
        self.builders = environment.open_db(b"builders")
        """Likewise."""
        self.codes = environment.open_db(b"codes")
        """L1 block from which it is in effect -> 32-byte id of the code."""
        self.verifiers = environment.open_db(b"verifiers")
        """L1 block from which it is in effect -> verifier set."""
        self.pages = environment.open_db(b"pages")
        """Count of pages up to it -> its BLS keys of 96 bytes."""

    def list(self) -> list[tuple[str, lmdb._Database]]:
        """All tables by name."""
        return [(name, table) for name, table in vars(self).items() if isinstance(table, lmdb._Database)]

    @contextmanager
    def begin(self, *, write: bool = False, keep: bool = True) -> Iterator[lmdb.Transaction[bytes]]:
        """A transaction; a writing one is alone, durable once the block ends without an exception, if it is to `keep`.

        Raises `CommitFailed` if it cannot be made durable and other `StoreError`s for other trouble.
        """
        try:
            with self._environment.begin(write=write) as transaction:
                yield transaction
                if not keep:
                    raise _TakenBackError
        except _TakenBackError:
            return
        except (lmdb.CorruptedError, lmdb.PageNotFoundError) as error:
            raise StoreCorrupt("local settlement", str(error)) from error
        except lmdb.Error as error:
            if write:
                raise CommitFailed(f"local settlement: {describe_write_error(error, self._directory)}") from error
            raise StoreError(f"local settlement: {error}") from error
        self._writes += write
        if write and self._writes % _WRITES_BETWEEN_CHECKS == 0:
            self._environment.reader_check()

    def close(self) -> None:
        """Close the environment; closing twice does no harm."""
        with LMDB_TURN:
            self._environment.close()


def open_tables(directory: Path, *, create: bool, read_only: bool = False) -> InboxTables:
    """Open or create the tables in a directory; `read_only` changes nothing and looks for no dead readers.

    Raises `StoreMissing`, `StoreLocked` if this process has them open already, `StoreCorrupt`, or plain `StoreError`.
    """
    if create:
        _make_directory(directory)
    elif not (directory / "data.mdb").is_file():
        raise StoreMissing(f"{directory} holds no local settlement: --l1 names one, `run` of a new rollup makes it")
    try:
        with LMDB_TURN:
            environment = lmdb.open(str(directory), create=create, readonly=read_only, max_dbs=16, map_size=_MAP_BYTES)
        if not read_only:
            environment.reader_check()
        return InboxTables(environment, directory)
    except (lmdb.CorruptedError, lmdb.InvalidError, lmdb.VersionMismatchError) as error:
        raise StoreCorrupt(str(directory), str(error)) from error
    except lmdb.Error as error:
        if "already open" in str(error):
            raise StoreLocked(f"this process has the local settlement {directory} open already") from error
        raise StoreError(f"{directory}: {error}") from error


def _make_directory(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"{directory}: {error}") from error
