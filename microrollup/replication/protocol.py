"""What a replicated log does. Every backend passes `microrollup.testing.replication_suite`.

The log holds the same records under the same numbers and chain values as each node's own (`store.tables`), all of them:
openings, entries, closes, rebuilds. One node leads at a time. What it appends carries its epoch, and the backend
takes nothing under another epoch than the present one. The lease is about liveness alone.

Every method may raise `NoAnswer`: the change may have been made or not. The next call connects anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, Protocol

import msgspec
from blake3 import blake3

__all__ = [
    "LEASE_SECONDS",
    "MAX_NODE_NAME",
    "RENEW_SECONDS",
    "Leader",
    "Leadership",
    "LogEnd",
    "LogRow",
    "ReplicatedLog",
    "NodeRow",
    "link",
]

RENEW_SECONDS: Final = 2.0
LEASE_SECONDS: Final = 8.0
"""A lease that was not renewed for so long, by the database's clock, may be taken over."""

MAX_NODE_NAME: Final = 64
"""Characters of a node's name."""


class LogEnd(msgspec.Struct, frozen=True):
    """Where a log ends: the number of its next record, and the 32-byte chain value after its last."""

    number: int
    chain: bytes


class LogRow(msgspec.Struct, frozen=True):
    """A record of the log."""

    number: int
    epoch: int
    chain: bytes
    """32 bytes; covers this record and all before it."""
    record: bytes
    header: bytes | None = None
    """Beside a `Close`: the canonical header that the leader sealed, so that a difference can be named. Not chained."""


class Leadership(msgspec.Struct, frozen=True):
    """The right to append: an epoch, and the node that raised it."""

    epoch: int
    node: str


class Leader(msgspec.Struct, frozen=True):
    """Who leads, as the log says."""

    epoch: int
    node: str
    url: str
    """Where it answers; empty before the first."""
    lease_seconds: float
    """Since its last renewal, by the database's clock; infinite once it was given back."""
    successor: str | None
    """The node that is to take over, while a planned handover goes on."""


class NodeRow(msgspec.Struct, frozen=True):
    """A node that has the log, or follows it: rows that it has not taken are kept."""

    node: str
    url: str
    taken: int
    """The number of the next record that it needs."""
    seen_seconds: float
    """Since it was heard of, by the database's clock."""


def link(chain: bytes, records: Sequence[bytes]) -> list[tuple[bytes, bytes]]:
    """Each record with the chain value after it, as (chain, record)."""
    rows = []
    for record in records:
        chain = blake3(chain + record).digest()
        rows.append((chain, record))
    return rows


class ReplicatedLog(Protocol):
    """One session with a replicated log; one thread uses it. Numbers of records are those of a node's own log."""

    # The log

    def found(self, rollup_id: bytes, rows: Iterable[tuple[bytes, bytes]], first: int = 0) -> None:
        """Make an empty log with these (chain, record), numbered from `first` on, for a rollup's 32-byte id.

        Going on after a failure is allowed, with the same rows. Raises `OtherLog` or `NotReplicated` if there is
        another one.
        """
        ...

    def get_rollup_id(self) -> bytes:
        """The 32-byte id of the rollup. Raises `NotReplicated`."""
        ...

    def get_end(self) -> LogEnd:
        """Where the log ends."""
        ...

    def get_chain(self, number: int) -> bytes | None:
        """The chain value at a record; None for one that is not there (any more)."""
        ...

    def read(self, first: int, limit: int) -> list[LogRow]:
        """At most `limit` records from a number on, without a gap. Raises `LogMoved` if `first` is gone."""
        ...

    def append(
        self, leadership: Leadership, end: LogEnd, rows: Sequence[tuple[bytes, bytes]], header: bytes | None = None
    ) -> None:
        """Append (chain, record) after `end`, all or nothing; `header` belongs to the last of them, a `Close`.

        On return they are durable, on the second copy too. Raises `Fenced`, `LogMoved`, `WeakDurability`.
        """
        ...

    def confirm(self) -> None:
        """A durable change that means nothing: its success proves all that could be read before."""
        ...

    def prune(self, below: int) -> int:
        """Forget records below a number that every registered node has taken; how many. The last one stays."""
        ...

    # Who leads

    def get_leader(self) -> Leader:
        """Who leads now."""
        ...

    def claim(self, seen: Leader, node: str, url: str) -> Leadership:
        """Raise the epoch above that of `seen`; it waits for appends that run, and excludes later ones of theirs.

        Raises `Fenced` if another did meanwhile, or the lease is neither the node's own, nor given back, nor older than
        `LEASE_SECONDS`, or a handover to another node goes on that is younger than that.
        """
        ...

    def renew(self, leadership: Leadership) -> str | None:
        """Renew the lease; the successor of a handover that was asked for. Raises `Fenced`."""
        ...

    def release(self, leadership: Leadership) -> None:
        """Give the lease back, so that another may take over at once. Nothing happens if another leads."""
        ...

    def ask_handover(self, successor: str) -> Leader:
        """Ask the leader to hand over to a registered node; who leads now. Raises `ReplicationError`."""
        ...

    # Who follows

    def register(self, node: str, url: str, taken: int) -> None:
        """Note how far a node has taken the log; durable, so it proves what was read before, as `confirm` does."""
        ...

    def forget(self, node: str) -> bool:
        """Keep no more rows for a node; whether it was known."""
        ...

    def list_nodes(self) -> list[NodeRow]:
        """All registered nodes, by name."""
        ...

    # What verifiers sign

    def record_signed(self, verifier: bytes, rollup_id: bytes, blocks: Iterable[tuple[int, bytes]]) -> None:
        """Note (height, block hash) of blocks that a verifier, a 20-byte address, is about to vouch for.

        Durable on return. Raises `AttestationConflict`, noting nothing, if one was signed with another hash.
        """
        ...

    def close(self) -> None:
        """End the session."""
        ...
