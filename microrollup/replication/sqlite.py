"""A replicated log in one SQLite file: for tests on one machine, since there is no second copy."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from microrollup.errors import AttestationConflict
from microrollup.replication.errors import Fenced, LogMoved, NoAnswer, NotReplicated, OtherLog, ReplicationError
from microrollup.replication.protocol import LEASE_SECONDS, Leader, Leadership, LogEnd, LogRow, NodeRow
from microrollup.replication.reading import check_successor, make_log_rows

__all__ = ["SqliteLog"]

VERSION: Final = 1
_BUSY_SECONDS: Final = 10.0
_NOW: Final = "((julianday('now') - 2440587.5) * 86400.0)"
"""Seconds by the database's clock."""

_TABLES: Final = """
CREATE TABLE IF NOT EXISTS about (one INTEGER PRIMARY KEY CHECK (one = 1), version INTEGER, rollup_id BLOB);
CREATE TABLE IF NOT EXISTS leader (one INTEGER PRIMARY KEY CHECK (one = 1), epoch INTEGER, node TEXT, url TEXT);
CREATE TABLE IF NOT EXISTS lease (
    one INTEGER PRIMARY KEY CHECK (one = 1), renewed_at REAL, successor TEXT, asked_at REAL);
CREATE TABLE IF NOT EXISTS log (
    number INTEGER PRIMARY KEY, epoch INTEGER, chain BLOB, record BLOB, header BLOB);
CREATE TABLE IF NOT EXISTS node (node TEXT PRIMARY KEY, url TEXT, taken INTEGER, seen_at REAL);
CREATE TABLE IF NOT EXISTS signed (
    verifier BLOB, rollup_id BLOB, height INTEGER, block_hash BLOB, PRIMARY KEY (verifier, rollup_id, height));
INSERT OR IGNORE INTO leader VALUES (1, 0, '', '');
INSERT OR IGNORE INTO lease VALUES (1, NULL, NULL, NULL);
"""
"""As in PostgreSQL; `renewed_at` is null for a lease that was given back."""


class SqliteLog:
    """A `ReplicatedLog` in a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._session: sqlite3.Connection | None = None

    def _connect(self) -> sqlite3.Connection:
        if self._session is None:
            try:
                session = sqlite3.connect(
                    self._path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
                )
                session.execute("PRAGMA journal_mode = WAL")
                session.execute("PRAGMA synchronous = FULL")
            except sqlite3.Error as error:
                raise NoAnswer(f"{self._path} cannot be opened: {error}") from None
            self._session = session
        return self._session

    @contextmanager
    def _asking(self) -> Iterator[sqlite3.Connection]:
        """One transaction, which waits for others'."""
        session = self._connect()
        try:
            session.execute("BEGIN IMMEDIATE")
            try:
                yield session
            except BaseException:
                session.execute("ROLLBACK")
                raise
            session.execute("COMMIT")
        except sqlite3.Error as error:
            self.close()
            if "no such table" in str(error):
                raise NotReplicated(f"{self._path} holds no log: `microrollup replica seed` makes one") from None
            raise NoAnswer(f"{self._path}: {error}") from None

    def _ask(self, query: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        with self._asking() as session:
            return session.execute(query, values).fetchall()

    def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.close()

    # The log

    def found(self, rollup_id: bytes, rows: Iterable[tuple[bytes, bytes]], first: int = 0) -> None:
        self._connect().executescript(_TABLES)
        with self._asking() as session:
            session.execute("INSERT OR IGNORE INTO about VALUES (1, ?, ?)", [VERSION, rollup_id])
        if self.get_rollup_id() != rollup_id:
            raise NotReplicated(f"{self._path} holds the log of another rollup, 0x{self.get_rollup_id().hex()}")
        if self.get_leader().epoch:
            raise ReplicationError(f"{self._path} has a log that nodes use already")
        last: tuple[int, bytes] | None = None
        with self._asking() as session:
            for number, (chain, record) in enumerate(rows, first):
                session.execute("INSERT OR IGNORE INTO log VALUES (?, 0, ?, ?, NULL)", [number, chain, record])
                last = number, chain
        if last is None:
            raise ReplicationError("there are no records to begin a log with")
        if self.get_end() != LogEnd(last[0] + 1, last[1]):
            raise OtherLog(*last, self.get_chain(last[0]))

    def get_rollup_id(self) -> bytes:
        rows = self._ask("SELECT version, rollup_id FROM about")
        if not rows or rows[0][0] != VERSION:
            raise NotReplicated(f"{self._path} holds no log of version {VERSION}: `microrollup replica seed` makes one")
        return bytes(rows[0][1])

    def get_end(self) -> LogEnd:
        rows = self._ask("SELECT number, chain FROM log ORDER BY number DESC LIMIT 1")
        if not rows:
            raise NotReplicated(f"{self._path} holds an empty log: `microrollup replica seed` fills it")
        return LogEnd(rows[0][0] + 1, rows[0][1])

    def get_chain(self, number: int) -> bytes | None:
        rows = self._ask("SELECT chain FROM log WHERE number = ?", [number])
        return rows[0][0] if rows else None

    def read(self, first: int, limit: int) -> list[LogRow]:
        rows = self._ask(
            "SELECT number, epoch, chain, record, header FROM log WHERE number >= ? ORDER BY number LIMIT ?",
            [first, limit],
        )
        return make_log_rows(rows, first)

    def append(
        self, leadership: Leadership, end: LogEnd, rows: Sequence[tuple[bytes, bytes]], header: bytes | None = None
    ) -> None:
        with self._asking() as session:
            epoch, node = session.execute("SELECT epoch, node FROM leader").fetchone()
            if (epoch, node) != (leadership.epoch, leadership.node):
                raise Fenced(f"{node} leads since epoch {epoch}; this node led in epoch {leadership.epoch}")
            number, chain = session.execute("SELECT number, chain FROM log ORDER BY number DESC LIMIT 1").fetchone()
            if (number + 1, chain) != (end.number, end.chain):
                raise LogMoved(
                    f"the replicated log ends before record {number + 1}, and not before {end.number} as here"
                )
            last = end.number + len(rows) - 1
            session.executemany(
                "INSERT INTO log VALUES (?, ?, ?, ?, ?)",
                [
                    (number, epoch, chain, record, header if number == last else None)
                    for number, (chain, record) in enumerate(rows, end.number)
                ],
            )

    def confirm(self) -> None:
        self._ask("UPDATE about SET version = version")

    def prune(self, below: int) -> int:
        with self._asking() as session:
            (taken,) = session.execute("SELECT min(taken) FROM node").fetchone()
            (last,) = session.execute("SELECT max(number) FROM log").fetchone()
            lowest = min(each for each in (below, taken, last) if each is not None)
            return session.execute("DELETE FROM log WHERE number < ?", [lowest]).rowcount

    # Who leads

    def get_leader(self) -> Leader:
        epoch, node, url, seconds, successor = self._ask(
            f"SELECT epoch, node, url, {_NOW} - renewed_at, successor FROM leader, lease"  # noqa: S608 - no input
        )[0]
        return Leader(epoch, node, url, math.inf if seconds is None else max(0.0, seconds), successor)

    def claim(self, seen: Leader, node: str, url: str) -> Leadership:
        with self._asking() as session:
            epoch, leads = session.execute("SELECT epoch, node FROM leader").fetchone()
            age, successor, asked = session.execute(
                f"SELECT {_NOW} - renewed_at, successor, {_NOW} - asked_at FROM lease"  # noqa: S608 - no input
            ).fetchone()
            free = age is None or age > LEASE_SECONDS or leads == node
            handed = successor is None or successor == node or asked > LEASE_SECONDS
            if (epoch, leads) != (seen.epoch, seen.node) or not (free and handed):
                raise Fenced(f"the leadership is not free: {leads or 'nobody'} has epoch {epoch}")
            session.execute("UPDATE leader SET epoch = ?, node = ?, url = ?", [epoch + 1, node, url])
            session.execute(
                f"UPDATE lease SET renewed_at = {_NOW}, successor = NULL, asked_at = NULL"  # noqa: S608 - no input
            )
        return Leadership(epoch + 1, node)

    def renew(self, leadership: Leadership) -> str | None:
        with self._asking() as session:
            epoch, node = session.execute("SELECT epoch, node FROM leader").fetchone()
            if (epoch, node) != (leadership.epoch, leadership.node):
                raise Fenced(f"{node} leads since epoch {epoch}; this node led in epoch {leadership.epoch}")
            session.execute(f"UPDATE lease SET renewed_at = {_NOW}")  # noqa: S608 - no input
            successor: str | None = session.execute("SELECT successor FROM lease").fetchone()[0]
        return successor

    def release(self, leadership: Leadership) -> None:
        self._ask(
            "UPDATE lease SET renewed_at = NULL WHERE EXISTS (SELECT * FROM leader WHERE epoch = ? AND node = ?)",
            [leadership.epoch, leadership.node],
        )

    def ask_handover(self, successor: str) -> Leader:
        leader = check_successor(self, successor)
        self._ask(f"UPDATE lease SET successor = ?, asked_at = {_NOW}", [successor])  # noqa: S608 - no input
        return leader

    # Who follows

    def register(self, node: str, url: str, taken: int) -> None:
        self._ask(
            f"INSERT INTO node VALUES (?, ?, ?, {_NOW}) ON CONFLICT (node) DO UPDATE"  # noqa: S608 - no input
            " SET url = excluded.url, taken = excluded.taken, seen_at = excluded.seen_at",
            [node, url, taken],
        )

    def forget(self, node: str) -> bool:
        with self._asking() as session:
            return session.execute("DELETE FROM node WHERE node = ?", [node]).rowcount > 0

    def list_nodes(self) -> list[NodeRow]:
        rows = self._ask(f"SELECT node, url, taken, {_NOW} - seen_at FROM node ORDER BY node")  # noqa: S608 - no input
        return [NodeRow(*row) for row in rows]

    # What verifiers sign

    def record_signed(self, verifier: bytes, rollup_id: bytes, blocks: Iterable[tuple[int, bytes]]) -> None:
        with self._asking() as session:
            for height, block_hash in blocks:
                session.execute(
                    "INSERT OR IGNORE INTO signed VALUES (?, ?, ?, ?)", [verifier, rollup_id, height, block_hash]
                )
                (known,) = session.execute(
                    "SELECT block_hash FROM signed WHERE verifier = ? AND rollup_id = ? AND height = ?",
                    [verifier, rollup_id, height],
                ).fetchone()
                if known != block_hash:
                    raise AttestationConflict(height, known, block_hash)
