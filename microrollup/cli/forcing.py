"""`microrollup force`: an action into the inbox's queue on L1, which no operator can leave out."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import click

from microrollup.block import compute_rollup_id
from microrollup.cli.directory import read_key
from microrollup.cli.l1 import find_place, l1_options
from microrollup.cli.members import make_action, members_option
from microrollup.cli.output import Command, Output, json_option, make_facts
from microrollup.cli.parameters import PATH, app_argument
from microrollup.codec.json import hex0x
from microrollup.crypto import compute_address
from microrollup.entry import encode_forced_payload
from microrollup.errors import UsageError
from microrollup.rollup import load_rollup
from microrollup.settlement.forced import compute_forced_id
from microrollup.settlement.place import L1Place, open_l1

__all__ = ["force_command"]


@click.command("force", cls=Command)
@app_argument
@click.argument("name", metavar="TYPE")
@members_option
@click.option(
    "--key", type=PATH, required=True, metavar="KEYFILE", help="Whose action it is; on Ethereum it pays the gas."
)
@click.option("--data", "directory", type=PATH, metavar="DIR", help="Data directory that knows where it settles.")
@l1_options
@json_option
def force_command(
    app: str,
    name: str,
    members: tuple[str, ...],
    key: Path,
    directory: Path | None,
    l1: L1Place | None,
    output: Output,
) -> None:
    """Put an action into the queue on L1, past the operator.

    The action is of TYPE, with members as in `submit`; its sender is the key's address. Once the L1 block that included
    it is the origin of a block, that block must begin with it: verifiers and the inbox refuse all others.
    """
    if l1 is None and directory is None:
        raise UsageError("name the inbox: --l1-url and --inbox, or --l1, or the rollup's data directory with --data")
    rollup = load_rollup(app)
    if name not in rollup.action_types.by_name:
        raise UsageError(f"{app} has no action {name!r}; it has {', '.join(rollup.action_types.by_name)}")
    payload = encode_forced_payload(rollup, make_action(rollup.action_types.by_name[name], members))
    secret = read_key(key)
    sender = compute_address(secret)
    with closing(open_l1(find_place(directory or Path(), l1), [secret])) as inbox:
        genesis = inbox.get_genesis()
        if genesis.name != rollup.name:
            raise UsageError(f"the inbox is of the rollup {genesis.name!r}, not of {rollup.name!r}")
        index = inbox.force(payload, sender=sender)
        entries = inbox.get_forced_entries(index, inbox.get_number(), 1)
        inclusion_block = entries[0].inclusion_block if entries else None
        action_id = compute_forced_id(compute_rollup_id(genesis), index)
    document = {
        "index": index,
        "actionHash": hex0x(action_id),
        "sender": hex0x(sender),
        "inclusionBlock": inclusion_block,
        "payload": hex0x(payload),
    }
    facts: dict[str, object] = {
        "forced action": f"{index} in the queue, {len(payload)} bytes",
        "action hash": hex0x(action_id),
        "sender": hex0x(sender),
        "L1 block": f"{inclusion_block}; due in every block of the rollup whose origin has reached it"
        if entries
        else "included, though L1 does not show it now: look at `microrollup status` before you force it again",
    }
    output.show(document, make_facts(facts))
