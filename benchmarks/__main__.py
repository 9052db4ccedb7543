"""The command line: `python -m benchmarks [--quick] [--only NAME] [--out DIR] [--profile NAME]`."""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import click
import msgspec
import structlog
from rich.console import Console

from benchmarks.context import FULL, QUICK, Bench
from benchmarks.history import append_run, draw_history, make_run, read_history, write_table
from benchmarks.measure import describe_machine
from benchmarks.plot import write_png
from benchmarks.profiling import PROFILES, profile
from benchmarks.report import Report, Row, print_report, write_json
from benchmarks.rows import ROWS
from microrollup.system import count_cores

__all__ = ["main", "run"]

_PROFILE_LINES: Final = 24


def run(bench: Bench, names: tuple[str, ...], *, quick: bool) -> Report:
    """Measure the named groups of rows, in the table's order."""
    started, load = time.perf_counter(), os.getloadavg()[0]
    rows: list[Row] = []
    for name, measure in ROWS.items():
        if name in names:
            bench.say(f"{name} begins")
            begun = time.perf_counter()
            rows += measure(bench)
            bench.say(f"{name} took {time.perf_counter() - begun:.0f} s")
    seconds = time.perf_counter() - started
    return Report(describe_machine(), quick, seconds, bench.measure_fsync(), rows, load)


@click.command()
@click.option(
    "--quick", is_flag=True, help="Small sizes, for a look in two minutes; targets are meant for the full run."
)
@click.option("--only", "names", multiple=True, type=click.Choice(list(ROWS)), help="Only these rows; may be repeated.")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("benchmark-results"),
    show_default=True,
    help="Where results.json, results.png and history.png go.",
)
@click.option(
    "--store",
    type=click.Path(file_okay=False, path_type=Path),
    help="Build the stores below this directory, whose disk is measured; by default the system's temporary one.",
)
@click.option(
    "--record",
    is_flag=True,
    help="Add the figures to benchmarks/history.jsonl and to the table in Measured; full sizes only.",
)
@click.option("--updates", type=click.IntRange(0), help="Updates in the large store's log, instead of the size's own.")
@click.option("--profile", "profiled", type=click.Choice(list(PROFILES)), help="Profile the writer instead.")
def main(
    names: tuple[str, ...],
    out: Path,
    store: Path | None,
    updates: int | None,
    profiled: str | None,
    *,
    quick: bool,
    record: bool,
) -> None:
    """Measure microrollup, each figure beside the limit it is held against."""
    if record and quick:
        raise click.UsageError("--record keeps figures of full size: leave out --quick")
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    console = Console(width=None if os.isatty(1) else 160)
    progress = Console(stderr=True)
    sizes = QUICK if quick else FULL
    if updates is not None:
        sizes = msgspec.structs.replace(sizes, updates=updates)
    if store is not None:
        store.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix="microrollup-bench-", dir=store) as directory:
        cores = count_cores()
        bench = Bench(Path(directory), sizes, cores, lambda text: progress.print(f"... {text}", style="dim"))
        if profiled is not None:
            console.print(profile(bench, profiled, _PROFILE_LINES), highlight=False, markup=False)
            return
        report = run(bench, names or tuple(ROWS), quick=quick)
    print_report(console, report)
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / "results.json", report)
    write_png(out / "results.png", report)
    if record:
        append_run(make_run(report))
        write_table(read_history())
    draw_history(out / "history.png", read_history())
    written = [out / name for name in ("results.json", "results.png", "history.png")]
    console.print(", ".join(map(str, written)), highlight=False)


if __name__ == "__main__":
    main()
