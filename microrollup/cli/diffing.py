"""`microrollup diff`: what other code would have made of recorded blocks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from microrollup.cli.output import Command, Output, json_option, make_facts, make_table, show_steps
from microrollup.cli.parameters import app_argument, data_option, workers_option
from microrollup.declaration.rollup import load_rollup
from microrollup.deployment.diffing import describe_diff, diff_directory
from microrollup.deployment.workers import choose_workers

__all__ = ["diff_command"]


@click.command("diff", cls=Command)
@app_argument
@data_option()
@click.option(
    "--from",
    "first",
    type=click.IntRange(1),
    metavar="HEIGHT",
    help="Begin at this block, with the recorded state before it [default: at block 1, with the genesis of APP].",
)
@click.option(
    "--limit",
    type=click.IntRange(0, 100_000),
    default=100,
    show_default=True,
    metavar="N",
    help="List at most N differing entries and blocks; all are counted.",
)
@workers_option
@json_option
def diff_command(app: str, directory: Path, first: int | None, limit: int, workers: int | None, output: Output) -> None:
    """Show what other code would have made of recorded blocks.

    APP is the new code. The recorded entries are executed by it, one after the other, and compared with what was
    recorded: outcome, events, and the state fields that a block leaves. Nothing is written; the store's writer may go
    on. Exit code 0, whether anything differs or not.
    """
    rollup = load_rollup(app)
    with show_steps("executing blocks", as_json=output.as_json) as follow:
        diff = diff_directory(
            app, directory, first, limit=limit, workers=choose_workers(workers, directory), on_progress=follow
        )
    document = describe_diff(diff, rollup)
    facts: dict[str, object] = {
        "blocks": f"{diff.first} to {diff.last}",
        "entries": document["entries"],
        "differing": diff.differing,
    }
    if diff.fields_unknown:
        facts["fields"] = f"not compared in {diff.fields_unknown} blocks: no longer kept, or another shape of the state"
    counts = make_table("type", "entries", "outcome", "events", "fields")
    for row in document["types"]:
        fields = ", ".join(f"{name} {count}" for name, count in row["fields"].items())
        counts.add_row(row["type"], str(row["entries"]), str(row["outcome"]), str(row["events"]), fields)
    table = make_table("block", "seq", "type", "recorded", "now", "fields")
    for row in document["differences"]:
        sides = [_show(row["recorded"], row["note"]), _show(row["executed"], row["note"])]
        table.add_row(str(row["height"]), str(row["seq"] or ""), row["type"], *sides, ", ".join(row["fields"]))
    output.show(document, make_facts(facts), "", counts, "", table if diff.actions else None)


def _show(side: dict[str, Any] | None, note: str) -> str:
    """A receipt in a few words."""
    if side is None:
        return note
    events = ", ".join(event["name"] for event in side["events"])
    return " ".join(filter(None, (side["status"], side["reason"] and f"({side['reason']})", events and f"[{events}]")))
