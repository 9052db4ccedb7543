"""`microrollup check`: what the lint says of an app's code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from microrollup.cli.output import Command, Output, json_option, make_facts, make_table
from microrollup.cli.parameters import PATH
from microrollup.codec.json import hex0x
from microrollup.deployment.checking import check_app, pin_versions

__all__ = ["check_command"]


@click.command("check", cls=Command)
@click.argument("app")
@click.option(
    "--pin",
    type=PATH,
    metavar="FILE",
    help="Keep the ids of all versions in FILE: new ones are added, one that has changed is an error.",
)
@json_option
def check_command(app: str, pin: Path | None, output: Output) -> int:
    """Say what an app's code may not hold, and what to write instead.

    Code is refused if machines could differ over its results, or if its steps could not be counted. A rule that the app
    allows (`MicroRollup(..., allow=[...])`) is shown, and not refused. Exit code 1 if anything is refused, or
    a version that FILE holds has changed.
    """
    checked = check_app(app)
    rows = [
        {
            "module": finding.module, "line": finding.line, "rule": finding.rule, "what": finding.explain(),
            "allowed": finding.rule in checked.allow,
        }
        for finding in checked.findings
    ]  # fmt: skip
    changed = [] if pin is None else pin_versions(checked, pin)
    document = {"findings": rows, "modules": checked.modules, "stfId": checked.stf_id and hex0x(checked.stf_id)}
    table = make_table("place", "", "finding")
    for row in rows:
        table.add_row(f"{row['module']}:{row['line']}", "allowed" if row["allowed"] else "refused", str(row["what"]))
    if pin is not None:
        document["changed"] = changed
    facts = {"modules": ", ".join(checked.modules), "stfId": document["stfId"] or "none, as long as code is refused"}
    if changed:
        facts["changed"] = "; ".join(changed)
    parts: list[Any] = [table, ""] if rows else []
    output.show(document, *parts, make_facts(facts))
    return 1 if checked.stf_id is None or changed else 0
