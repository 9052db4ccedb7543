"""`microrollup snapshot` and `microrollup restore`: the state at a height in one file, and a store made of it."""

from __future__ import annotations

from pathlib import Path

import click

from microrollup.cli.l1 import l1_options
from microrollup.cli.output import Command, Output, json_option, make_facts, show_steps
from microrollup.cli.parameters import PATH, app_argument, data_option, hex_bytes
from microrollup.codec.json import hex0x
from microrollup.declaration.rollup import load_rollup
from microrollup.deployment.snapshots import restore_directory, take_snapshot
from microrollup.settlement.place import L1Place

__all__ = ["restore_command", "snapshot_command"]


@click.command("snapshot", cls=Command)
@app_argument
@data_option()
@click.option("--out", type=PATH, required=True, metavar="FILE", help="Write this file, replaced once it is whole.")
@click.option(
    "--height", type=click.IntRange(0), metavar="H", help="Write the state after block H [default: the newest]."
)
@json_option
def snapshot_command(app: str, directory: Path, out: Path, height: int | None, output: Output) -> None:
    """Write the state at a height to one file.

    The file is named by its content: the same state gives the same id, wherever it was written.
    """
    rollup = load_rollup(app)
    with show_steps("writing rows", as_json=output.as_json) as follow:
        info = take_snapshot(directory, rollup, out, height, follow)
    document = {
        "file": str(out),
        "id": info.id,
        "height": info.height,
        "blockHash": hex0x(info.block_hash),
        "stateRoot": hex0x(info.state_root),
        "leaves": info.leaf_count,
        "rows": info.row_count,
        "bytes": info.file_bytes,
    }
    output.show(document, make_facts(dict(document)))


@click.command("restore", cls=Command)
@app_argument
@data_option("Directory of the new store.")
@click.option("--from", "source", type=PATH, required=True, metavar="FILE", help="Read this snapshot.")
@click.option("--block-hash", type=hex_bytes(32), metavar="HASH", help="Refuse a snapshot of another block.")
@l1_options
@json_option
def restore_command(
    app: str, directory: Path, source: Path, block_hash: bytes | None, l1: L1Place | None, output: Output
) -> None:
    """Make a store from a snapshot.

    State and metadata roots are computed again from the rows and must be the header's. Whether the header is right
    says an L1 (which must have settled the block) or --block-hash; without both it is the builder's word alone.
    """
    rollup = load_rollup(app)
    with show_steps("restoring rows", as_json=output.as_json) as follow:
        restored = restore_directory(source, directory, rollup, block_hash=block_hash, l1=l1, on_progress=follow)
    vouched = [name for name, given in (("l1", l1), ("blockHash", block_hash)) if given is not None]
    document = {
        "height": restored.height,
        "blockHash": hex0x(restored.block_hash),
        "stateRoot": hex0x(restored.state_root),
        "rollupId": hex0x(restored.rollup_id),
        "vouchedFor": vouched,
    }
    facts = {**document, "vouchedFor": ", ".join(vouched) or "the builder's seal alone"}
    output.show(document, make_facts(facts))
