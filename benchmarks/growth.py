"""Row 4: what an unsigned, durable action costs as accounts grow, from records to checkpoints."""

from __future__ import annotations

import statistics
import time
from contextlib import ExitStack
from typing import Final

import msgspec

from benchmarks.context import Bench
from benchmarks.report import Row, make_size_row
from benchmarks.stores import Store, build_block, build_store
from microrollup.ledger import Ledger

__all__ = ["BARS", "measure"]

BARS: Final = (3.0, 1.5)


class _Point(msgspec.Struct):
    """A store of one size, open, and what its blocks took."""

    accounts: int
    store: Store
    ledger: Ledger
    block_seconds: list[float] = []
    sync_seconds: float = 0.0


def measure(bench: Bench) -> list[Row]:
    """Blocks of the wallet file's mix; the stores of all sizes take turns."""
    rows = []
    for block_size in bench.sizes.block_sizes:
        stores = [(accounts, _build(bench, accounts)) for accounts in bench.sizes.growth]
        with ExitStack() as stack:
            points = [
                _Point(accounts, store, stack.enter_context(store.open()))
                for accounts, store in [*stores, (bench.sizes.accounts, bench.store)]
            ]
            rows.append(_measure_points(bench, points, block_size))
    return rows


def _build(bench: Bench, accounts: int) -> Store:
    bench.say(f"building a store of {accounts:,} accounts")
    directory = bench.make_directory(f"growth-{accounts}")
    return Store(directory, build_store(directory, accounts))


def _measure_points(bench: Bench, points: list[_Point], block_size: int) -> Row:
    bench.say(f"blocks of {block_size:,} actions at {len(points)} sizes")
    fsync = bench.measure_fsync()
    for _ in range(bench.sizes.repetitions):
        for point in points:
            actions = point.store.population.make_mix(block_size)
            started = time.perf_counter()
            build_block(point.ledger, actions)
            point.block_seconds.append(time.perf_counter() - started)
    for point in points:
        started = time.perf_counter()
        point.ledger.sync_tree()
        point.sync_seconds = time.perf_counter() - started
    costs = [_compute_cost(point, block_size) for point in points]
    shown = ", ".join(f"{cost:.1f} us at {point.accounts:,}" for cost, point in zip(costs, points, strict=True))
    first, last = points[0], points[-1]
    return make_size_row(
        "growth",
        f"cost an action, {first.accounts:,} to {last.accounts:,} accounts, blocks of {block_size:,}",
        costs[-1] / costs[0],
        "x",
        limit_name="flat",
        bars=BARS,
        repetitions=len(first.block_seconds),
        fsync=fsync,
        points=tuple((point.accounts, cost) for point, cost in zip(points, costs, strict=True)),
        note=f"{shown}; unsigned, 60 % Register, 40 % Update, durable by groups of 1,000, files synced once",
    )


def _compute_cost(point: _Point, block_size: int) -> float:
    """Microseconds an action: the median block, and its part of making the tree's files durable."""
    seconds = statistics.median(point.block_seconds) + point.sync_seconds / len(point.block_seconds)
    return 1e6 * seconds / block_size
