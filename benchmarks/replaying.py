"""Row 5: replay of a log into an empty store, every signature checked, against bare recovery on the same cores."""

from __future__ import annotations

from typing import Final

from apps.keystore import app
from benchmarks.context import Bench
from benchmarks.importing import Spent, Way, contest, import_lines, open_sequencer, open_ways
from benchmarks.recovery import BareRecovery
from benchmarks.report import Row
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
            root, accounts = sequencer.ledger.header.state_root, sequencer.ledger.checkpoint.sizes[0]
        with Environment(directory / "store", read_only=True) as source:
            found = [_measure_way(bench, bare, source, root, accounts, name, way) for name, way in ways.items()]
    return [row for rows in found for row in rows]


def _measure_way(
    bench: Bench, bare: BareRecovery, source: Environment, root: bytes, accounts: int, name: str, way: Way
) -> list[Row]:
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
    found = contest(replay, bare, signed.digests, signed.signatures, rounds)
    return found.make_rows(
        "replay",
        f"log into an empty store, signatures checked, {name}",
        f"the same log, {name}",
        target=_TARGETS[name],
        fsync=fsync,
        accounts=f"0 to {accounts:,}",
        note=f"{1 / found.wrapper.ours:,.0f} actions/s, {count:,} actions, durable",
    )
