"""`microrollup export`: all closed blocks of a store in one file, or the signed actions of its log."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from microrollup.cli.output import Command, Output, json_option, make_facts, show_steps
from microrollup.cli.parameters import PATH, app_argument, data_option
from microrollup.codec.json import hex0x
from microrollup.declaration.rollup import load_rollup
from microrollup.deployment.exporting import export_actions, export_blocks
from microrollup.errors import UsageError

__all__ = ["export_command"]

_STDOUT: Final = Path("-")


@click.command("export", cls=Command)
@app_argument
@data_option()
@click.option(
    "--out",
    type=PATH,
    required=True,
    metavar="FILE",
    help="Write this file, replaced once it is whole; `-`: standard output.",
)
@click.option("--actions", is_flag=True, help="Write what `import` takes instead: signed actions and envelopes.")
@click.option(
    "--after", type=click.IntRange(0), metavar="H", help="With --actions: write only those of blocks after height H."
)
@json_option
def export_command(app: str, directory: Path, out: Path, actions: bool, after: int | None, output: Output) -> None:
    """Write all blocks to one file that anybody can verify.

    The file holds the genesis record, and every closed block with its signed actions and seal. It may be made while an
    import goes on. With --actions it holds every acknowledged action, also of the block that is still open, in the
    order of the log: JSON Lines, which another store of the same rollup can import.
    """
    if after is not None and not actions:
        raise UsageError("--after belongs to --actions")
    rollup = load_rollup(app)
    if out == _STDOUT:
        if actions:
            export_actions(directory, rollup, output.get_stream(), after=after)
        else:
            export_blocks(directory, rollup, output.get_stream())
        return
    if actions:
        count = export_actions(directory, rollup, out, after=after)
        shown = {"file": out, "actions": count, "bytes": out.stat().st_size}
        output.show({**shown, "file": str(out)}, make_facts(dict(shown)))
        return
    with show_steps("exporting blocks", as_json=output.as_json) as follow:
        exported = export_blocks(directory, rollup, out, on_progress=follow)
    document = {"blocks": exported.count, "bytes": out.stat().st_size, "rollupId": hex0x(exported.rollup_id)}
    facts = {"file": out, "blocks": exported.count, "bytes": document["bytes"], "rollup id": document["rollupId"]}
    output.show({"file": str(out), **document}, make_facts(facts))
