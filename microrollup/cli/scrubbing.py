"""`microrollup scrub`: every page and record of a store read and checked."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from microrollup.cli.output import Command, Output, json_option, make_facts, make_table, show_progress
from microrollup.cli.parameters import app_argument, data_option
from microrollup.cli.run import EXIT_FAILED
from microrollup.declaration.rollup import load_rollup
from microrollup.maintenance.scrub import scrub_store

__all__ = ["scrub_command"]


@click.command("scrub", cls=Command)
@app_argument
@data_option()
@json_option
def scrub_command(app: str, directory: Path, output: Output) -> int:
    """Read every page and record, and name what is damaged.

    Nothing is changed, and a writer may go on meanwhile. Exit code 1: something is damaged; the report says what
    repairs it.
    """
    load_rollup(app)
    with show_progress("reading") as advance:
        seen: dict[str, int] = {}

        def follow(table: str, done: int, _: int) -> None:
            advance(done - seen.get(table, 0))
            seen[table] = done

        report = scrub_store(directory, app, follow)
    document = {"ok": not report.damages, **msgspec.to_builtins(report)}
    facts: dict[str, object] = {
        "damaged": len(report.damages) or "nothing",
        "read": ", ".join(f"{count} {table}" for table, count in report.checked.items()),
    }
    if report.unchecked:
        facts["unchecked"] = ", ".join(report.unchecked)
    if report.writer_active:
        facts["writer"] = "active meanwhile: what it was writing may be reported as damaged"
    table = make_table("where", "damage", "repair")
    for damage in report.damages:
        table.add_row(damage.where, damage.reason, damage.repair)
    output.show(document, make_facts(facts), table if report.damages else None)
    return EXIT_FAILED if report.damages else 0
