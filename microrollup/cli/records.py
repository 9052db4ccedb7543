"""`microrollup log`: the records of the action log in words."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import click

from microrollup.cli.output import Command, Output, json_option, make_table
from microrollup.cli.parameters import app_argument, data_option
from microrollup.declaration.rollup import load_rollup
from microrollup.deployment.records import read_records

__all__ = ["log_command"]

DEFAULT_LIMIT: Final = 100

_COLUMNS: Final = ("record", "kind", "seq", "type", "sender", "nonce", "status")


@click.command("log", cls=Command)
@app_argument
@data_option()
@click.option(
    "--from", "first", type=click.IntRange(0), default=0, metavar="N", show_default=True, help="Begin with record N."
)
@click.option(
    "--limit",
    type=click.IntRange(1),
    default=DEFAULT_LIMIT,
    show_default=True,
    metavar="N",
    help="Show at most N records.",
)
@json_option
def log_command(app: str, directory: Path, first: int, limit: int, output: Output) -> None:
    """Show the records of the action log in words.

    Every record is checked against the chain of hashes. A status is known once the action's block is closed.
    """
    records = read_records(directory, load_rollup(app), first, limit)
    table = make_table(*_COLUMNS)
    for record in records:
        table.add_row(*[_show(record, column) for column in _COLUMNS])
    shown = f"records {records[0]['record']} to {records[-1]['record']}" if records else "no records there"
    output.show({"records": records}, table, "", shown)


def _show(record: dict[str, Any], column: str) -> str:
    if column == "type" and "height" in record:
        return f"block {record['height']}"
    value = record.get(column)
    return "" if value is None else str(value)
