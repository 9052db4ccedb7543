"""`microrollup force`: an action or an envelope into the inbox's queue on L1, which no operator can leave out."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import click

from microrollup.cli.l1 import l1_options
from microrollup.cli.members import make_action, members_option
from microrollup.cli.output import Command, Output, json_option
from microrollup.cli.parameters import PATH, app_argument, hex_bytes
from microrollup.cli.queued import show_queued
from microrollup.declaration.rollup import load_rollup
from microrollup.deployment.forcing import carry_action, force_action, force_envelope
from microrollup.deployment.place_file import find_place
from microrollup.errors import UsageError
from microrollup.keys.files import read_key
from microrollup.primitives import MAX_ACTION_BYTES, MAX_ENVELOPE_BYTES
from microrollup.settlement.place import L1Place

__all__ = ["force_command"]


@click.command("force", cls=Command)
@app_argument
@click.argument("name", metavar="[TYPE]", required=False)
@members_option
@click.option(
    "--signed",
    "signed",
    type=click.File("rb"),
    metavar="FILE",
    help="Carry the signed action of this file, one line of JSON (- for standard input), instead of an own one.",
)
@click.option(
    "--envelope",
    "envelope",
    metavar="NAME",
    help="Carry what comes in the app's envelope of this name: give its bytes with --raw or --file.",
)
@click.option("--raw", type=hex_bytes(), metavar="HEX", help="The envelope's bytes.")
@click.option(
    "--file",
    "file",
    type=click.File("rb"),
    metavar="FILE",
    help="A file of the envelope's bytes (- for standard input).",
)
@click.option(
    "--key",
    type=PATH,
    required=True,
    metavar="KEYFILE",
    help="Call the inbox from this key; on Ethereum it pays the gas.",
)
@click.option(
    "--data", "directory", type=PATH, metavar="DIR", help="Take the inbox that this data directory settles on."
)
@l1_options
@json_option
def force_command(
    app: str,
    name: str | None,
    members: tuple[str, ...],
    signed: BinaryIO | None,
    envelope: str | None,
    raw: bytes | None,
    file: BinaryIO | None,
    key: Path,
    directory: Path | None,
    l1: L1Place | None,
    output: Output,
) -> None:
    """Put an action into the queue on L1, past the operator.

    The action is of TYPE, with members as in `submit`, and its sender is the key's address; or it is one that somebody
    signed, `--signed FILE`, whose sender and nonce count as if it had been submitted; or what comes in an envelope of
    the app's own, `--envelope NAME`. Once the L1 block that included
    it is the origin of a block, that block must begin with it: verifiers and the inbox refuse all others.
    """
    if l1 is None and directory is None:
        raise UsageError("name the inbox: --l1-url and --inbox, or --l1, or the rollup's data directory with --data")
    rollup = load_rollup(app)
    if sum(each is not None for each in (name, signed, envelope)) != 1 or (members and name is None):
        raise UsageError(
            "name the TYPE of an own action with its members, a signed one with --signed FILE, or an --envelope"
        )
    if (raw is not None) + (file is not None) != (envelope is not None):
        raise UsageError("give the bytes of an --envelope, either with --raw HEX or with --file FILE")
    place = find_place(directory or Path(), l1)
    if signed is not None:
        queued = carry_action(rollup, place, signed.read(2 * MAX_ACTION_BYTES).rstrip(b"\r\n"), read_key(key))
    elif envelope is not None:
        content = file.read(MAX_ENVELOPE_BYTES + 1) if file is not None else raw or b""
        queued = force_envelope(rollup, place, envelope, content, read_key(key))
    elif name is None or name not in rollup.action_types.by_name:
        raise UsageError(f"{app} has no action {name!r}; it has {', '.join(rollup.action_types.by_name)}")
    else:
        action = make_action(rollup.action_types.by_name[name], members)
        queued = force_action(rollup, place, action, read_key(key))
    show_queued(output, queued, is_envelope=envelope is not None)
