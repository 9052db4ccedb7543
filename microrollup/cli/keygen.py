"""`microrollup keygen`: a new private key in a file."""

from __future__ import annotations

from pathlib import Path

import click

from microrollup.cli.output import Command, Output, json_option, make_facts
from microrollup.cli.parameters import PATH
from microrollup.codec.json import hex0x
from microrollup.crypto.ecdsa import compute_address
from microrollup.deployment.keys import create_key

__all__ = ["keygen_command"]


@click.command("keygen", cls=Command)
@click.argument("file", type=PATH)
@json_option
def keygen_command(file: Path, output: Output) -> None:
    """Make a private key in a new file, and show its address.

    The key is a secp256k1 key, as wallets and L1 accounts have. FILE gets 64 hex digits and can be read by its owner
    only (mode 0600); commands take it with --key. A file that exists is never overwritten; the key is not shown.
    """
    address = hex0x(compute_address(create_key(file)))
    output.show({"address": address, "file": str(file)}, make_facts({"address": address, "file": file}))
