"""Row 4: what an unsigned, durable action costs as accounts grow, from records to checkpoints."""

from __future__ import annotations

import statistics
import time
from contextlib import ExitStack
from typing import Final, Self

from benchmarks.context import Bench
from benchmarks.report import Row, make_size_row
from benchmarks.stores import Store, build_block, build_store
from microrollup.ledger.recovery import read_number
from microrollup.store.tables import SYNCED_KEY

__all__ = ["TARGET", "measure"]

TARGET: Final = 2.0


class SizePoint:
    """A store of one size and what its blocks took. Use it in a `with` statement.

    Three actions of five add an account, so a small store is made anew once it has doubled.
    """

    def __init__(self, bench: Bench, accounts: int, store: Store | None = None) -> None:
        """`store` is one that is there and large enough not to double."""
        self.accounts = accounts
        self._bench = bench
        self._store = store or self._make_store()
        self._ledger = self._store.open()
        self._cpu_seconds: list[float] = []
        self._plain_seconds: list[float] = []
        self._sync_seconds: list[float] = []
        """Of blocks at whose end the tree's files were synced."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._ledger.close()

    def _make_store(self) -> Store:
        directory = self._bench.make_directory(f"growth-{self.accounts}")
        return Store(directory, build_store(directory, self.accounts))

    def build(self, block_size: int) -> None:
        """Build one block and note what it took."""
        if self._store.population.accounts >= 2 * self.accounts:
            self._ledger.close()
            self._store = self._make_store()
            self._ledger = self._store.open()
        actions = self._store.population.make_mix(block_size)
        synced = self._read_synced_height()
        started, used = time.perf_counter(), time.process_time()
        build_block(self._ledger, actions)
        seconds = time.perf_counter() - started
        self._cpu_seconds.append(time.process_time() - used)
        (self._plain_seconds if self._read_synced_height() == synced else self._sync_seconds).append(seconds)

    def _read_synced_height(self) -> int | None:
        return read_number(self._ledger.environment, SYNCED_KEY)

    def compute_cost(self, block_size: int) -> float:
        """Microseconds per action: plain blocks by their median, so neighbours do not count; syncs as they came."""
        plain = len(self._plain_seconds)
        seconds = sum(self._sync_seconds) + (plain * statistics.median(self._plain_seconds) if plain else 0)
        return 1e6 * seconds / (plain + len(self._sync_seconds)) / block_size

    def compute_cpu(self, block_size: int) -> float:
        """Microseconds of CPU per action: the mean, with all that was synced and written out."""
        return 1e6 * statistics.fmean(self._cpu_seconds) / block_size


def measure(bench: Bench) -> list[Row]:
    """Blocks of the wallet file's mix; the stores of all sizes take turns."""
    rows = []
    for block_size in bench.sizes.block_sizes:
        bench.say(f"blocks of {block_size:,} actions at {len(bench.sizes.growth) + 1} sizes")
        with ExitStack() as stack:
            points = [stack.enter_context(SizePoint(bench, accounts)) for accounts in bench.sizes.growth]
            points.append(stack.enter_context(SizePoint(bench, bench.sizes.accounts, bench.store)))
            rows += _measure_points(bench, points, block_size)
    return rows


def _measure_points(bench: Bench, points: list[SizePoint], block_size: int) -> list[Row]:
    """By the wall clock; for the largest block that fits a batch, which the target is held against, by CPU as well."""
    fsync = bench.measure_fsync()
    rounds = max(1, bench.sizes.growth_actions // block_size)
    for _ in range(rounds):
        for point in points:
            point.build(block_size)
    costs = [point.compute_cost(block_size) for point in points]
    used = [point.compute_cpu(block_size) for point in points]
    what = f"per action, {points[0].accounts:,} to {points[-1].accounts:,} accounts, blocks of {block_size:,}"
    is_aimed = block_size == max(bench.sizes.block_sizes)

    def make_row(name: str, figures: list[float]) -> Row:
        shown = ", ".join(f"{each:.1f} us at {point.accounts:,}" for each, point in zip(figures, points, strict=True))
        return make_size_row(
            "growth",
            f"{name} {what}",
            figures[-1] / figures[0],
            "x",
            limit_name="flat",
            target=TARGET if is_aimed else None,
            repetitions=rounds,
            fsync=fsync,
            points=tuple((point.accounts, each) for point, each in zip(points, figures, strict=True)),
            cpu={f"writer at {point.accounts:,}": each for each, point in zip(used, points, strict=True)},
            note=f"{shown}; unsigned, 60 % Register, 40 % Update, durable by groups of 1,000",
        )

    rows = [make_row("cost", costs)]
    return [*rows, make_row("the writer's CPU", used)] if is_aimed else rows
