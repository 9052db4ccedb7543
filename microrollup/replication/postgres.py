"""A replicated log in PostgreSQL.

Nothing here cancels a statement: the server answers a cancelled wait for the second copy with success and a warning. A
session is dropped when it is silent too long; then, and at any warning, what was asked for is not known to be done.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, LiteralString, TypeVar

import psycopg
from psycopg.abc import PQGen

from microrollup.errors import AttestationConflict
from microrollup.replication.errors import (
    Fenced,
    LogMoved,
    NoAnswer,
    NotReplicated,
    OtherLog,
    ReplicationError,
    WeakDurability,
)
from microrollup.replication.opening import LogUrl
from microrollup.replication.postgres_schema import APPEND, TABLES, VERSION
from microrollup.replication.protocol import LEASE_SECONDS, Leader, Leadership, LogEnd, LogRow, NodeRow
from microrollup.replication.reading import check_successor, make_log_rows

__all__ = ["PostgresLog"]

RV = TypeVar("RV")
_Row = tuple[Any, ...]

SILENCE_SECONDS: Final = 10.0
"""A session that does not answer for so long is dropped."""
_CONNECT_SECONDS: Final = 5
_OPTIONS: Final = (
    "-c synchronous_commit=on -c client_min_messages=warning -c default_transaction_isolation=read\\ committed"
    " -c statement_timeout=0 -c lock_timeout=0 -c idle_in_transaction_session_timeout=0"
    " -c default_transaction_read_only=off"
)
_SEEDED_AT_ONCE: Final = 5_000


class _Session(psycopg.Connection[_Row]):
    """A connection that waits for no answer longer than `SILENCE_SECONDS`."""

    def wait(self, gen: PQGen[RV], interval: float = 0.1, timeout: float | None = None) -> RV:
        return super().wait(gen, interval, SILENCE_SECONDS if timeout is None else timeout)


class PostgresLog:
    """A `ReplicatedLog` in the schema `microrollup` of a database.

    Connects at the first call, and again after each `NoAnswer`.
    """

    def __init__(self, url: str, *, single_copy: bool = False) -> None:
        """`url` is a connection string of libpq; with several hosts it takes the one that writes.

        `single_copy`: take a database without a synchronous standby.
        """
        self._url = url
        self._name = LogUrl(url).shown
        self._single_copy = single_copy
        self._session: _Session | None = None
        self._warnings: list[str] = []

    # Sessions

    def _connect(self) -> _Session:
        if self._session is not None:
            return self._session
        try:
            session = _Session.connect(
                self._url, autocommit=True, connect_timeout=_CONNECT_SECONDS, options=_OPTIONS,
                target_session_attrs="read-write", application_name="microrollup", keepalives_idle=5,
                keepalives_interval=2, keepalives_count=3, tcp_user_timeout=int(1_000 * SILENCE_SECONDS),
            )  # fmt: skip
        except psycopg.Error as error:
            raise NoAnswer(f"{self._name} cannot be reached: {_shorten(error)}") from None
        session.add_notice_handler(self._note)
        try:
            self._check(session)
        except BaseException:
            session.close()
            raise
        self._session = session
        return session

    def _note(self, diagnostic: psycopg.errors.Diagnostic) -> None:
        if diagnostic.severity_nonlocalized == "WARNING":
            self._warnings.append(diagnostic.message_primary or "a warning")

    def _check(self, session: _Session) -> None:
        """Raise `WeakDurability` for settings that may lose what was confirmed."""
        names = ("fsync", "full_page_writes", "synchronous_commit", "synchronous_standby_names", "client_min_messages")
        try:
            found = {name: session.execute("SELECT current_setting(%s)", [name]).fetchone() for name in names}
        except psycopg.Error as error:
            raise NoAnswer(f"{self._name}: {_shorten(error)}") from None
        values = {name: "" if row is None else str(row[0]) for name, row in found.items()}
        for name in ("fsync", "full_page_writes", "synchronous_commit"):
            if values[name] != "on":
                raise WeakDurability(f"{name} is {values[name]!r} in {self._name}: it must be 'on'")
        if not values["synchronous_standby_names"] and not self._single_copy:
            raise WeakDurability(_explain_single(self._name))
        if values["client_min_messages"] not in {"debug5", "debug4", "debug3", "debug2", "debug1", "log", "notice",
                                                 "warning"}:  # fmt: skip
            raise WeakDurability(f"client_min_messages is {values['client_min_messages']!r}: warnings would be lost")

    @contextmanager
    def _asking(self) -> Iterator[_Session]:
        """A session for one change or look. What is not known to be done is a `NoAnswer`, and ends the session."""
        session = self._connect()
        self._warnings.clear()
        try:
            yield session
        except psycopg.errors.UndefinedTable:
            raise NotReplicated(f"{self._name} holds no log: `microrollup replica seed` makes one") from None
        except psycopg.Error as error:
            self.close()
            raise NoAnswer(f"{self._name}: {_shorten(error)}") from None
        except KeyboardInterrupt:
            self.close()
            raise
        if self._warnings:
            warning = "; ".join(self._warnings)
            self.close()
            raise NoAnswer(f"{self._name} warns: {warning}")

    def _ask(self, query: LiteralString, values: Sequence[object] = ()) -> list[_Row]:
        with self._asking() as session:
            cursor = session.execute(query, values, binary=True)
            return [] if cursor.description is None else cursor.fetchall()

    def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.close()

    # The log

    def found(self, rollup_id: bytes, rows: Iterable[tuple[bytes, bytes]], first: int = 0) -> None:
        with self._asking() as session:
            session.execute(TABLES)
            session.execute(APPEND)
            session.execute(
                "INSERT INTO microrollup.about VALUES (true, %s, %s) ON CONFLICT DO NOTHING", [VERSION, rollup_id]
            )
        if self.get_rollup_id() != rollup_id:
            raise NotReplicated(f"{self._name} holds the log of another rollup, 0x{self.get_rollup_id().hex()}")
        if self.get_leader().epoch:
            raise ReplicationError(f"{self._name} has a log that nodes use already")
        last: LogRow | None = None
        for part in _split(enumerate(rows, first), _SEEDED_AT_ONCE):
            with self._asking() as session, session.cursor() as cursor:
                cursor.executemany(
                    "INSERT INTO microrollup.log VALUES (%s, 0, %s, %s, NULL) ON CONFLICT DO NOTHING",
                    [(number, chain, record) for number, (chain, record) in part],
                )
            number, (chain, record) = part[-1]
            last = LogRow(number, 0, chain, record)
        if last is None:
            raise ReplicationError("there are no records to begin a log with")
        found = self._ask("SELECT number, chain FROM microrollup.log ORDER BY number DESC LIMIT 1")[0]
        if found != (last.number, last.chain):
            raise OtherLog(last.number, last.chain, self.get_chain(last.number))

    def get_rollup_id(self) -> bytes:
        rows = self._ask("SELECT version, rollup_id FROM microrollup.about")
        if not rows:
            raise NotReplicated(f"{self._name} holds no log: `microrollup replica seed` makes one")
        if rows[0][0] != VERSION:
            raise NotReplicated(f"the tables in {self._name} have version {rows[0][0]}, this node has {VERSION}")
        return bytes(rows[0][1])

    def get_end(self) -> LogEnd:
        rows = self._ask("SELECT number, chain FROM microrollup.log ORDER BY number DESC LIMIT 1")
        if not rows:
            raise NotReplicated(f"{self._name} holds an empty log: `microrollup replica seed` fills it")
        return LogEnd(rows[0][0] + 1, bytes(rows[0][1]))

    def get_chain(self, number: int) -> bytes | None:
        rows = self._ask("SELECT chain FROM microrollup.log WHERE number = %s", [number])
        return bytes(rows[0][0]) if rows else None

    def read(self, first: int, limit: int) -> list[LogRow]:
        rows = self._ask(
            "SELECT number, epoch, chain, record, header FROM microrollup.log WHERE number >= %s ORDER BY number"
            " LIMIT %s",
            [first, limit],
        )
        return make_log_rows(rows, first)

    def append(
        self, leadership: Leadership, end: LogEnd, rows: Sequence[tuple[bytes, bytes]], header: bytes | None = None
    ) -> None:
        chains, records = [chain for chain, _ in rows], [record for _, record in rows]
        answer = self._ask(
            "SELECT microrollup.append(%s, %s, %s, %s, %s::bytea[], %s::bytea[], %s, %s)",
            [leadership.epoch, leadership.node, end.number, end.chain, chains, records, header, self._single_copy],
        )[0][0]
        match answer.split(" ", 2):
            case ["appended"]:
                return
            case ["fenced", epoch, node]:
                raise Fenced(f"{node} leads since epoch {epoch}; this node led in epoch {leadership.epoch}")
            case ["moved", number]:
                raise LogMoved(f"the replicated log ends before record {number}, and not before {end.number} as here")
            case _:
                self.close()
                raise WeakDurability(_explain_single(self._name) if "names" in answer else f"{answer} in the database")

    def confirm(self) -> None:
        self._ask("UPDATE microrollup.noop SET count = count + 1")

    def prune(self, below: int) -> int:
        with self._asking() as session:
            return session.execute(
                "DELETE FROM microrollup.log WHERE number < least(%s, (SELECT min(taken) FROM microrollup.node),"
                " (SELECT max(number) FROM microrollup.log))",
                [below],
            ).rowcount

    # Who leads

    def get_leader(self) -> Leader:
        epoch, node, url, seconds, successor = self._ask(
            "SELECT epoch, node, url, extract(epoch FROM clock_timestamp() - renewed_at)::float8,"
            " successor"
            " FROM microrollup.leader, microrollup.lease"
        )[0]
        return Leader(epoch, node, url, math.inf if seconds is None else max(0.0, seconds), successor)

    def claim(self, seen: Leader, node: str, url: str) -> Leadership:
        with self._asking() as session, session.transaction():
            row = session.execute(
                "UPDATE microrollup.leader SET epoch = epoch + 1, node = %s, url = %s WHERE epoch = %s AND node = %s"
                " RETURNING epoch",
                [node, url, seen.epoch, seen.node],
            ).fetchone()
            taken = (
                row is not None
                and session.execute(
                    "UPDATE microrollup.lease SET renewed_at = clock_timestamp(), successor = NULL, asked_at = NULL"
                    " WHERE (%(own)s OR renewed_at IS NULL"
                    "        OR clock_timestamp() - renewed_at > make_interval(secs => %(age)s))"
                    "   AND (successor IS NULL OR successor = %(node)s"
                    "        OR clock_timestamp() - asked_at > make_interval(secs => %(age)s)) RETURNING one",
                    {"node": node, "own": seen.node == node, "age": LEASE_SECONDS},
                ).fetchone()
            )
            if not taken:
                raise Fenced(f"the leadership is not free: {seen.node or 'nobody'} had epoch {seen.epoch}")
        return Leadership(seen.epoch + 1, node)

    def renew(self, leadership: Leadership) -> str | None:
        rows = self._ask(
            "UPDATE microrollup.lease SET renewed_at = clock_timestamp() FROM microrollup.leader"
            " WHERE leader.epoch = %s AND leader.node = %s RETURNING successor",
            [leadership.epoch, leadership.node],
        )
        if not rows:
            leader = self.get_leader()
            raise Fenced(f"{leader.node} leads since epoch {leader.epoch}; this node led in epoch {leadership.epoch}")
        successor: str | None = rows[0][0]
        return successor

    def release(self, leadership: Leadership) -> None:
        self._ask(
            "UPDATE microrollup.lease SET renewed_at = NULL FROM microrollup.leader"
            " WHERE leader.epoch = %s AND leader.node = %s",
            [leadership.epoch, leadership.node],
        )

    def ask_handover(self, successor: str) -> Leader:
        leader = check_successor(self, successor)
        self._ask("UPDATE microrollup.lease SET successor = %s, asked_at = clock_timestamp()", [successor])
        return leader

    # Who follows

    def register(self, node: str, url: str, taken: int) -> None:
        self._ask(
            "INSERT INTO microrollup.node VALUES (%s, %s, %s, clock_timestamp()) ON CONFLICT (node) DO UPDATE"
            " SET url = excluded.url, taken = excluded.taken, seen_at = excluded.seen_at",
            [node, url, taken],
        )

    def forget(self, node: str) -> bool:
        return bool(self._ask("DELETE FROM microrollup.node WHERE node = %s RETURNING node", [node]))

    def list_nodes(self) -> list[NodeRow]:
        return [
            NodeRow(*row)
            for row in self._ask(
                "SELECT node, url, taken, extract(epoch FROM clock_timestamp() - seen_at)::float8 FROM microrollup.node"
                " ORDER BY node"
            )
        ]

    # What verifiers sign

    def record_signed(self, verifier: bytes, rollup_id: bytes, blocks: Iterable[tuple[int, bytes]]) -> None:
        with self._asking() as session, session.transaction(), session.cursor() as cursor:
            for height, block_hash in blocks:
                cursor.execute(
                    "INSERT INTO microrollup.signed VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING",
                    [verifier, rollup_id, height, block_hash],
                )
                row = cursor.execute(
                    "SELECT block_hash FROM microrollup.signed WHERE verifier = %s AND rollup_id = %s AND height = %s",
                    [verifier, rollup_id, height],
                ).fetchone()
                if row is None or bytes(row[0]) != block_hash:
                    raise AttestationConflict(height, b"" if row is None else bytes(row[0]), block_hash)


def _explain_single(name: str) -> str:
    return (
        f"synchronous_standby_names is empty in {name}, so an acknowledged action is on one machine only: name a"
        " synchronous standby, or accept it with --single-copy"
    )


def _shorten(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__


def _split(
    rows: Iterable[tuple[int, tuple[bytes, bytes]]], size: int
) -> Iterator[list[tuple[int, tuple[bytes, bytes]]]]:
    part: list[tuple[int, tuple[bytes, bytes]]] = []
    for row in rows:
        part.append(row)
        if len(part) == size:
            yield part
            part = []
    if part:
        yield part
