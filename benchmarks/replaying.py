"""Row 5: replay of a log into an empty store, every signature checked, against bare recovery on the same cores."""

from __future__ import annotations

from typing import Final

from apps.keystore import app
from benchmarks.context import Bench
from benchmarks.importing import Spent, Way, compare_spent, import_lines, open_sequencer, open_ways
from benchmarks.recovery import WRAPPER, BareRecovery
from benchmarks.report import Row, make_ratio_row
from microrollup.maintenance.replay import replay_log
from microrollup.store.environment import Environment

__all__ = ["measure"]

_TARGETS: Final = {"in Python": 0.38, "native": 0.45}
_MOST_ROUNDS: Final = 3


def measure(bench: Bench) -> list[Row]:
    """The whole log in each repetition, on both paths."""
    directory = bench.make_directory("replay-source")
    with open_ways(bench) as ways, BareRecovery(bench.workers) as bare:
        with open_sequencer(directory) as sequencer:
            import_lines(sequencer, ways["native"].pool, bench.signed.lines)
            root = sequencer.ledger.header.state_root
        with Environment(directory / "store", read_only=True) as source:
            return [_measure_way(bench, bare, source, root, name, way) for name, way in ways.items()]


def _measure_way(bench: Bench, bare: BareRecovery, source: Environment, root: bytes, name: str, way: Way) -> Row:
    signed, count = bench.signed, len(bench.signed.lines)
    bench.say(f"replaying {count:,} actions, {name}")

    def replay(_: int) -> Spent:
        target = bench.make_directory("replayed")

        def run() -> None:
            with replay_log(source, app, target, way.pool) as ledger:
                if ledger.header.state_root != root:
                    raise AssertionError("the replayed store has another state root")

        return way.measure(run, count)

    fsync = bench.measure_fsync()
    rounds = min(_MOST_ROUNDS, bench.sizes.repetitions)
    found, cpu = compare_spent(replay, lambda _: bare.measure(signed.digests, signed.signatures), rounds)
    return make_ratio_row(
        "replay",
        f"log into an empty store, signatures checked, {name}",
        found,
        limit_name=WRAPPER,
        target=_TARGETS[name],
        fsync=fsync,
        note=f"{1 / found.ours:,.0f} actions/s, {count:,} actions, durable; {cpu}",
    )
