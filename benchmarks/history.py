"""What runs gave at earlier commits: a line of JSON per run in `history.jsonl`, and their picture."""

from __future__ import annotations

import math
import subprocess
from pathlib import Path
from typing import Final

import msgspec
from matplotlib.figure import Figure

from benchmarks.measure import Machine
from benchmarks.report import Report

__all__ = ["HISTORY", "Run", "append_run", "draw_history", "make_run", "read_history"]

HISTORY: Final = Path(__file__).with_name("history.jsonl")
_ROOT: Final = Path(__file__).resolve().parent.parent
_COLUMNS: Final = 4


class Figures(msgspec.Struct, frozen=True):
    """One row of a run."""

    ours: float
    unit: str
    score: float
    target: float | None = None
    higher_is_better: bool = True


class Run(msgspec.Struct, frozen=True):
    """One run of the benchmarks at full size, or of some of its rows."""

    commit: str
    """Short, with `+` where the checkout had changes."""
    date: str
    """Of the commit, YYYY-MM-DD."""
    machine: Machine
    rows: dict[str, Figures]
    """By `GROUP: WHAT`."""


_DECODER: Final = msgspec.json.Decoder(Run)


def make_run(report: Report) -> Run:
    """What is kept of a report. Raises `subprocess.CalledProcessError` outside of a git checkout."""
    commit, date = _ask_git("log", "-1", "--format=%h %cs").split()
    changed = "+" if _ask_git("status", "--porcelain", "--untracked-files=no") else ""
    rows = {
        f"{row.name}: {row.what}": Figures(row.ours, row.unit, row.score, row.target, row.higher_is_better)
        for row in report.rows
    }
    return Run(commit + changed, date, report.machine, rows)


def append_run(run: Run, path: Path = HISTORY) -> None:
    """Add a run at the end of the file."""
    with path.open("ab") as file:
        file.write(msgspec.json.encode(run) + b"\n")


def read_history(path: Path = HISTORY) -> list[Run]:
    """All runs, in the order in which they were added. Raises `msgspec.MsgspecError` for a line that is not a run."""
    if not path.exists():
        return []
    return [_DECODER.decode(line) for line in path.read_bytes().splitlines()]


def draw_history(path: Path, runs: list[Run]) -> None:
    """A panel per row with a target: its score at each commit, and the target dashed.

    Each machine has a colour of its own: ratios may be compared between machines, absolute figures may not.
    """
    names = list(dict.fromkeys(name for run in runs for name, row in run.rows.items() if row.target is not None))
    lines = max(1, math.ceil(len(names) / _COLUMNS))
    figure = Figure(figsize=(4.6 * _COLUMNS, 2.6 * lines), layout="constrained")
    panels = iter(figure.subplots(lines, _COLUMNS, squeeze=False).flat)
    for name in names:
        axes, targets = next(panels), [0.0]
        for cpu in dict.fromkeys(run.machine.cpu for run in runs):
            points = [(place, run.rows[name]) for place, run in enumerate(runs) if name in run.rows]
            own = [(place, row.score) for place, row in points if runs[place].machine.cpu == cpu]
            if own:
                axes.plot(*zip(*own, strict=True), marker="o", markersize=3, label=cpu)
            targets = [row.target for _, row in points if row.target is not None]
        axes.axhline(targets[-1], color="black", linestyle="--", linewidth=1)
        axes.set_title("\n".join((name[:52], name[52:104])), fontsize=8)
        axes.set_xticks(range(len(runs)), [run.commit for run in runs], rotation=60, fontsize=6)
        axes.set_ylim(bottom=0)
    for axes in panels:
        axes.set_visible(False)
    figure.savefig(path, dpi=90)


def _ask_git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=_ROOT, capture_output=True, check=True, text=True)  # noqa: S607
    return done.stdout.strip()
