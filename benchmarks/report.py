"""What a run gives: rows with their limits and targets, as a table for people and JSON for programs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal

import msgspec
from rich.console import Console
from rich.table import Table

from benchmarks.measure import Comparison, Fsync, Machine

__all__ = ["Report", "Row", "describe_cpu", "make_ratio_row", "make_size_row", "print_report", "write_json"]

Verdict = Literal["met", "below", ""]

_STYLES: Final[dict[str, str]] = {"met": "green", "below": "bold red", "": ""}


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One figure. `score` is what is held against the target: a ratio to the limit, or the figure itself."""

    name: str
    """The group, as `--only` takes it."""
    what: str
    ours: float
    unit: str
    limit: float | None = None
    """In `unit` too; None where there is a target alone."""
    limit_name: str
    score: float
    target: float | None = None
    higher_is_better: bool
    repetitions: int = 1
    fsync: Fsync | None = None
    """Beside durable figures: the disk's own latency at that time."""
    points: tuple[tuple[float, float], ...] = ()
    """A curve: (accounts, microseconds)."""
    accounts: str = ""
    """In the store, or in memory; empty where `what` says it."""
    cpu: Mapping[str, float] = {}
    """Microseconds of CPU, user and system, that a unit of work (an action, a block, a proof, a command) takes: by
    process, and those of the limit or peer where they were measured.
    """
    note: str = ""

    @property
    def headline(self) -> str:
        """What is measured, with the accounts."""
        return f"{self.what}, {self.accounts} accounts" if self.accounts else self.what

    @property
    def verdict(self) -> Verdict:
        """Whether the score meets the target; empty where there is none."""
        if self.target is None:
            return ""
        sign = 1 if self.higher_is_better else -1
        return "met" if sign * self.score >= sign * self.target else "below"


class Report(msgspec.Struct, frozen=True):
    """All of a run."""

    machine: Machine
    quick: bool
    seconds: float
    fsync: Fsync
    rows: list[Row]
    load: float = 0.0
    """Load average of the last minute before the run: what else worked on the machine."""


def make_ratio_row(
    name: str,
    what: str,
    found: Comparison,
    *,
    limit_name: str,
    target: float | None = None,
    fsync: Fsync | None = None,
    scale: float = 1e6,
    unit: str = "us",
    accounts: str = "",
    cpu: Mapping[str, float] | None = None,
    note: str = "",
) -> Row:
    """A path beside its limit; `scale` turns seconds into `unit`."""
    spread = f"ratio {found.low:.2f} to {found.high:.2f} in {found.repetitions} runs"
    return Row(
        name=name,
        what=what,
        ours=found.ours * scale,
        unit=unit,
        limit=found.limit * scale,
        limit_name=limit_name,
        score=found.ratio,
        target=target,
        higher_is_better=True,
        repetitions=found.repetitions,
        fsync=fsync,
        accounts=accounts,
        cpu=cpu or {},
        note=f"{note}; {spread}" if note else spread,
    )


def make_size_row(
    name: str,
    what: str,
    ours: float,
    unit: str,
    *,
    target: float | None = None,
    limit_name: str = "-",
    repetitions: int = 1,
    fsync: Fsync | None = None,
    points: tuple[tuple[float, float], ...] = (),
    accounts: str = "",
    cpu: Mapping[str, float] | None = None,
    note: str = "",
) -> Row:
    """A figure that is its own score: seconds, megabytes, a growth factor; the less the better."""
    return Row(
        name=name,
        what=what,
        ours=ours,
        unit=unit,
        limit_name=limit_name,
        score=ours,
        target=target,
        higher_is_better=False,
        repetitions=repetitions,
        fsync=fsync,
        points=points,
        accounts=accounts,
        cpu=cpu or {},
        note=note,
    )


def print_report(console: Console, report: Report) -> None:
    """The table, below one line of facts."""
    machine = report.machine
    console.print(
        f"{machine.cores} cores, {machine.cpu}, {machine.python}, {machine.system}, {machine.native}", highlight=False
    )
    console.print(
        f"fdatasync of 4 KiB: p50 {report.fsync.p50_us:.0f} us, p90 {report.fsync.p90_us:.0f} us;"
        f" {'quick sizes, ' if report.quick else ''}{report.seconds:.0f} s in all",
        highlight=False,
    )
    for line in _list_cautions(report):
        console.print(line, style="yellow", highlight=False)
    table = Table(show_lines=True, expand=False)
    for title in ("row", "ours", "limit", "ratio", "target", "note"):
        table.add_column(title, justify="right" if title not in ("row", "note") else "left", overflow="fold")
    for row in report.rows:
        style = _STYLES[row.verdict]
        table.add_row(
            f"[bold]{row.name}[/]\n{row.headline}",
            _show(row.ours, row.unit),
            f"{_show(row.limit, row.unit)}\n{row.limit_name}" if row.limit is not None else row.limit_name,
            _colour(f"{row.score:.2f}" if row.higher_is_better else "", style),
            _colour(_show_target(row), style),
            _describe(row),
        )
    console.print(table)
    if aimed := [row for row in report.rows if row.verdict]:
        below = [f"{row.name}: {row.what}" for row in aimed if row.verdict == "below"]
        console.print(f"{len(aimed) - len(below)} of {len(aimed)} targets met", highlight=False)
        for what in below:
            console.print(f"  below target: {what}", style=_STYLES["below"], highlight=False, markup=False)


def _list_cautions(report: Report) -> list[str]:
    """What somebody must know who reads the figures."""
    cautions: list[str] = []
    if report.load > report.machine.cores / 2:
        cautions.append(
            f"Load average {report.load:.1f} when the run began, on {report.machine.cores} cores: the machine is busy."
            " Times are those of a busy machine; ratios and CPU times say more."
        )
    if report.quick:
        cautions.append("Small sizes: targets are meant for full ones.")
    return cautions


def _describe(row: Row) -> str:
    """CPU of each process, what else is to be said, the disk."""
    cpu = describe_cpu(row.cpu)
    fsync = f"fsync {row.fsync.p50_us:.0f}/{row.fsync.p90_us:.0f} us" if row.fsync else ""
    return "; ".join(part for part in (f"CPU: {cpu}" if cpu else "", row.note, fsync) if part)


def describe_cpu(cpu: Mapping[str, float]) -> str:
    """Each process with what it took."""
    return ", ".join(f"{process} {_show_cpu(microseconds)}" for process, microseconds in cpu.items())


def _show_cpu(microseconds: float) -> str:
    scale, unit = next((pair for pair in ((1e6, "s"), (1e3, "ms")) if microseconds >= pair[0]), (1.0, "us"))
    return _show(microseconds / scale, unit)


def _colour(text: str, style: str) -> str:
    return f"[{style}]{text}[/]" if style and text else text


def _show(value: float, unit: str) -> str:
    return f"{value:,.3g} {unit}" if value < 1000 else f"{value:,.0f} {unit}"


def _show_target(row: Row) -> str:
    if row.target is None:
        return ""
    shown = f"{row.target:.3g}" if row.higher_is_better else f"{row.target:g} {row.unit}"
    return f"{shown}\n{row.verdict}"


def write_json(path: Path, report: Report) -> None:
    """The report with each row's verdict."""
    rows = [{**msgspec.structs.asdict(row), "verdict": row.verdict} for row in report.rows]
    body = {**msgspec.structs.asdict(report), "rows": rows}
    path.write_bytes(msgspec.json.format(msgspec.json.encode(body), indent=2) + b"\n")
