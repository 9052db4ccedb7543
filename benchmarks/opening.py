"""Row 6: opening a store of a million accounts in a fresh process, after a clean end and after kill -9."""

from __future__ import annotations

import statistics
from typing import Final

from benchmarks.child_crash import crash_apart
from benchmarks.child_open import Opening, open_apart
from benchmarks.context import Bench
from benchmarks.report import Row, make_size_row
from benchmarks.stores import LARGE_BLOCK, MADE_UP_SEAL

__all__ = ["TARGET", "measure"]

TARGET: Final = 1.0

_FIRST_SENDER: Final = 10_000_000
"""Far above the senders of the store's own population."""

_BLOCKS: Final = 5
"""Closed blocks whose tree files were not synced when the process died; the files are synced after about eight."""


def measure(bench: Bench) -> list[Row]:
    """Clean, and with the most that a crash leaves to execute again: a block that was about to close."""
    directory, repetitions = bench.store.directory, bench.sizes.repetitions
    bench.say("opening the store in fresh processes")
    clean = [open_apart(directory) for _ in range(repetitions)]
    tail = min(LARGE_BLOCK, bench.sizes.accounts) - 1
    fsync = bench.measure_fsync()
    crashed: list[Opening] = []
    for number in range(min(3, repetitions)):
        crash_apart(directory, _FIRST_SENDER * (number + 1), _BLOCKS, tail)
        crashed.append(open_apart(directory))
        _close_block(bench)
    imports = statistics.median(opening.import_seconds for opening in clean)
    return [
        make_size_row(
            "opening",
            f"open {clean[-1].accounts:,} accounts, clean",
            statistics.median(opening.open_seconds for opening in clean),
            "s",
            target=TARGET,
            repetitions=len(clean),
            cpu={"the process": 1e6 * statistics.median(opening.open_cpu_seconds for opening in clean)},
            note=f"fresh process, pages cached; imports before it: {imports:.2f} s",
        ),
        make_size_row(
            "opening",
            "open after kill -9",
            statistics.median(opening.open_seconds for opening in crashed),
            "s",
            target=TARGET,
            repetitions=len(crashed),
            fsync=fsync,
            accounts=f"{clean[-1].accounts:,}",
            cpu={"the process": 1e6 * statistics.median(opening.open_cpu_seconds for opening in crashed)},
            note=(
                f"{_BLOCKS} blocks of {tail + 1:,} redone in the"
                f" tree's files, then {crashed[-1].tail:,} signed actions"
                " of an open block executed again, signatures checked"
            ),
        ),
    ]


def _close_block(bench: Bench) -> None:
    with bench.store.open() as ledger:
        ledger.finish(ledger.compute_header(), MADE_UP_SEAL)
