"""A process that imports made-up accounts into a new store and watches its own memory: `DIRECTORY ACCOUNTS UPDATES`.

Updates follow upon the registrations, so that the log grows and the accounts do not.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from benchmarks.measure import MemorySampler, read_anonymous_mb
from benchmarks.stores import LARGE_BLOCK, build_block, create_ledger
from benchmarks.subprocesses import run_python
from benchmarks.workload import Population
from microrollup.execution.authentication import Authenticated
from microrollup.ledger.ledger import Ledger

__all__ = ["Build", "Phase", "build_store_apart"]


class Phase(msgspec.Struct, frozen=True):
    """One kind of work until so many actions were in the log."""

    actions: int
    """In the log at its end."""
    seconds: float
    cpu_seconds: float
    peak_mb: float
    """Anonymous memory, sampled."""


class Build(msgspec.Struct, frozen=True):
    """A store that a process of its own built, and what that took."""

    directory: str
    accounts: int
    updates: int
    base_mb: float
    """Anonymous memory once everything is imported."""
    registering: Phase
    updating: Phase


def build_store_apart(directory: Path, accounts: int, updates: int) -> Build:
    """Build a store of that many accounts, and that many updates of them, in a fresh process."""
    raw = run_python("-m", "benchmarks.child_build", str(directory), str(accounts), str(updates))
    return msgspec.json.decode(raw, type=Build)


def _build(directory: Path, accounts: int, updates: int) -> Build:
    base_mb = read_anonymous_mb()
    population = Population()
    with create_ledger(directory) as ledger:
        registering = _run(ledger, population.make_registers, accounts)
        updating = _run(ledger, population.make_updates, updates)
    return Build(str(directory), accounts, updates, base_mb, registering, updating)


def _run(ledger: Ledger, make: Callable[[int], list[Authenticated]], count: int) -> Phase:
    started, used = time.perf_counter(), time.process_time()
    with MemorySampler() as memory:
        for first in range(0, count, LARGE_BLOCK):
            build_block(ledger, make(min(LARGE_BLOCK, count - first)))
    seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - used
    return Phase(ledger.next_seq, seconds, cpu_seconds, memory.peak_mb)


if __name__ == "__main__":
    found = _build(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
    sys.stdout.buffer.write(msgspec.json.encode(found))
