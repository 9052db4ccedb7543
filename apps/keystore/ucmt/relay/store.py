"""What a relayer knows, on disk: the updates, what became of each on each chain, and what the chains' gas has cost.

Every change is one transaction that is synchronous, so what was reported stays. One process writes; any may read.

    key                          value (JSON: wei and nonces have more than 64 bits)
    m                            LogNote
    u index(8)                   LoggedUpdate
    c chainId(8)                 ChainNote
    s chainId(8) index(8)        ChainOutcome; none while it is pending
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final, Literal, Self

import lmdb
import msgspec

from microrollup.errors import StoreCorrupt, StoreError, StoreMissing

from .errors import AnotherRelayer
from .updates import LoggedUpdate

__all__ = ["ChainNote", "LogNote", "ChainOutcome", "RelayStore", "Status"]

Status = Literal["sent", "done", "refused", "diverged"]
"""Of an update on a chain; without a row it is pending."""

_MAP_BYTES: Final = 1 << 36
"""Address space; the file grows as it is needed."""
_LOCK: Final = "relayer.lock"
_FILE: Final = "data.mdb"


class LogNote(msgspec.Struct, frozen=True):
    """How far the log was read."""

    rollup_id: bytes
    height: int = 0
    block_hash: bytes = b""


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


class ChainOutcome(msgspec.Struct, frozen=True):
    """What became of an update on a chain."""

    status: Status
    reason: str = ""
    fingerprint: bytes = b""
    """Of the code and the order under which it was refused."""
    sent: float = 0.0
    """Seconds, of the relayer's clock."""
    done: float = 0.0
    transaction: bytes = b""
    """That included it, if it was one of ours."""


class RelayStore:
    """The directory of a relayer."""

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
            self._env = lmdb.open(str(directory), map_size=_MAP_BYTES, readonly=read_only, subdir=True)
        except lmdb.Error as error:
            raise StoreCorrupt(str(directory), str(error)) from None

    def close(self) -> None:
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

    def read_meta(self) -> LogNote | None:
        """How far the log was read; None before anything was."""
        raw = self._get(b"m")
        return None if raw is None else _decode(raw, LogNote)

    def write_log(self, meta: LogNote, updates: Iterable[LoggedUpdate]) -> None:
        """The updates of blocks, and how far the log is read with them."""
        with self._begin(write=True) as txn:
            for update in updates:
                txn.put(b"u" + _word(update.index), msgspec.json.encode(update))
            txn.put(b"m", msgspec.json.encode(meta))

    def drop_log(self, meta: LogNote) -> None:
        """Forget the updates and their outcomes: the log has changed. What was spent stays."""
        with self._begin(write=True) as txn:
            for prefix in (b"u", b"s"):
                with closing(txn.cursor()) as cursor:
                    while cursor.set_range(prefix) and bytes(cursor.key()).startswith(prefix):
                        cursor.delete()
            txn.put(b"m", msgspec.json.encode(meta))

    def list_updates(self) -> Iterator[LoggedUpdate]:
        """All of them, in their order."""
        for _, raw in self._list(b"u"):
            yield _decode(raw, LoggedUpdate)

    def list_chains(self) -> list[ChainNote]:
        """All chains that were served, by their ids."""
        return [_decode(raw, ChainNote) for _, raw in self._list(b"c")]

    def read_chain(self, chain_id: int) -> ChainNote | None:
        """What is known of a chain."""
        raw = self._get(b"c" + _word(chain_id))
        return None if raw is None else _decode(raw, ChainNote)

    def list_outcomes(self, chain_id: int) -> dict[int, ChainOutcome]:
        """By the updates' index."""
        prefix = b"s" + _word(chain_id)
        return {int.from_bytes(key[9:], "big"): _decode(raw, ChainOutcome) for key, raw in self._list(prefix)}

    def write_chain(self, note: ChainNote, outcomes: dict[int, ChainOutcome | None] | None = None) -> None:
        """What is known of a chain, and what became of updates there; None: pending again."""
        with self._begin(write=True) as txn:
            txn.put(b"c" + _word(note.chain_id), msgspec.json.encode(note))
            for index, outcome in (outcomes or {}).items():
                key = b"s" + _word(note.chain_id) + _word(index)
                if outcome is None:
                    txn.delete(key)
                else:
                    txn.put(key, msgspec.json.encode(outcome))

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


def _word(number: int) -> bytes:
    return number.to_bytes(8, "big")


def _decode(raw: bytes, form: Any) -> Any:
    try:
        return msgspec.json.decode(raw, type=form)
    except msgspec.MsgspecError as error:
        raise StoreCorrupt("a row of the relayer's store", str(error)) from None
