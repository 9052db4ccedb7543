"""`microrollup export`: all closed blocks of a store in one file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from microrollup.block import Block, compute_rollup_id
from microrollup.cli.directory import open_readable
from microrollup.cli.output import Command, Output, json_option, make_facts, show_progress
from microrollup.cli.parameters import PATH, app_argument, data_option
from microrollup.codec.json import hex0x
from microrollup.export import write_blocks
from microrollup.rollup import load_rollup
from microrollup.verifier.source import StoreSource

__all__ = ["export_command"]


@click.command("export", cls=Command)
@app_argument
@data_option()
@click.option("--out", type=PATH, required=True, metavar="FILE", help="File to write; replaced once it is whole.")
@json_option
def export_command(app: str, directory: Path, out: Path, output: Output) -> None:
    """Write all blocks to one file that anybody can verify.

    The file holds the genesis record, and every closed block with its signed actions and seal. It may be made while an
    import goes on.
    """
    with open_readable(directory, load_rollup(app)):
        pass
    with StoreSource(directory) as source, show_progress("exporting", source.read_tip()) as advance:

        def read() -> Iterator[Block]:
            for block in source.read_blocks():
                yield block
                advance(1)

        count = write_blocks(out, source.genesis, read())
    document = {"blocks": count, "bytes": out.stat().st_size, "rollupId": hex0x(compute_rollup_id(source.genesis))}
    facts = {"file": out, "blocks": count, "bytes": document["bytes"], "rollup id": document["rollupId"]}
    output.show({"file": str(out), **document}, make_facts(facts))
