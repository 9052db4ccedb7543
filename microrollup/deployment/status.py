"""How far a rollup is acknowledged, executed, verified, available and settled."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any, Final

from microrollup._native.choice import describe_path
from microrollup.client import SyncClient
from microrollup.codec.json import hex0x
from microrollup.deployment.place_file import find_place
from microrollup.errors import StoreMissing
from microrollup.ledger.indexes.status import IndexStatus, list_statuses
from microrollup.node.settling import find_final_height
from microrollup.settlement.place import L1Place, open_l1
from microrollup.settlement.protocol import Settlement
from microrollup.store.environment import DATA_FILE, Environment
from microrollup.store.tables import get_checkpoint

__all__ = ["read_directory_status", "read_l1_status", "read_node_status"]

_SHOWN: Final = ("intake", "reason", "queueDepth", "acknowledged", "height", "l1", "indexes", "native")
"""What `status` shows of what a node says."""

_NODE_SECONDS: Final = 5.0
"""How long a node may take to answer, attempts that failed included."""


def read_node_status(url: str) -> dict[str, Any]:
    """What a node says of itself, within seconds. Raises `ClientError`s."""
    with SyncClient(url, timeout=_NODE_SECONDS) as client:
        status = client.call("status")
    return {name: status[name] for name in _SHOWN}


def read_directory_status(directory: Path, l1: L1Place | None = None) -> dict[str, Any]:
    """What a data directory and the L1 that it settles on hold, whether a node runs or not; `native` is how this
    process computes. Raises `StoreMissing`.
    """
    acknowledged, latest = _read_store(directory)
    status = read_l1_status(find_place(directory, l1))
    indexes = [_describe_index(index) for index in list_statuses(directory, latest)]
    height = {"latest": latest, **status["height"]}
    return {
        "acknowledged": acknowledged,
        "height": height,
        "l1": status["l1"],
        "indexes": indexes,
        "native": describe_path(),
    }


def _describe_index(status: IndexStatus) -> dict[str, Any]:
    reached = None if status.reached < 0 else status.reached
    return {"name": status.name, "reached": reached, "rows": status.rows, "failure": status.failure or None}


def read_l1_status(l1: L1Place) -> dict[str, Any]:
    """What L1 alone knows: no operator is needed for it. Raises what opening the L1 raises."""
    with closing(open_l1(l1)) as settlement:
        head = settlement.get_settled()
        final = find_final_height(settlement, 0, head.height)
        height = {"available": head.height, "settled": final}
        return {"acknowledged": None, "height": height, "l1": _describe_l1(settlement)}


def _read_store(directory: Path) -> tuple[int, int]:
    """Actions in closed blocks, and the newest of these. Raises `StoreMissing`."""
    if not (directory / DATA_FILE).is_file():
        raise StoreMissing(f"{directory} holds no store")
    with Environment(directory, read_only=True) as environment:
        checkpoint = get_checkpoint(environment.reader, environment.tables)
    return checkpoint.next_seq, checkpoint.height


def _describe_l1(settlement: Settlement) -> dict[str, Any]:
    head, number = settlement.get_settled(), settlement.get_number()
    verifiers = settlement.get_verifiers(number)
    return {
        "number": number,
        "inbox": hex0x(settlement.get_inbox()),
        "settledHeight": head.height,
        "settledRoot": hex0x(head.state_root),
        "settledIn": head.l1_number,
        "origin": settlement.get_origin(),
        "forcedQueue": settlement.get_forced_count(number),
        "forcedTaken": head.forced_count,
        "builder": hex0x(settlement.get_builder(number)),
        "verifiers": len(verifiers.members),
        "quorum": verifiers.quorum,
    }
