"""Reading a replicated log: what its rows mean to every backend, and beside a node's own log."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from blake3 import blake3

from microrollup.replication.errors import LogMoved, OtherLog, ReplicationError
from microrollup.replication.protocol import Leader, LogEnd, LogRow, ReplicatedLog

__all__ = ["check_successor", "make_log_rows", "read_linked", "require_prefix"]


def require_prefix(log: ReplicatedLog, own: LogEnd) -> None:
    """Raise `OtherLog` unless a node's own log, which ends there, is a prefix of the replicated one.

    Raises `LogMoved` if the replicated one has forgotten what comes next: then nothing can be told, or taken.
    """
    found = log.get_chain(own.number - 1)
    if found is None and own.number < log.get_end().number:
        raise LogMoved(
            f"the replicated log has forgotten record {own.number}, which comes next here: restore a snapshot of a"
            " newer height first (`microrollup docs backups`)"
        )
    if found != own.chain:
        raise OtherLog(own.number - 1, own.chain, found)


def read_linked(log: ReplicatedLog, end: LogEnd, limit: int) -> list[LogRow]:
    """At most `limit` records after `end`, each checked against the chain. Raises `LogMoved`."""
    rows = log.read(end.number, limit)
    chain = end.chain
    for number, row in enumerate(rows, end.number):
        chain = blake3(chain + row.record).digest()
        if (row.number, row.chain) != (number, chain):
            raise LogMoved(f"record {number} of the replicated log does not follow from the one before it")
    return rows


def make_log_rows(rows: Sequence[tuple[Any, ...]], first: int) -> list[LogRow]:
    """The records that a database has from number `first` on. Raises `LogMoved` if it has forgotten that one."""
    if rows and rows[0][0] != first:
        raise LogMoved(f"the replicated log has forgotten record {first}")
    return [LogRow(*row) for row in rows]


def check_successor(log: ReplicatedLog, successor: str) -> Leader:
    """Who leads. Raises `ReplicationError` unless `successor` is another node that is registered."""
    if successor not in {row.node for row in log.list_nodes()}:
        raise ReplicationError(f"no node named {successor!r} is registered")
    leader = log.get_leader()
    if leader.node == successor:
        raise ReplicationError(f"{successor!r} leads already")
    return leader
