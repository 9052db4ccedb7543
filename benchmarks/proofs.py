"""Row 8: proving an account at the newest height and at an old one, and checking the proof."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from apps.keystore import app
from benchmarks.context import Bench
from benchmarks.measure import Stopwatch
from benchmarks.report import Row, make_size_row
from microrollup.crypto.merkle.indexed import verify_exclusion, verify_inclusion
from microrollup.ledger.ledger import Ledger
from microrollup.ledger.reading import StateProof, prove_state
from microrollup.store.spans import Spans

__all__ = ["TARGET", "measure"]

T = TypeVar("T")

TARGET: Final = 1.0
_FIELD: Final = app.state_type.fields[0]


def measure(bench: Bench) -> list[Row]:
    """Inclusion, now and then; exclusion; verification."""
    population = bench.store.population
    chosen = random.Random(2).sample(range(population.accounts), min(bench.sizes.proofs, population.accounts))
    present = [population.get_key(account) for account in chosen]
    absent = [bytes(reversed(key)) for key in present]
    with bench.store.open() as ledger:
        tip = ledger.checkpoint.height
        old = max(1, tip - bench.sizes.back)
        bench.say(f"proving accounts at heights {tip} and {old}")
        rounds, spans = bench.sizes.repetitions, Spans()
        where = f"{population.accounts:,}"

        def prove_now(key: bytes) -> StateProof:
            return _prove(ledger, key, None)

        proofs = [prove_now(key) for key in present]
        return [
            _time("inclusion, newest height", rounds, prove_now, present, where, f"height {tip}"),
            _time("exclusion, newest height", rounds, prove_now, absent, where, f"height {tip}"),
            _time(
                f"inclusion or exclusion, {tip - old} heights back",
                rounds,
                lambda key: _prove(ledger, key, old, spans),
                present[: max(1, len(present) // 5)],
                where,
                f"height {old}; leaf and nodes as they were, found in the undo of later blocks",
            ),
            _time(
                "verification", rounds, _verify, proofs, where, f"{len(proofs[0].proof.siblings)} siblings", target=None
            ),
        ]


def _prove(ledger: Ledger, key: bytes, height: int | None, spans: Spans | None = None) -> StateProof:
    return prove_state(ledger.environment, ledger.tree, _FIELD, key, height, spans)


def _verify(proof: StateProof) -> None:
    if proof.exists:
        verify_inclusion(proof.header.state_root, proof.tree_key, proof.value, proof.proof)
    else:
        verify_exclusion(proof.header.state_root, proof.tree_key, proof.proof)


def _time(
    what: str,
    rounds: int,
    work: Callable[[T], object],
    items: Sequence[T],
    accounts: str,
    note: str,
    target: float | None = TARGET,
) -> Row:
    watch = Stopwatch(len(items))
    for _ in range(rounds):
        with watch:
            for item in items:
                work(item)
    note = f"wall time, {len(items):,} keys per repetition; {note}"
    return make_size_row(
        "proof",
        what,
        1e3 * watch.wall,
        "ms",
        target=target,
        repetitions=rounds,
        accounts=accounts,
        cpu={"this process": watch.cpu},
        note=note,
    )
