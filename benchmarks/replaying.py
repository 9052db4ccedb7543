"""Row 5: replay of a log into an empty store, every signature checked, against bare recovery on the same cores."""

from __future__ import annotations

import time
from typing import Final

from apps.keystore import app
from benchmarks.context import Bench
from benchmarks.importing import import_lines, open_sequencer, warm_pool
from benchmarks.measure import compare
from benchmarks.recovery import WRAPPER, BareRecovery
from benchmarks.report import Row, make_ratio_row
from microrollup.maintenance.replay import replay_log
from microrollup.store.environment import Environment

__all__ = ["TARGET", "measure"]

TARGET: Final = 0.38
_MOST_ROUNDS: Final = 3


def measure(bench: Bench) -> list[Row]:
    """The whole log in each repetition."""
    signed = bench.signed
    directory = bench.make_directory("replay-source")
    with warm_pool(bench) as pool, BareRecovery(bench.workers) as bare:
        with open_sequencer(directory) as sequencer:
            import_lines(sequencer, pool, signed.lines)
            root = sequencer.ledger.header.state_root
        bench.say(f"replaying {len(signed.lines):,} actions")
        with Environment(directory / "store", read_only=True) as source:

            def run_replay(_: int) -> float:
                target = bench.make_directory("replayed")
                started = time.perf_counter()
                with replay_log(source, app, target, pool) as ledger:
                    seconds = time.perf_counter() - started
                    if ledger.header.state_root != root:
                        raise AssertionError("the replayed store has another state root")
                return seconds / len(signed.lines)

            fsync = bench.measure_fsync()
            found = compare(
                run_replay,
                lambda _: bare.measure(signed.digests, signed.signatures),
                min(_MOST_ROUNDS, bench.sizes.repetitions),
            )
    return [
        make_ratio_row(
            "replay",
            "log into an empty store, signatures checked",
            found,
            limit_name=WRAPPER,
            target=TARGET,
            fsync=fsync,
            note=f"{1 / found.ours:,.0f} actions/s, {len(signed.lines):,} actions, durable",
        )
    ]
