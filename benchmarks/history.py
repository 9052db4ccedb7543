"""What runs gave at earlier commits: a line of JSON per run in `history.jsonl`, their picture, Measured's table."""

from __future__ import annotations

import math
import subprocess
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
from matplotlib.figure import Figure

from benchmarks.measure import Machine
from benchmarks.report import Report, describe_cpu

__all__ = [
    "HISTORY",
    "MEASURED",
    "Run",
    "append_run",
    "draw_history",
    "make_run",
    "make_table",
    "read_history",
    "write_table",
]

HISTORY: Final = Path(__file__).with_name("history.jsonl")
_ROOT: Final = Path(__file__).resolve().parent.parent
MEASURED: Final = _ROOT / "microrollup/docs/measured.md"
_MARKS: Final = ("<!-- targets -->\n", "<!-- end of targets -->\n")
_COLUMNS: Final = 4
_TITLE_WIDTH: Final = 52
_DPI: Final = 80
_COLOURS: Final = ("tab:blue", "tab:orange", "tab:green", "tab:purple", "tab:brown")


class Figures(msgspec.Struct, frozen=True):
    """One row of a run."""

    ours: float
    unit: str
    score: float
    target: float | None = None
    higher_is_better: bool = True
    accounts: str = ""
    """As `Row.accounts`, and empty in runs of before that was kept; `cpu` likewise."""
    cpu: Mapping[str, float] = {}

    @property
    def met(self) -> bool:
        """Whether the score meets the target, if there is one."""
        sign = 1 if self.higher_is_better else -1
        return self.target is None or sign * self.score >= sign * self.target


class Run(msgspec.Struct, frozen=True):
    """One run of the benchmarks at full size, or of some of its rows."""

    commit: str
    """Short, with `+` where the checkout had changes, but for those that recording makes."""
    date: str
    """Of the commit, YYYY-MM-DD."""
    machine: Machine
    rows: dict[str, Figures]
    """By `GROUP: WHAT`."""


_DECODER: Final = msgspec.json.Decoder(Run)


def make_run(report: Report) -> Run:
    """What is kept of a report. Raises `subprocess.CalledProcessError` outside of a git checkout."""
    commit, date = _ask_git("log", "-1", "--format=%h %cs").split()
    written = [f":(exclude,top){path.relative_to(_ROOT)}" for path in (HISTORY, MEASURED)]  # by the run before
    changed = "+" if _ask_git("status", "--porcelain", "--untracked-files=no", "--", ":/", *written) else ""
    rows = {
        f"{row.name}: {row.what}": Figures(
            row.ours, row.unit, row.score, row.target, row.higher_is_better, row.accounts, row.cpu
        )
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


def make_table(runs: list[Run]) -> str:
    """Each row with a target as its newest run gave it, in Markdown."""
    newest = {name: (row, run.commit) for run in runs for name, row in run.rows.items() if row.target is not None}
    lines = ["| what | measured | CPU by process | target | verdict | commit |", "|---|---|---|---|---|---|"]
    for name, (row, commit) in newest.items():
        unit = row.unit.replace("us", "µs")
        ours, target = f"{row.ours:.3g} {unit}", f"{row.target:.3g}"
        cells = (
            (f"{ours}: {row.score:.2f} of the limit's speed", target)
            if row.higher_is_better
            else (ours, f"{target} {unit}")
        )
        what = f"{name}, {row.accounts} accounts" if row.accounts else name
        measured, aimed = cells
        cpu = describe_cpu(row.cpu).replace(" us", " µs")
        verdict = "met" if row.met else "**missed**"
        lines.append(f"| {what} | {measured} | {cpu} | {aimed} | {verdict} | `{commit}` |")
    return "\n".join(lines) + "\n"


def write_table(runs: list[Run], path: Path = MEASURED) -> None:
    """Put the table of `runs` between the page's marks. Raises `ValueError` where they are missing."""
    before, mark, rest = path.read_text().partition(_MARKS[0])
    _, end, after = rest.partition(_MARKS[1])
    if not end:
        raise ValueError(f"{path} has no marks {' and '.join(_MARKS)}")
    path.write_text(before + mark + "\n" + make_table(runs) + "\n" + end + after)


def draw_history(path: Path, runs: list[Run]) -> None:
    """A panel per row with a target: its score at each commit, the target dashed, the side that misses it shaded.

    Each machine has a colour of its own: ratios may be compared between machines, absolute figures may not.
    """
    names = list(dict.fromkeys(name for run in runs for name, row in run.rows.items() if row.target is not None))
    lines = max(1, math.ceil(len(names) / _COLUMNS))
    figure = Figure(figsize=(4.6 * _COLUMNS, 2.9 * lines + 0.8), layout="constrained")
    figure.suptitle("Each row with a target, run by run. Dashed: the target; shaded: missed.", fontsize=11)
    panels = iter(figure.subplots(lines, _COLUMNS, squeeze=False).flat)
    for name in names:
        _draw_row(next(panels), name, runs)
    for axes in panels:
        axes.set_visible(False)
    if machines := list(dict.fromkeys(_name_machine(run) for run in runs)):
        known = "; ".join(
            f"{_COLOURS[place % len(_COLOURS)].removeprefix('tab:')}: {name}" for place, name in enumerate(machines)
        )
        figure.supxlabel(known, fontsize=8)
    figure.savefig(path, dpi=_DPI)


def _draw_row(axes: Any, name: str, runs: list[Run]) -> None:
    machines = list(dict.fromkeys(_name_machine(run) for run in runs))
    points = [(place, run.rows[name]) for place, run in enumerate(runs) if name in run.rows]
    newest = next(row for _, row in reversed(points) if row.target is not None)
    target = newest.target or 0.0
    top = 1.25 * max(target, *(row.score for _, row in points))
    for number, machine in enumerate(machines):
        own = [(place, row.score) for place, row in points if _name_machine(runs[place]) == machine]
        if own:
            axes.plot(*zip(*own, strict=True), marker="o", markersize=5, color=_COLOURS[number % len(_COLOURS)])
            axes.annotate(f"{own[-1][1]:.3g}", own[-1], (0, 6), textcoords="offset points", ha="center", fontsize=8)
    axes.axhline(target, color="black", linestyle="--", linewidth=1)
    axes.axhspan(*((0, target) if newest.higher_is_better else (target, top)), color="#b0413e", alpha=0.08)
    axes.set_title(textwrap.fill(name, _TITLE_WIDTH), fontsize=8)
    axes.set_ylabel("limit / ours" if newest.higher_is_better else newest.unit, fontsize=7)
    axes.set_xticks(range(len(runs)), [f"{run.commit}\n{run.date}" for run in runs], fontsize=6)
    axes.tick_params(axis="y", labelsize=7)
    axes.set_xlim(-0.5, len(runs) - 0.5)
    axes.set_ylim(0, top)


def _name_machine(run: Run) -> str:
    return f"{run.machine.cores} cores, {run.machine.cpu}, {run.machine.python}"


def _ask_git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=_ROOT, capture_output=True, check=True, text=True)  # noqa: S607
    return done.stdout.strip()
