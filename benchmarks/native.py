"""Both paths in one run: CPU per action of a worker and of a writer, in Python alone and with the native helper.

CPU time of the process, user and system: the machine's neighbours move wall time far more. Both together are measured
by `end_to_end`.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Final

from apps.keystore import app
from benchmarks.context import Bench
from benchmarks.importing import PURE
from benchmarks.measure import Comparison, Stopwatch, compare
from benchmarks.report import Row, make_ratio_row, make_size_row
from benchmarks.state_root import TreeRun
from benchmarks.stores import LARGE_BLOCK, build_block, create_genesis
from microrollup._native.choice import Choice, choose, take
from microrollup._native.library import FastLibrary
from microrollup.crypto.ecdsa import recover_addresses
from microrollup.crypto.keccak import keccak256
from microrollup.crypto.merkle.indexed import compute_tree_key
from microrollup.execution.authentication import Authenticator
from microrollup.execution.authentication_pool import CHUNK_SIZE, split_chunks

__all__ = ["measure"]

_NAME: Final = "native"
_ROOT_TARGETS: Final = {"in Python": 25.0, "native": 18.0}
"""Milliseconds."""


def measure(bench: Bench) -> list[Row]:
    """Workers beside libsecp256k1 in a loop of C; everything else beside itself in Python alone."""
    native = choose()
    before = take(native)
    try:
        return [
            *_measure_workers(bench, native),
            *_measure_writer(bench, native),
        ]
    finally:
        take(before)


def _time_cpu(choice: Choice, work: Callable[[], object], count: int) -> float:
    """Seconds of CPU of this process for one of `count` things, on one of the paths."""
    take(choice)
    started = time.process_time()
    work()
    return (time.process_time() - started) / count


def _measure_workers(bench: Bench, native: Choice) -> list[Row]:
    """Lines to senders, as a worker does it, in this process."""
    signed, count = bench.signed, bench.sizes.signed
    lines = signed.lines[:count]
    digests, signatures = signed.digests[:count], signed.signatures[:count]
    authenticator = Authenticator.of(app, create_genesis().domain)

    def authenticate() -> None:
        for chunk in split_chunks(lines, CHUNK_SIZE):
            authenticator.authenticate_lines(chunk)

    limit = "recovery and address, in C" if native.library is not None else "recovery and address, no helper here"
    bench.say(f"authenticating {count:,} lines on both paths")

    def run_limit(_: int) -> float:
        return _time_cpu(native, lambda: _recover(native.library, digests, signatures), count)

    rows = []
    for name, choice in (("in Python", PURE), ("native", native)):
        found = compare(_repeat(choice, authenticate, count), run_limit, bench.sizes.repetitions)
        what = f"a worker, lines to senders, {name}, CPU"
        cpu = found.name_cpu("a worker", "C alone")
        rows.append(make_ratio_row(_NAME, what, found, limit_name=limit, accounts="no", cpu=cpu, note=choice.reason))
    return rows


def _repeat(choice: Choice, work: Callable[[], object], count: int) -> Callable[[int], float]:
    return lambda _: _time_cpu(choice, work, count)


def _recover(library: FastLibrary | None, digests: list[bytes], signatures: list[bytes]) -> None:
    """All at once, with nothing else."""
    (recover_addresses if library is None else library.recover_addresses)(digests, signatures)


def _measure_writer(bench: Bench, native: Choice) -> list[Row]:
    """Blocks of unsigned actions, and the tree alone, in the large store."""
    population, repetitions = bench.store.population, bench.sizes.repetitions
    size = min(LARGE_BLOCK, max(bench.sizes.block_sizes))
    rows = []
    bench.say(f"blocks of {size:,} actions in {population.accounts:,} accounts on both paths")
    with bench.store.open() as ledger:

        def build(choice: Choice) -> float:
            actions = population.make_mix(size)
            return _time_cpu(choice, lambda: build_block(ledger, actions), size)

        found = compare(lambda _: build(native), lambda _: build(PURE), repetitions)
        rows.append(_beside_python(f"the writer, blocks of {size:,} in {population.accounts:,} accounts, CPU", found))
        held, watches = f"{population.accounts:,}", {False: Stopwatch(), True: Stopwatch()}
        updates, chosen, tree = bench.sizes.tree_updates, random.Random(2), TreeRun(ledger)

        def change(choice: Choice) -> float:
            sample = chosen.sample(range(population.accounts), updates)
            keys = [compute_tree_key(0, population.get_key(account)) for account in sample]
            changes = {key: keccak256(key + bytes((choice is native,))) for key in keys}
            with watches[choice is native]:
                return _time_cpu(choice, lambda: tree.remember(tree.commit(changes)), 1)

        fsync = bench.measure_fsync()
        found = compare(lambda _: change(native), lambda _: change(PURE), 3 * repetitions)
        tree.take_back()
        rows.append(_beside_python(f"the tree of a block of {updates:,} updates, durable, CPU", found, 1e3, "ms", held))
        rows += [
            make_size_row(
                _NAME,
                f"state root of {updates:,} updates, durable, {name}",
                1e3 * watches[name == "native"].wall,
                "ms",
                target=target,
                repetitions=found.repetitions,
                fsync=fsync,
                accounts=held,
                cpu={"this process": watches[name == "native"].cpu},
                note="wall time of the tree's delta, the commit with its sync, and the files",
            )
            for name, target in _ROOT_TARGETS.items()
        ]
    return rows


def _beside_python(what: str, found: Comparison, scale: float = 1e6, unit: str = "us", accounts: str = "") -> Row:
    cpu = found.name_cpu("native", "in Python")
    return make_ratio_row(
        _NAME, what, found, limit_name="in Python", scale=scale, unit=unit, accounts=accounts, cpu=cpu
    )
