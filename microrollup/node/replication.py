"""What a member of a replicated log measures, while it leads and while it does not."""

from __future__ import annotations

from typing import Protocol

from microrollup.chain.answers.standing import ReplicationStatus
from microrollup.node.metrics import Metrics

__all__ = ["describe_leader", "render_member", "watch_leader"]


class _Appending(Protocol):
    append_seconds: float


class _Keeping(Protocol):
    slowest: int

    @property
    def age(self) -> float: ...

    @property
    def epoch(self) -> int: ...


def watch_leader(metrics: Metrics, log: _Appending, keeper: _Keeping) -> None:
    """Let a leading node's metrics look at its log and its lease."""
    metrics.watch("replication_leads", "1 while this node leads.", lambda: 1)
    metrics.watch("replication_epoch", "Epoch of the leadership that this node knows.", lambda: keeper.epoch)
    metrics.watch("replication_append_seconds", "What the last append took.", lambda: log.append_seconds)
    metrics.watch("replication_lease_age_seconds", "Since the leader's lease was renewed.", lambda: keeper.age)
    metrics.watch(
        "replication_lag_records", "Records that the slowest node, or this one, lacks.", lambda: keeper.slowest
    )
    metrics.watch("replication_refused", "1 if this node's log or a block differs: it will not lead.", lambda: 0)


def describe_leader(node: str, keeper: _Keeping) -> ReplicationStatus:
    """What the leading node of a replicated log says of its place in it."""
    return ReplicationStatus("leader", node, keeper.epoch, round(keeper.age, 3), keeper.slowest)


def render_member(epoch: int, lag: int, lease_age: float | None, *, refused: bool) -> bytes:
    """The metrics of a member that does not lead, in Prometheus's text format."""
    metrics = Metrics()
    metrics.watch("replication_leads", "1 while this node leads.", lambda: 0)
    metrics.watch("replication_epoch", "Epoch of the leadership that this node knows.", lambda: epoch)
    metrics.watch("replication_lag_records", "Records that the slowest node, or this one, lacks.", lambda: lag)
    metrics.watch("replication_refused", "1 if this node's log or a block differs: it will not lead.", lambda: refused)
    metrics.watch("replication_lease_age_seconds", "Since the leader's lease was renewed.", lambda: lease_age)
    return metrics.render()
