"""What a relayer knows, on disk: the updates, what became of each on each chain, and what the chains' gas has cost.

Every change is one transaction that is synchronous, so what was reported stays. One process writes; any may read.

    key                          value (JSON: wei and nonces have more than 64 bits)
    m                            LogNote
    u index(8)                   LoggedUpdate
    c chainId(8)                 ChainNote
    s chainId(8) index(8)        ChainOutcome; none while it is pending
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from typing import Literal

import msgspec

from ...chains.store import ChainNote, ChainStore, decode_row, encode_word
from .updates import LoggedUpdate

__all__ = ["ChainOutcome", "LogNote", "RelayStore", "Status"]

Status = Literal["sent", "done", "refused", "diverged"]
"""Of an update on a chain; without a row it is pending."""


class LogNote(msgspec.Struct, frozen=True):
    """How far the log was read."""

    rollup_id: bytes
    height: int = 0
    block_hash: bytes = b""


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


class RelayStore(ChainStore):
    """The directory of a relayer of updates."""

    def read_meta(self) -> LogNote | None:
        """How far the log was read; None before anything was."""
        raw = self._get(b"m")
        return None if raw is None else decode_row(raw, LogNote)

    def write_log(self, meta: LogNote, updates: Iterable[LoggedUpdate]) -> None:
        """The updates of blocks, and how far the log is read with them."""
        with self._begin(write=True) as txn:
            for update in updates:
                txn.put(b"u" + encode_word(update.index), msgspec.json.encode(update))
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
            yield decode_row(raw, LoggedUpdate)

    def list_outcomes(self, chain_id: int) -> dict[int, ChainOutcome]:
        """By the updates' index."""
        prefix = b"s" + encode_word(chain_id)
        return {int.from_bytes(key[9:], "big"): decode_row(raw, ChainOutcome) for key, raw in self._list(prefix)}

    def write_chain(self, note: ChainNote, outcomes: dict[int, ChainOutcome | None] | None = None) -> None:
        """What is known of a chain, and what became of updates there; None: pending again."""
        with self._begin(write=True) as txn:
            txn.put(b"c" + encode_word(note.chain_id), msgspec.json.encode(note))
            for index, outcome in (outcomes or {}).items():
                key = b"s" + encode_word(note.chain_id) + encode_word(index)
                if outcome is None:
                    txn.delete(key)
                else:
                    txn.put(key, msgspec.json.encode(outcome))
