"""Row 10: what starting costs: imports, which every command pays first, and `verify` of two blocks."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from benchmarks.context import Bench
from benchmarks.importing import APP, import_lines, open_sequencer
from benchmarks.report import Row, make_size_row
from benchmarks.signing import sign_senders
from benchmarks.subprocesses import read_children_cpu, run_python
from microrollup.execution.authentication_pool import AuthenticationPool

__all__ = ["CLIENT_TARGET", "VERIFY_TARGET", "measure"]

CLIENT_TARGET: Final = 200.0
"""Milliseconds of CPU; `VERIFY_TARGET` likewise."""
VERIFY_TARGET: Final = 600.0

_BARE: Final = ("-c", "pass")
_COMMANDS: Final[Mapping[str, Sequence[str]]] = {
    "import microrollup": ("-c", "import microrollup"),
    "import apps.keystore": ("-c", "import apps.keystore"),
}
_CLI: Final = "microrollup.cli"
_CLIENT: Final = "from microrollup import Client"
_VERIFY: Final = "verify of two blocks"
_MOST_ROUNDS: Final = 11


def measure(bench: Bench) -> list[Row]:
    """Fresh processes, by turns with an interpreter that imports nothing."""
    commands: dict[str, Sequence[str]] = {**_COMMANDS}
    if importlib.util.find_spec(f"{_CLI}.__main__") is not None:
        commands[f"python -m {_CLI} --help"] = ("-m", _CLI, "--help")
    aimed = {
        _CLIENT: ("-c", _CLIENT),
        _VERIFY: ("-m", "microrollup", "verify", APP, "--from", str(_export(bench)), "--workers", "0", "--json"),
    }
    bench.say("starting interpreters")
    rounds = min(_MOST_ROUNDS, max(1, bench.sizes.repetitions))
    found: dict[str, list[tuple[float, float]]] = {what: [] for what in ("", *commands, *aimed)}
    for _ in range(rounds):
        for what, arguments in {"": _BARE, **commands, **aimed}.items():
            found[what].append(_run(arguments))
    wall, cpu = ({what: _take_median(runs, place) for what, runs in found.items()} for place in (0, 1))
    rows = [
        make_size_row(
            "imports",
            what,
            1e3 * wall[what],
            "ms",
            limit_name=f"{1e3 * wall['']:.0f} ms, bare",
            repetitions=rounds,
            cpu={"the process": 1e6 * cpu[what]},
            note="wall time of the whole process; the limit is an interpreter that imports nothing",
        )
        for what in commands
    ]
    processes = {_CLIENT: "the process", _VERIFY: "the command with its verifier"}
    targets = {_CLIENT: CLIENT_TARGET, _VERIFY: VERIFY_TARGET}
    return rows + [
        make_size_row(
            "imports",
            f"{what}, CPU",
            1e3 * cpu[what],
            "ms",
            target=targets[what],
            limit_name=f"{1e3 * cpu['']:.0f} ms, bare",
            repetitions=rounds,
            accounts="2" if what == _VERIFY else "",
            cpu={processes[what]: 1e6 * cpu[what]},
            note=f"CPU, wall time {1e3 * wall[what]:.0f} ms; the limit is an interpreter that imports nothing",
        )
        for what in aimed
    ]


def _take_median(runs: Sequence[tuple[float, float]], place: int) -> float:
    return sorted(run[place] for run in runs)[len(runs) // 2]


def _export(bench: Bench) -> Path:
    """A file of two blocks of one action each."""
    directory = bench.make_directory("starting")
    with (
        open_sequencer(directory, 1) as sequencer,
        AuthenticationPool(APP, sequencer.ledger.genesis.domain, 0) as pool,
    ):
        import_lines(sequencer, pool, sign_senders((0, 1)).lines[:2])
    file = directory / "blocks"
    run_python("-m", "microrollup", "export", APP, "--data", str(directory / "store"), "--out", str(file))
    return file


def _run(arguments: Sequence[str]) -> tuple[float, float]:
    """Seconds on the wall clock, and of CPU of the process and what it starts."""
    before, started = read_children_cpu(), time.perf_counter()
    run_python(*arguments)
    return time.perf_counter() - started, read_children_cpu() - before
