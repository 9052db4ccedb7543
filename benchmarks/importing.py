"""Signed lines into durable blocks: a writer in this process, others that authenticate, on one of the two paths."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, Final

import msgspec

from apps.keystore import app
from benchmarks.context import Bench
from benchmarks.measure import Comparison, Fsync, compare, list_processes, read_cpu_seconds
from benchmarks.recovery import IN_C, WRAPPER, BareRecovery
from benchmarks.report import Row, make_ratio_row
from benchmarks.stores import BUILDER, LARGE_BLOCK, create_genesis
from microrollup._native.choice import SWITCH, Choice, choose, take
from microrollup.crypto.ecdsa import compute_address
from microrollup.deployment.importing import GROUP_CHUNKS
from microrollup.errors import RefusedError
from microrollup.execution.authentication import Authenticated
from microrollup.execution.authentication_pool import CHUNK_SIZE, AuthenticationPool, split_chunks
from microrollup.ledger.ledger import Ledger
from microrollup.sequencer.sequencer import Sequenced, Sequencer
from microrollup.settlement.local import LocalSettlement

__all__ = [
    "APP",
    "PURE",
    "Contest",
    "Importer",
    "Spent",
    "Way",
    "contest",
    "import_lines",
    "open_importer",
    "open_sequencer",
    "open_ways",
    "warm_pool",
]

APP: Final = "apps.keystore"
PURE: Final = Choice(None, "compared")
"""Python alone."""


@contextmanager
def open_sequencer(directory: Path, block_size: int = LARGE_BLOCK) -> Iterator[Sequencer[int]]:
    """A sequencer over the store in `directory / "store"`, which is made unless it is there; its L1 is a local one."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "store"
    with ExitStack() as stack:
        ledger = stack.enter_context(
            Ledger.open(path, app) if path.exists() else Ledger.create(path, app, create_genesis())
        )
        l1 = LocalSettlement.create(directory / "l1", ledger.genesis, compute_address(BUILDER), app.stf_id)
        sequencer: Sequencer[int] = Sequencer(ledger, BUILDER, l1, block_size=block_size)
        stack.callback(sequencer.close)
        yield sequencer


@contextmanager
def warm_pool(bench: Bench, choice: Choice | None = None) -> Iterator[AuthenticationPool]:
    """Processes that authenticate and have begun to: starting them is not what is measured.

    Each chooses its path when it begins: that of `choice`, or this process's.
    """
    with ExitStack() as stack:
        with _switched(choice):
            pool = stack.enter_context(AuthenticationPool(APP, create_genesis().domain, bench.workers))
            for _ in pool.authenticate_lines([bench.signed.lines[:20]] * (4 * bench.workers)):
                pass
        yield pool


@contextmanager
def _switched(choice: Choice | None) -> Iterator[None]:
    """Processes that begin now take the path of `choice`."""
    before = os.environ.get(SWITCH)
    if choice is not None:
        os.environ[SWITCH] = "0" if choice.library is None else "1"
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(SWITCH, None)
        else:
            os.environ[SWITCH] = before


def import_lines(sequencer: Sequencer[int], pool: AuthenticationPool, lines: Sequence[bytes]) -> int:
    """Lines to durable blocks in groups as `microrollup import` has them, the last one closed; how many executed.

    Raises `AssertionError` if a line was refused, as where an action takes more than its second on a busy machine: what
    is measured then is not what was meant.
    """
    executed = 0
    refused: list[RefusedError] = []
    chunks = pool.authenticate_lines(split_chunks(lines, CHUNK_SIZE))
    while group := list(islice(chunks, GROUP_CHUNKS)):
        passed = [outcome for outcomes in group for outcome in outcomes if isinstance(outcome, Authenticated)]
        refused += [outcome for outcomes in group for outcome in outcomes if isinstance(outcome, RefusedError)]
        for _, outcome in sequencer.submit(enumerate(passed)):
            executed += isinstance(outcome, Sequenced) and outcome.receipt.status == 0
            if isinstance(outcome, RefusedError):
                refused.append(outcome)
    refused += [refusal for _, refusal in sequencer.give_up_waiting() if isinstance(refusal, RefusedError)]
    if refused:
        raise AssertionError(f"{len(refused)} of {len(lines)} lines were refused, the first: {refused[0]}")
    sequencer.close_block()
    return executed


class Spent(msgspec.Struct, frozen=True):
    """Seconds per action: on the wall clock, and of CPU."""

    wall: float
    writer: float
    """This process, which admits or reads, executes, logs and closes blocks."""
    workers: float
    """All that authenticate."""

    @property
    def cpu(self) -> float:
        """Of all processes."""
        return self.writer + self.workers


class Way(msgspec.Struct, frozen=True):
    """One of the two paths, with warm workers that take it."""

    choice: Choice
    pool: AuthenticationPool

    def measure(self, work: Callable[[], object], count: int) -> Spent:
        """What `count` actions take on this path."""
        take(self.choice)
        pids = list_processes(self.pool._executor)
        wall, writer, workers = time.perf_counter(), time.process_time(), read_cpu_seconds(pids)
        work()
        spent = (time.perf_counter() - wall, time.process_time() - writer, read_cpu_seconds(pids) - workers)
        return Spent(*[seconds / count for seconds in spent])


@contextmanager
def open_ways(bench: Bench) -> Iterator[dict[str, Way]]:
    """Both paths by name; the second is the one that is installed, which this process takes again afterwards."""
    native = choose()
    before = take(native)
    try:
        with warm_pool(bench, PURE) as python_pool, warm_pool(bench, native) as native_pool:
            yield {"in Python": Way(PURE, python_pool), "native": Way(native, native_pool)}
    finally:
        take(before)


class Contest(msgspec.Struct, frozen=True):
    """A path beside both limits of what checks signatures, by turns on the wall clock, and its CPU."""

    wrapper: Comparison
    in_c: Comparison
    cpu: dict[str, float]
    """As a row has it."""

    def make_rows(
        self, name: str, what: str, short: str, *, target: float | None, fsync: Fsync | None, accounts: str, note: str
    ) -> list[Row]:
        """Beside the wrapper, which the target is held against, and beside C; `short` names the work again."""
        shared: Any = {"fsync": fsync, "accounts": accounts, "cpu": self.cpu}
        return [
            make_ratio_row(name, what, self.wrapper, limit_name=WRAPPER, target=target, note=note, **shared),
            make_ratio_row(name, f"{short}, beside C", self.in_c, limit_name=IN_C, **shared),
        ]


def contest(
    ours: Callable[[int], Spent],
    bare: BareRecovery,
    digests: Sequence[bytes],
    signatures: Sequence[bytes],
    repetitions: int,
) -> Contest:
    """Run `ours` and bare recovery of as many signatures by turns."""
    spent: list[Spent] = []
    in_c: list[float] = []

    def run(number: int) -> float:
        spent.append(ours(number))
        return spent[-1].wall

    def run_bare(_: int) -> float:
        in_c.append(bare.measure_in_c(digests, signatures))
        return bare.measure(digests, signatures)

    wrapper = compare(run, run_bare, repetitions)
    ratios = sorted(limit / own.wall for own, limit in zip(spent, in_c, strict=True))
    beside_c = Comparison(wrapper.ours, statistics.median(in_c), ratios[0], ratios[-1], repetitions)
    cpu = {
        "this process": 1e6 * statistics.median(each.writer for each in spent),
        "workers": 1e6 * statistics.median(each.workers for each in spent),
    }
    return Contest(wrapper, beside_c, cpu)


class Importer(msgspec.Struct, frozen=True):
    """A store with its writer, on one path."""

    way: Way
    sequencer: Sequencer[int]

    def measure(self, lines: list[bytes], *, is_last: bool = False) -> Spent:
        """Import lines, all of which have to execute. The last ones pay for what waits to be written out, too."""

        def run() -> None:
            if import_lines(self.sequencer, self.way.pool, lines) != len(lines):
                raise AssertionError("a line did not execute")
            if is_last:
                self.sequencer.ledger.flushing.flush()
                self.sequencer.ledger.sync_tree()

        return self.way.measure(run, len(lines))


@contextmanager
def open_importer(directory: Path, way: Way) -> Iterator[Importer]:
    """An importer over the store of `open_sequencer`."""
    with open_sequencer(directory) as sequencer:
        yield Importer(way, sequencer)
