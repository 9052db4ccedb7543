"""What the node measures, for Prometheus, in a registry of its own."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric, generate_latest
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from microrollup.chain.receipt import STATUS_NAMES
from microrollup.errors import RefusedError
from microrollup.node.submission import Result
from microrollup.sequencer.sequencer import Sequenced

__all__ = ["Metrics", "read_memory"]

_SECONDS: Final = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
_SIZES: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000)
_STATM: Final = Path("/proc/self/statm")


def read_memory() -> int:
    """Resident bytes of this process; 0 where the system does not say."""
    try:
        return int(_STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0


class _Count(Collector):
    """A counter whose value is kept elsewhere, and read when it is asked for."""

    def __init__(self, name: str, text: str, read: Callable[[], int]) -> None:
        self._name = name
        self._text = text
        self._read = read

    def collect(self) -> Iterator[Metric]:
        yield CounterMetricFamily(self._name, self._text, value=self._read())


class Metrics:
    """Counters and gauges of one node."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry(auto_describe=True)
        registry = self._registry
        self._actions = Counter(
            "microrollup_actions", "Actions by what became of them.", ["outcome"], registry=registry
        )
        self._refusals = Counter("microrollup_refusals", "Refused actions by code.", ["code"], registry=registry)
        self._group_seconds = Histogram(
            "microrollup_group_seconds",
            "Time to execute a group and commit it, sync included.",
            registry=registry,
            buckets=_SECONDS,
        )
        self._commit_seconds = Histogram(
            "microrollup_commit_seconds",
            "Time of a durable commit, its sync included.",
            registry=registry,
            buckets=_SECONDS,
        )
        self._group_size = Histogram(
            "microrollup_group_actions", "Actions of a group.", registry=registry, buckets=_SIZES
        )
        self._blocks = Counter("microrollup_blocks", "Blocks closed since the start.", registry=registry)
        self._calls = Counter(
            "microrollup_rpc_calls", "Calls by method and outcome.", ["method", "outcome"], registry=registry
        )
        self._gauges: dict[str, Gauge] = {}

    def watch(self, name: str, text: str, read: Callable[[], float], **labels: str) -> None:
        """A gauge that is read when it is asked for."""
        gauge = self._gauges.get(name)
        if gauge is None:
            gauge = self._gauges[name] = Gauge(f"microrollup_{name}", text, list(labels), registry=self._registry)
        (gauge.labels(**labels) if labels else gauge).set_function(read)

    def watch_count(self, name: str, text: str, read: Callable[[], int]) -> None:
        """A counter that is read when it is asked for: it only grows, so rates may be taken of it."""
        self._registry.register(_Count(f"microrollup_{name}", text, read))

    def note_group(self, seconds: float, results: Sequence[Result]) -> None:
        """What became of a group."""
        counts: dict[str, int] = {}
        for result in results:
            outcome: str
            if isinstance(result, Sequenced):
                outcome = STATUS_NAMES[result.receipt.status]
            elif isinstance(result, RefusedError):
                outcome = "refused"
                self._refusals.labels(code=result.code).inc()
            else:
                outcome = "failed"
            counts[outcome] = counts.get(outcome, 0) + 1
        for outcome, count in counts.items():
            self._actions.labels(outcome=outcome).inc(count)
        if seconds:
            self._group_seconds.observe(seconds)
            self._group_size.observe(len(results))

    def note_commit(self, seconds: float) -> None:
        """A durable commit took so long."""
        self._commit_seconds.observe(seconds)

    def note_block(self) -> None:
        """A block was closed."""
        self._blocks.inc()

    def note_call(self, method: str, outcome: str) -> None:
        """A call was answered; `method` is one of the method table, so that nobody makes labels up."""
        self._calls.labels(method=method, outcome=outcome).inc()

    def render(self) -> bytes:
        """The text format of Prometheus."""
        return generate_latest(self._registry)
