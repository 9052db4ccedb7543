"""A process that imports made-up accounts into a new store and watches its own memory: `DIRECTORY ACCOUNTS UPDATES`.

Updates follow upon the registrations, so that the log grows and the accounts do not.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import msgspec

from benchmarks.measure import MemorySampler, read_anonymous_mb
from benchmarks.stores import LARGE_BLOCK, build_block, create_ledger
from benchmarks.subprocesses import BuildResult
from benchmarks.workload import Population

__all__ = ["main"]


def main(directory: Path, accounts: int, updates: int) -> BuildResult:
    """Build the store and say what it took."""
    base_mb = read_anonymous_mb()
    population = Population()
    started = time.perf_counter()
    with MemorySampler() as memory, create_ledger(directory) as ledger:
        while population.accounts < accounts:
            build_block(ledger, population.make_registers(min(LARGE_BLOCK, accounts - population.accounts)))
        for first in range(0, updates, LARGE_BLOCK):
            build_block(ledger, population.make_updates(min(LARGE_BLOCK, updates - first)))
    return BuildResult(
        directory=str(directory),
        accounts=accounts,
        seconds=time.perf_counter() - started,
        base_mb=base_mb,
        peak_mb=memory.peak_mb,
        end_mb=read_anonymous_mb(),
    )


if __name__ == "__main__":
    found = main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
    sys.stdout.buffer.write(msgspec.json.encode(found))
