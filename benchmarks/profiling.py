"""Where the writer's time goes: cProfile over the part of a row that runs in the writer's process."""

from __future__ import annotations

import cProfile
import io
import pstats
from collections.abc import Callable
from typing import Final

from benchmarks.context import Bench
from benchmarks.execution import make_kernel_fold
from benchmarks.importing import import_lines, open_sequencer, warm_pool
from benchmarks.stores import LARGE_BLOCK, build_block

__all__ = ["PROFILES", "profile"]

_ACTIONS: Final = 20_000


def _profile_execution(bench: Bench, profiler: cProfile.Profile) -> int:
    """Decoding, STFs and receipts over accounts in memory."""
    fold, population = make_kernel_fold(bench.sizes.accounts)
    count = min(_ACTIONS, bench.sizes.accounts)
    batch = population.make_mix(count)
    profiler.runcall(fold.run, batch)
    return count


def _profile_end_to_end(bench: Bench, profiler: cProfile.Profile) -> int:
    """The process that admits, executes, logs and closes blocks, while others authenticate."""
    lines = bench.signed.lines
    with open_sequencer(bench.make_directory("profile")) as sequencer, warm_pool(bench) as pool:
        profiler.runcall(import_lines, sequencer, pool, lines)
    return len(lines)


def _profile_growth(bench: Bench, profiler: cProfile.Profile) -> int:
    """Unsigned blocks on the large store."""
    block_size = min(LARGE_BLOCK, bench.sizes.accounts)
    with bench.store.open() as ledger:
        for _ in range(bench.sizes.repetitions):
            profiler.runcall(build_block, ledger, bench.store.population.make_mix(block_size))
    return block_size * bench.sizes.repetitions


PROFILES: Final[dict[str, Callable[[Bench, cProfile.Profile], int]]] = {
    "execution": _profile_execution,
    "end-to-end": _profile_end_to_end,
    "growth": _profile_growth,
}


def profile(bench: Bench, name: str, lines: int) -> str:
    """The functions with the most time of their own; cProfile makes small functions look dearer than they are."""
    profiler = cProfile.Profile()
    count = PROFILES[name](bench, profiler)
    text = io.StringIO()
    stats = pstats.Stats(profiler, stream=text).strip_dirs().sort_stats("tottime")
    seconds = getattr(stats, "total_tt", 0.0)
    stats.print_stats(lines)
    head = f"{name}: {count:,} actions, {1e6 * seconds / count:.1f} us each under cProfile (columns are seconds in all)"
    table = text.getvalue().partition("   ncalls")
    return f"{head}\n{table[1]}{table[2].rstrip()}\n"
