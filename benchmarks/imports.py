"""Row 10: what importing costs, which every command pays before it does anything."""

from __future__ import annotations

import importlib.util
import statistics
import time
from typing import Final

from benchmarks.context import Bench
from benchmarks.report import Row, make_size_row
from benchmarks.subprocesses import run_python

__all__ = ["measure"]

_BARE: Final = ("-c", "pass")
_COMMANDS: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    ("import microrollup", ("-c", "import microrollup")),
    ("import apps.keystore", ("-c", "import apps.keystore")),
)
_CLI: Final = "microrollup.cli"


def measure(bench: Bench) -> list[Row]:
    """Wall time of fresh interpreters, in turn with one that imports nothing."""
    bench.say("starting interpreters")
    commands = list(_COMMANDS)
    if importlib.util.find_spec(f"{_CLI}.__main__") is not None:
        commands.append((f"python -m {_CLI} --help", ("-m", _CLI, "--help")))
    rounds = max(1, bench.sizes.repetitions)
    found: dict[str, list[float]] = {what: [] for what, _ in commands}
    bare: list[float] = []
    for _ in range(rounds):
        bare.append(_run(_BARE))
        for what, arguments in commands:
            found[what].append(_run(arguments))
    floor = f"{1e3 * statistics.median(bare):.0f} ms, bare"
    return [
        make_size_row(
            "imports",
            what,
            1e3 * statistics.median(seconds),
            "ms",
            limit_name=floor,
            repetitions=rounds,
            note="wall time of the whole process; the limit is an interpreter that imports nothing",
        )
        for what, seconds in found.items()
    ]


def _run(arguments: tuple[str, ...]) -> float:
    started = time.perf_counter()
    run_python(*arguments)
    return time.perf_counter() - started
