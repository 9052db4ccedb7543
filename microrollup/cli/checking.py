"""`microrollup check`: what the lint says of an app's code."""

from __future__ import annotations

from typing import Any

import click

from microrollup.cli.output import Command, Output, json_option, make_facts, make_table
from microrollup.codec.json import hex0x
from microrollup.deployment.checking import check_app

__all__ = ["check_command"]


@click.command("check", cls=Command)
@click.argument("app")
@json_option
def check_command(app: str, output: Output) -> int:
    """Say what an app's code may not hold, and what to write instead.

    Code is refused if machines could differ over its results, or if its steps could not be counted. A rule that the app
    allows (`MicroRollup(..., allow=[...])`) is shown, and not refused. Exit code 1 if anything is refused.
    """
    checked = check_app(app)
    rows = [
        {
            "module": finding.module, "line": finding.line, "rule": finding.rule, "what": finding.explain(),
            "allowed": finding.rule in checked.allow,
        }
        for finding in checked.findings
    ]  # fmt: skip
    document = {"findings": rows, "modules": checked.modules, "stfId": checked.stf_id and hex0x(checked.stf_id)}
    table = make_table("place", "", "finding")
    for row in rows:
        table.add_row(f"{row['module']}:{row['line']}", "allowed" if row["allowed"] else "refused", str(row["what"]))
    facts = {"modules": ", ".join(checked.modules), "stfId": document["stfId"] or "none, as long as code is refused"}
    parts: list[Any] = [table, ""] if rows else []
    output.show(document, *parts, make_facts(facts))
    return 1 if checked.stf_id is None else 0
