"""What a verifier has signed: one block hash a height, written down before a signature leaves the process.

Kept beside the verifier's store, in an environment of its own that no rebuild, restore or fresh start touches.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final, Self

import lmdb

from microrollup.errors import AttestationConflict, CommitFailed, StoreError
from microrollup.replication.errors import ReplicationError
from microrollup.replication.protocol import ReplicatedLog
from microrollup.system import LMDB_TURN, describe_write_error

__all__ = ["SharedHeights", "SignedHeights"]

_MAP_SIZE: Final = 1 << 34


class SignedHeights:
    """The table (rollup id, height) -> block hash of everything this verifier has vouched for."""

    def __init__(self, directory: Path) -> None:
        """Open or create the table in `directory`. Raises `StoreError`."""
        self._directory = directory
        try:
            directory.mkdir(parents=True, exist_ok=True)
            with LMDB_TURN:
                self._env = lmdb.open(str(directory), map_size=_MAP_SIZE, metasync=True, sync=True)
            self._env.reader_check()
        except (lmdb.Error, OSError) as error:
            raise StoreError(f"the table of signed heights in {directory} cannot be opened: {error}") from error

    def record(self, rollup_id: bytes, blocks: Iterable[tuple[int, bytes]]) -> None:
        """Note (height, block hash) of blocks about to be vouched for; durable on return.

        Raises `AttestationConflict`, noting nothing, if one of the heights was signed with another hash, and
        `CommitFailed`.
        """
        try:
            with self._env.begin(write=True) as txn:
                for height, block_hash in blocks:
                    key = rollup_id + height.to_bytes(8, "big")
                    known = txn.get(key)
                    if known is None:
                        txn.put(key, block_hash)
                    elif bytes(known) != block_hash:
                        raise AttestationConflict(height, bytes(known), block_hash)
        except lmdb.Error as error:
            reason = describe_write_error(error, self._directory)
            raise CommitFailed(f"the table of signed heights could not be written: {reason}") from error

    def get(self, rollup_id: bytes, height: int) -> bytes | None:
        """The block hash that was signed for a height."""
        with self._env.begin() as txn:
            known = txn.get(rollup_id + height.to_bytes(8, "big"))
        return None if known is None else bytes(known)

    def close(self) -> None:
        """Close the table."""
        with LMDB_TURN:
            self._env.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class SharedHeights:
    """The same for a key that may sign on more than one machine: each height is noted here, then in a log that all of
    them share, under a unique key, before a signature leaves.
    """

    def __init__(self, own: SignedHeights, log: ReplicatedLog, verifier: bytes) -> None:
        """`verifier` is the key's 20-byte address, or a BLS key's 96 bytes."""
        self._own = own
        self._log = log
        self._verifier = verifier

    def record(self, rollup_id: bytes, blocks: Iterable[tuple[int, bytes]]) -> None:
        """As of `SignedHeights`; raises `CommitFailed` also where the log gives no answer."""
        noted = list(blocks)
        self._own.record(rollup_id, noted)
        try:
            self._log.record_signed(self._verifier, rollup_id, noted)
        except ReplicationError as error:
            raise CommitFailed(f"the shared table of signed heights could not be written: {error}") from None
