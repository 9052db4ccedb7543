"""What an operator does with a replicated log: fill it, join it, hand over, look at it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

import msgspec

from microrollup.chain.record import decode_genesis
from microrollup.declaration.rollup import MicroRollup
from microrollup.deployment.place_file import find_place, keep_place
from microrollup.errors import StoreMissing, WrongRollup
from microrollup.ledger.ledger import Ledger
from microrollup.replication.errors import NoAnswer, ReplicationError
from microrollup.replication.protocol import LEASE_SECONDS, Leader, LogEnd, NodeRow, ReplicatedLog, link
from microrollup.replication.reading import require_prefix
from microrollup.settlement.place import EthereumPlace, L1Place, describe_place, open_l1
from microrollup.store.tables import get_chain, get_log_start, iterate_log

__all__ = ["ReplicaState", "adopt_log", "describe_replica", "hand_over", "seed_log"]

_HANDOVER_SECONDS: Final = 60.0
_PAUSE_SECONDS: Final = 0.2


class ReplicaState(msgspec.Struct, frozen=True):
    """A replicated log, as it is at one moment."""

    rollup_id: bytes
    end: LogEnd
    leader: Leader
    nodes: list[NodeRow]


def seed_log(directory: Path, rollup: MicroRollup, log: ReplicatedLog) -> LogEnd:
    """Fill an empty replicated log with all records of a data directory, whose node is stopped; where it ends then.

    Raises `StoreLocked` while a node runs there, and `ReplicationError` if the database holds another log.
    """
    with Ledger.open(directory, rollup) as ledger:
        environment = ledger.environment
        with environment.snapshot() as txn:
            start = get_log_start(txn, environment.tables)
            first = 0 if start is None else start.number
            chain = ledger.rollup_id if start is None else start.chain

            def read_rows() -> Iterator[tuple[bytes, bytes]]:
                last = chain
                for _, record in iterate_log(txn, environment.tables, ledger.rollup_id, first):
                    ((last, _),) = link(last, [record])
                    yield last, record

            log.found(ledger.rollup_id, read_rows(), first)
            number, chain = ledger.log_end
            if get_chain(txn, environment.tables, number - 1, ledger.rollup_id) != chain:
                raise WrongRollup(f"the log in {directory} changed while it was read")
        return LogEnd(*ledger.log_end)


def adopt_log(
    directory: Path, rollup: MicroRollup, log: ReplicatedLog, node: str, l1: L1Place | None
) -> tuple[int, LogEnd]:
    """Make a data directory that follows a replicated log, or check one that exists: a copy of another node's, or a
    restored snapshot. Registers it as `node`, so that what it needs is kept; the number of its next record, and where
    the replicated log ends.

    Raises `OtherLog` and `LogMoved`.
    """
    try:
        with Ledger.open(directory, rollup) as ledger:
            end = LogEnd(*ledger.log_end)
            _require_rollup(log, ledger.rollup_id, directory)
    except StoreMissing:
        end = _create(directory, rollup, log, l1)
    require_prefix(log, end)
    log.register(node, "", end.number)
    return end.number, log.get_end()


def _require_rollup(log: ReplicatedLog, rollup_id: bytes, directory: Path) -> None:
    if log.get_rollup_id() != rollup_id:
        raise WrongRollup(f"the replicated log is of another rollup than {directory} holds")


def _create(directory: Path, rollup: MicroRollup, log: ReplicatedLog, l1: L1Place | None) -> LogEnd:
    """A new store with the genesis alone; the node executes all that follows."""
    rows = log.read(0, 1)
    if not rows:
        raise ReplicationError("the replicated log is empty: `microrollup replica seed` fills it")
    genesis = decode_genesis(rows[0].record)
    place = find_place(directory, l1)
    with closing(open_l1(place)) as settlement:
        if settlement.get_genesis() != genesis:
            raise WrongRollup(f"{describe_place(place)} is the settlement of another rollup than the log's")
    with Ledger.create(directory, rollup, genesis) as ledger:
        _require_rollup(log, ledger.rollup_id, directory)
        if isinstance(place, EthereumPlace):
            keep_place(directory, place)
        return LogEnd(*ledger.log_end)


def hand_over(log: ReplicatedLog, successor: str) -> Leader:
    """Ask the leader to hand over to a node, and wait until that one leads.

    The leader lets new requests wait, answers those that it has, closes its block and gives its lease back. Raises
    `ReplicationError` if that does not come about within a minute; then nothing has changed, or it still comes.
    """
    before = log.ask_handover(successor)
    deadline = time.monotonic() + _HANDOVER_SECONDS
    while time.monotonic() < deadline:
        try:
            leader = log.get_leader()
        except NoAnswer:
            continue
        if leader.epoch > before.epoch and leader.node == successor:
            return leader
        if leader.epoch > before.epoch and leader.lease_seconds < LEASE_SECONDS:
            raise ReplicationError(f"{leader.node} took over instead of {successor}")
        time.sleep(_PAUSE_SECONDS)
    raise ReplicationError(f"{successor} did not take over within {_HANDOVER_SECONDS:g} s; does it run?")


def describe_replica(log: ReplicatedLog) -> ReplicaState:
    """What the log says of itself. Raises `NotReplicated`."""
    return ReplicaState(log.get_rollup_id(), log.get_end(), log.get_leader(), log.list_nodes())
