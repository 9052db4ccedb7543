"""What a program knows of the chains that it serves, on disk: what their gas has cost, and what it sent last.

Every change is one transaction that is synchronous, so what was reported stays. One process writes; any may read.

    key                          value (JSON: wei and nonces have more than 64 bits)
    c chainId(8)                 ChainNote
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final, Self

import lmdb
import msgspec

from microrollup.errors import StoreCorrupt, StoreError, StoreMissing
from microrollup.system import LMDB_TURN

from .errors import AnotherRelayer

__all__ = ["ChainNote", "ChainStore", "decode_row", "encode_word"]

_MAP_BYTES: Final = 1 << 36
"""Address space; the file grows as it is needed."""
_LOCK: Final = "relayer.lock"
_FILE: Final = "data.mdb"


class ChainNote(msgspec.Struct, frozen=True):
    """A chain."""

    chain_id: int
    place: str
    """Scheme, host and port of its URL, which may hold a key."""
    spent: int = 0
    """Wei, of all transactions."""
    pending_nonce: int = -1
    """The nonce of a transaction that was sent and whose cost is not known; -1 for none."""
    pending_balance: int = 0
    """The sender's wei before that transaction."""
    error: str = ""
    """Why nothing goes on there; empty if it does."""
    reorgs: int = 0


class ChainStore:
    """The directory of a relayer: what each has, and what subclasses add."""

    def __init__(self, directory: Path, *, read_only: bool = False) -> None:
        """Open it, and make it unless it is only read. Raises `AnotherRelayer`, `StoreMissing`, `StoreCorrupt`."""
        self._lock: Any = None
        if read_only:
            if not (directory / _FILE).exists():
                raise StoreMissing(f"{directory} holds no relayer's store")
        else:
            directory.mkdir(parents=True, exist_ok=True)
            self._lock = (directory / _LOCK).open("w")
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                self._lock.close()
                raise AnotherRelayer(str(directory)) from None
        try:
            with LMDB_TURN:
                self._env = lmdb.open(str(directory), map_size=_MAP_BYTES, readonly=read_only, subdir=True)
        except lmdb.Error as error:
            raise StoreCorrupt(str(directory), str(error)) from None

    def close(self) -> None:
        with LMDB_TURN:
            self._env.close()
        if self._lock is not None:
            self._lock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def _begin(self, *, write: bool = False) -> Iterator[lmdb.Transaction]:
        """A transaction. Raises `StoreError` for what the disk refuses; nothing of it is written then."""
        try:
            with self._env.begin(write=write) as txn:
                yield txn
        except lmdb.Error as error:
            raise StoreError(f"the relayer's store cannot be used: {error}; look at the disk") from None

    def list_chains(self) -> list[ChainNote]:
        """All chains that were served, by their ids."""
        return [decode_row(raw, ChainNote) for _, raw in self._list(b"c")]

    def read_chain(self, chain_id: int) -> ChainNote | None:
        """What is known of a chain."""
        raw = self._get(b"c" + encode_word(chain_id))
        return None if raw is None else decode_row(raw, ChainNote)

    def write_note(self, note: ChainNote) -> None:
        """What is known of a chain."""
        with self._begin(write=True) as txn:
            txn.put(b"c" + encode_word(note.chain_id), msgspec.json.encode(note))

    def _get(self, key: bytes) -> bytes | None:
        with self._begin() as txn:
            raw = txn.get(key)
        return None if raw is None else bytes(raw)

    def _list(self, prefix: bytes) -> list[tuple[bytes, bytes]]:
        found: list[tuple[bytes, bytes]] = []
        with self._begin() as txn, closing(txn.cursor()) as cursor:
            if cursor.set_range(prefix):
                for key, raw in cursor:
                    if not bytes(key).startswith(prefix):
                        break
                    found.append((bytes(key), bytes(raw)))
        return found


def encode_word(number: int) -> bytes:
    """8 bytes, big-endian: keys are in the order of numbers."""
    return number.to_bytes(8, "big")


def decode_row(raw: bytes, form: Any) -> Any:
    """A row's value. Raises `StoreCorrupt`."""
    try:
        return msgspec.json.decode(raw, type=form)
    except msgspec.MsgspecError as error:
        raise StoreCorrupt("a row of the relayer's store", str(error)) from None
