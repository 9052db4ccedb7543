"""`microrollup replay`: the log executed again into a fresh store, and both compared to the byte."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from microrollup.cli.files import open_directory
from microrollup.cli.output import Command, Output, json_option, make_facts, make_table, show_steps
from microrollup.cli.parameters import PATH, app_argument, data_option, workers_option
from microrollup.cli.run import EXIT_FAILED
from microrollup.codec.json import hex0x
from microrollup.declaration.rollup import load_rollup
from microrollup.deployment.replaying import replay_directory
from microrollup.deployment.workers import choose_workers

__all__ = ["replay_command"]


@click.command("replay", cls=Command)
@app_argument
@data_option()
@click.option("--into", type=PATH, metavar="NEWDIR", help="Keep the rebuilt store there [default: a temporary one].")
@workers_option
@json_option
def replay_command(app: str, directory: Path, into: Path | None, workers: int | None, output: Output) -> int:
    """Rebuild everything from the log and compare it to the byte.

    Only the log is read: every signature is checked and every action executed again. Exit code 1: what the store holds
    is not what its log gives.
    """
    load_rollup(app)
    with open_directory(into, "replay") as parent, show_steps("replaying") as follow:
        replayed = replay_directory(
            app, directory, into or parent / "store", choose_workers(workers, directory), follow
        )
    differences = replayed.differences
    document = {
        "equal": not differences,
        "height": replayed.height,
        "stateRoot": hex0x(replayed.state_root),
        "records": replayed.records,
        "differences": [msgspec.to_builtins(difference) for difference in differences],
    }
    facts: dict[str, object] = {
        "equal": "to the byte" if not differences else "NO",
        "height": replayed.height,
        "state root": hex0x(replayed.state_root),
        "records": replayed.records,
    }
    table = make_table("table", "key", "difference")
    for difference in differences:
        table.add_row(difference.table, difference.key, difference.reason)
    output.show(document, make_facts(facts), table if differences else None)
    return EXIT_FAILED if differences else 0
