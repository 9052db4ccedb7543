"""What the node measures, for Prometheus, in a registry of its own."""

from __future__ import annotations

import itertools
import math
import os
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Metric, generate_latest
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from microrollup.chain.receipt import STATUS_NAMES
from microrollup.errors import ActionLimit, RefusedError
from microrollup.node.failures import FAULT
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


def _guard(read: Callable[[], float | None]) -> Callable[[], float]:
    """A reader that gives NaN where there is no value, as where what it looks at is closed: the others still answer."""

    def read_or_nan() -> float:
        try:
            value = read()
        except Exception:
            return math.nan
        return math.nan if value is None else float(value)

    return read_or_nan


class _Count(Collector):
    """A counter whose value is kept elsewhere, and read when it is asked for."""

    def __init__(self, name: str, text: str, read: Callable[[], int]) -> None:
        self._name = name
        self._text = text
        self._read = read

    def collect(self) -> Iterator[Metric]:
        yield CounterMetricFamily(self._name, self._text, value=self._read())


class Histogram(Collector):
    """A histogram that one thread fills: without the locks that make a value of the library's three times as dear."""

    def __init__(self, name: str, text: str, bounds: Sequence[float]) -> None:
        self._name = name
        self._text = text
        self._bounds = bounds
        self._created = time.time()
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, value: float) -> None:
        """Count a value under the least bound that it does not exceed."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def collect(self) -> Iterator[Metric]:
        names = [*map(floatToGoString, (*self._bounds, math.inf))]
        buckets = [*zip(names, itertools.accumulate(self._counts), strict=True)]
        family = HistogramMetricFamily(self._name, self._text, buckets=buckets, sum_value=self._sum)
        family.add_sample(f"{self._name}_created", {}, self._created)
        yield family


class Metrics:
    """Counters and gauges of one node."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry(auto_describe=True)
        self._gauges: dict[str, Gauge] = {}
        registry = self._registry
        self._actions = Counter(
            "microrollup_actions", "Actions by what became of them.", ["outcome"], registry=registry
        )
        self._refusals = Counter("microrollup_refusals", "Refused actions by code.", ["code"], registry=registry)
        self._group_seconds = Histogram(
            "microrollup_group_seconds", "Time to execute a group and commit it, sync included.", _SECONDS
        )
        self._commit_seconds = Histogram(
            "microrollup_commit_seconds", "Time of a durable commit, its sync included.", _SECONDS
        )
        self._group_size = Histogram("microrollup_group_actions", "Actions of a group.", _SIZES)
        for histogram in (self._group_seconds, self._commit_seconds, self._group_size):
            registry.register(histogram)
        self._blocks = Counter("microrollup_blocks", "Blocks closed since the start.", registry=registry)
        self._calls = Counter(
            "microrollup_rpc_calls", "Calls by method and outcome.", ["method", "outcome"], registry=registry
        )
        self._faults = Counter("microrollup_rpc_faults", "Calls that met a bug of the node.", registry=registry)
        self._settlement_failures = Counter(
            "microrollup_settlement_failures", "Attempts to settle that failed, by error.", ["kind"], registry=registry
        )
        self._count_outcome = cache(lambda outcome: self._actions.labels(outcome=outcome).inc)
        self._count_call = cache(lambda method, outcome: self._calls.labels(method=method, outcome=outcome).inc)
        self._begin()

    def _begin(self) -> None:
        """Counters that alerts look at begin at 0: Prometheus sees no rise from nothing to 1."""
        for outcome in (*STATUS_NAMES, "refused", "failed"):
            self._actions.labels(outcome=outcome)
        self._refusals.labels(code=ActionLimit.code)
        self._settlement_failures.labels(kind=FAULT)

    def watch(self, name: str, text: str, read: Callable[[], float | None], **labels: str) -> None:
        """A gauge that is read when it is asked for; NaN while it has no value."""
        gauge = self._gauges.get(name)
        if gauge is None:
            gauge = self._gauges[name] = Gauge(f"microrollup_{name}", text, list(labels), registry=self._registry)
        (gauge.labels(**labels) if labels else gauge).set_function(_guard(read))

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
            self._count_outcome(outcome)(count)
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
        self._count_call(method, outcome)()

    def note_fault(self) -> None:
        """A call met a bug."""
        self._faults.inc()

    def note_settlement_failure(self, kind: str) -> None:
        """Settling failed; `kind` is the name of an error class, so there are as many as the source has."""
        self._settlement_failures.labels(kind=kind).inc()

    def render(self) -> bytes:
        """The text format of Prometheus."""
        return generate_latest(self._registry)
