"""Row 2: JSON lines to durable, sealed blocks on all cores, against bare signature recovery on the same cores."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from apps.keystore import app
from benchmarks.context import Bench
from benchmarks.measure import compare
from benchmarks.recovery import BareRecovery
from benchmarks.report import Row, make_ratio_row
from benchmarks.stores import BUILDER, LARGE_BLOCK, create_genesis
from microrollup.crypto.ecdsa import compute_address
from microrollup.execution.authentication import Authenticated
from microrollup.execution.authentication_pool import AuthenticationPool, split_chunks
from microrollup.ledger.ledger import Ledger
from microrollup.sequencer.sequencer import Sequenced, Sequencer
from microrollup.settlement.local import LocalSettlement

__all__ = ["APP", "TARGET", "LIMIT", "import_lines", "measure", "open_sequencer", "warm_pool"]

APP: Final = "apps.keystore"
TARGET: Final = 0.35
LIMIT: Final = "bare recovery, same cores"


@contextmanager
def open_sequencer(directory: Path, block_size: int = LARGE_BLOCK) -> Iterator[Sequencer[int]]:
    """A sequencer over a new store, with a local settlement for its L1."""
    genesis = create_genesis()
    directory.mkdir(parents=True)
    with ExitStack() as stack:
        l1 = LocalSettlement.create(directory / "l1", genesis, compute_address(BUILDER), app.stf_id)
        ledger = stack.enter_context(Ledger.create(directory / "store", app, genesis))
        sequencer: Sequencer[int] = Sequencer(ledger, BUILDER, l1, block_size=block_size)
        stack.callback(sequencer.close)
        yield sequencer


@contextmanager
def warm_pool(bench: Bench) -> Iterator[AuthenticationPool]:
    """Processes that authenticate and have begun to: starting them is not what is measured."""
    with AuthenticationPool(APP, create_genesis().domain, bench.workers) as pool:
        for _ in pool.authenticate_lines([bench.signed.lines[:20]] * (4 * bench.workers)):
            pass
        yield pool


def import_lines(sequencer: Sequencer[int], pool: AuthenticationPool, lines: Sequence[bytes]) -> int:
    """Lines to durable blocks, the last one closed too; how many executed."""
    executed = 0
    for outcomes in pool.authenticate_lines(split_chunks(lines)):
        passed = [outcome for outcome in outcomes if isinstance(outcome, Authenticated)]
        for _, outcome in sequencer.submit(enumerate(passed)):
            executed += isinstance(outcome, Sequenced) and outcome.receipt.status == 0
    sequencer.close_block()
    return executed


def measure(bench: Bench) -> list[Row]:
    """All lines in as many shares as repetitions, each share until its last block is sealed and durable."""
    size, signed = bench.sizes.signed, bench.signed
    bench.say(f"importing {len(signed.lines):,} signed lines")
    with (
        open_sequencer(bench.make_directory("end-to-end")) as sequencer,
        warm_pool(bench) as pool,
        BareRecovery(bench.workers) as bare,
    ):

        def run_ours(number: int) -> float:
            lines = signed.lines[number * size : (number + 1) * size]
            started = time.perf_counter()
            executed = import_lines(sequencer, pool, lines)
            seconds = time.perf_counter() - started
            if executed != len(lines):
                raise AssertionError(f"{executed} of {len(lines)} lines executed")
            return seconds / len(lines)

        def run_bare(number: int) -> float:
            part = slice(number * size, (number + 1) * size)
            return bare.measure(signed.digests[part], signed.signatures[part])

        fsync = bench.measure_fsync()
        started = time.process_time()
        found = compare(run_ours, run_bare, bench.sizes.signed_rounds)
        writer = 1e6 * (time.process_time() - started) / len(signed.lines)
    note = (
        f"{1 / found.ours:,.0f} actions/s, {size:,} lines per run, {bench.workers} processes authenticate,"
        f" the writer's CPU {writer:.0f} us per action, blocks of up to {LARGE_BLOCK:,}"
    )
    return [
        make_ratio_row(
            "end-to-end", "signed, durable, all cores", found, limit_name=LIMIT, target=TARGET, fsync=fsync, note=note
        )
    ]
