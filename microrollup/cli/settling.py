"""`microrollup settle`: hand attested batches to the settlement, as the builder."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click
import msgspec

from microrollup.cli.files import open_input
from microrollup.cli.l1 import l1_options
from microrollup.cli.output import Command, Output, json_option, make_facts, make_table
from microrollup.cli.parameters import app_argument, data_option
from microrollup.codec.json import hex0x
from microrollup.declaration.rollup import load_rollup
from microrollup.deployment.directory import open_rollup
from microrollup.deployment.settling import parse_attestations, settle_batches
from microrollup.errors import UsageError
from microrollup.settlement.place import L1Place

__all__ = ["settle_command"]

_MAX_FILE_BYTES: Final = 64 << 20


@click.command("settle", cls=Command)
@app_argument
@data_option()
@l1_options
@click.option(
    "--attestations",
    "files",
    required=True,
    multiple=True,
    metavar="FILE",
    help="Take what `verify --json` printed, one file per verifier; `-`: standard input; repeatable.",
)
@json_option
def settle_command(app: str, directory: Path, l1: L1Place | None, files: tuple[str, ...], output: Output) -> None:
    """Hand attested blocks to the settlement.

    Nothing settles without the attestations of a quorum, and nothing is settled twice.
    """
    attestations = [attestation for file in files for attestation in parse_attestations(_read_file(file))]
    with open_rollup(directory, load_rollup(app), l1=l1) as opened:
        ranges = settle_batches(opened, attestations)
        head = opened.l1.get_settled()
    document = {
        "settled": head.height,
        "stateRoot": hex0x(head.state_root),
        "blockHash": hex0x(head.block_hash),
        "l1Number": head.l1_number,
        "batches": [msgspec.to_builtins(settled) for settled in ranges],
    }
    facts = {"settled": f"height {head.height}", "state root": document["stateRoot"], "L1 block": head.l1_number}
    table = make_table("heights", "bytes", "attestations")
    for settled in ranges:
        table.add_row(f"{settled.first_height} to {settled.last_height}", str(settled.bytes), str(settled.attestations))
    output.show(document, make_facts(dict(facts)), table if ranges else None)


def _read_file(file: str) -> bytes:
    with open_input(file) as opened:
        raw = opened.read(_MAX_FILE_BYTES + 1)
    if len(raw) > _MAX_FILE_BYTES:
        raise UsageError(f"{file} is larger than any list of attestations")
    return raw
