"""Row: what the writer spends on checking what it reads from its store, and on what is written for these checks.

Two equal stores take turns in one process, one of them without checks. CPU time of the process, from unsigned records
to checkpoints.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from pathlib import Path
from typing import Final

from benchmarks.context import Bench
from benchmarks.measure import compare
from benchmarks.report import Row, make_ratio_row
from benchmarks.stores import LARGE_BLOCK, build_block, create_ledger
from benchmarks.unchecked import without_checks
from benchmarks.workload import Population
from microrollup.ledger.ledger import Ledger

__all__ = ["TARGET", "measure"]

TARGET: Final = 1 / 1.12
"""At most 12 % more than without checks."""

Guard = Callable[[], AbstractContextManager[None]]


class Writer:
    """A store and the process that made it, which builds on it with or without checks."""

    def __init__(self, stack: ExitStack, directory: Path, accounts: int, guard: Guard) -> None:
        self._guard = guard
        self._population = Population()
        with guard():
            self._ledger: Ledger = create_ledger(directory)
            stack.callback(self._ledger.abandon)  # closing would write out, with checks, what was built without
            for first in range(0, accounts, LARGE_BLOCK):
                build_block(self._ledger, self._population.make_registers(min(LARGE_BLOCK, accounts - first)))

    def run(self, size: int) -> float:
        """CPU seconds per action of one block."""
        actions = self._population.make_mix(size)
        with self._guard():
            started = time.process_time()
            build_block(self._ledger, actions)
            return (time.process_time() - started) / size


def measure(bench: Bench) -> list[Row]:
    """At each size of store but the largest, in the smallest of the block sizes."""
    return [_measure_size(bench, accounts) for accounts in bench.sizes.growth]


def _measure_size(bench: Bench, accounts: int) -> Row:
    size = min(bench.sizes.block_sizes)
    bench.say(f"blocks of {size:,} with and without checks at {accounts:,} accounts")
    with ExitStack() as stack:
        checked, bare = (
            Writer(stack, bench.make_directory(f"checks-{accounts}"), accounts, guard)
            for guard in (nullcontext, without_checks)
        )
        rounds = max(2, bench.sizes.growth_actions // size)
        found = compare(lambda _: checked.run(size), lambda _: bare.run(size), rounds)
    return make_ratio_row(
        "checks",
        f"a writer that checks what it reads, {accounts:,} accounts, blocks of {size:,}",
        found,
        limit_name="without checks",
        target=TARGET,
        cpu=found.name_cpu("the writer", "without checks"),
        note=f"CPU time, unsigned, 60 % Register, 40 % Update; the checks take {100 / found.ratio - 100:.0f} % more",
    )
