"""What a node says of itself: `/health` and `rollup_status`, and the gauges of `/metrics`."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from microrollup._native.choice import describe_path
from microrollup.chain.answers.confirmations import Heights
from microrollup.chain.answers.node import IndexProgress, L1Status, StatusAnswer, VerifierStatus
from microrollup.node.confirmations import Confirmations
from microrollup.node.metrics import read_memory
from microrollup.node.standing_gauges import describe_blobs, watch_observer

if TYPE_CHECKING:
    from microrollup.node.reading import ReadingNode

__all__ = ["describe_heights", "describe_status", "watch_gauges"]


def describe_status(node: ReadingNode, subscribers: int = 0) -> StatusAnswer:
    """How far everything is, and whether actions are taken. Asks neither disk nor network."""
    reason = node.stopped
    return StatusAnswer(
        intake=("open" if node.takes_actions else "none") if reason is None else "stopped",
        reason=reason,
        divergence=node.confirmations.divergent,
        acknowledged=node.receipts.next,
        height=describe_heights(node),
        l1=_describe_l1(node),
        queue_depth=node.queue_depth,
        uptime=round(time.time() - node.started_at, 3),
        memory=read_memory(),
        verifiers=tuple(
            [VerifierStatus(link.name, link.pid is not None, link.pid, link.failures) for link in node.links]
        ),
        subscribers=subscribers,
        indexes=tuple(_describe_indexes(node)),
        instance=node.instance,
        follower=node.follower,
        native=describe_path(),
        settling=node.describe_settling(),
        disk_free=node.observer.disk_free,
        blobs=describe_blobs(node.observer),
        replication=node.observer.describe_replication(),
    )


def _describe_indexes(node: ReadingNode) -> list[IndexProgress]:
    if node.indexer is None or node.reads is None:
        return []
    found = {status.name: status for status in node.indexer.statuses}
    return [
        IndexProgress(name, None, 0, None)
        if (status := found.get(name)) is None
        else IndexProgress(name, None if status.reached < 0 else status.reached, status.rows, status.failure or None)
        for name in sorted(node.reads.indexes)
    ]


def describe_heights(node: ReadingNode) -> Heights:
    """The newest height at each level."""
    found = node.confirmations
    return Heights(found.latest, found.verified, found.available, found.settled)


def _describe_l1(node: ReadingNode) -> L1Status:
    head, number = node.l1.get_settled(), node.l1.get_number()
    return L1Status(
        number=number,
        origin=node.l1.get_origin(),
        settled_in=head.l1_number,
        forced_queue=node.l1.get_forced_count(number),
        forced_taken=node.ledger.checkpoint.forced_count,
    )


def watch_gauges(node: ReadingNode) -> None:
    """Let the metrics look at a node whenever they are read."""
    watch, confirmations = node.metrics.watch, node.confirmations
    levels: dict[str, Callable[[], float]] = {
        "C1": lambda: confirmations.latest,
        "C2": lambda: confirmations.verified,
        "C3A": lambda: confirmations.available,
        "C3B": lambda: confirmations.settled,
    }
    for level, read in levels.items():
        watch("block_height", "Newest block by confirmation level.", read, confirmation=level)
    watch("queue_depth", "Actions taken and not yet decided.", lambda: node.queue_depth)
    watch("process_memory_bytes", "Resident memory of this process.", read_memory)
    watch("intake_open", "1 while actions are taken.", lambda: float(node.stopped is None))
    watch(
        "verifiers_running",
        "Verifier processes of this node that run.",
        lambda: len([link for link in node.links if link.pid is not None]),
    )
    watch("verifiers_configured", "Verifier processes that this node keeps running.", lambda: len(node.links))
    watch("block_invalid", "1 once a block was found invalid (C2X).", lambda: confirmations.divergent is not None)
    watch_observer(node.metrics, node.observer)
    for name in sorted(node.reads.indexes if node.reads is not None else ()):
        read_height = _watch_index(node, name)
        watch("index_height", "Newest height of an index; -1 before it has one.", read_height, index=name)
        watch("index_lag_blocks", "Blocks that an index lacks.", _watch_lag(confirmations, read_height), index=name)
    node.ledger.environment.on_commit = node.metrics.note_commit


def _watch_index(node: ReadingNode, name: str) -> Callable[[], float]:
    def read() -> float:
        statuses = () if node.indexer is None else node.indexer.statuses
        return next((float(status.reached) for status in statuses if status.name == name), -1.0)

    return read


def _watch_lag(confirmations: Confirmations, read_height: Callable[[], float]) -> Callable[[], float]:
    return lambda: max(0.0, confirmations.latest - read_height())
