"""`microrollup keygen`: a new private key in a file."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from microrollup.cli.output import Command, Output, json_option, make_facts
from microrollup.cli.parameters import PATH, passphrase_option
from microrollup.codec.json import hex0x
from microrollup.crypto.ecdsa import compute_address
from microrollup.errors import UsageError
from microrollup.keys.files import create_bls_key, create_key
from microrollup.keys.passphrase import find_passphrase

__all__ = ["keygen_command"]


@click.command("keygen", cls=Command)
@click.argument("file", type=PATH)
@click.option(
    "--format",
    "kind",
    type=click.Choice(["hex", "v3"]),
    help="64 hex digits, or a Web3 Secret Storage file [default: v3 with --passphrase-file, else hex].",
)
@passphrase_option
@click.option("--bls", is_flag=True, help="A verifier's BLS12-381 key; shows it with its proof of possession.")
@json_option
def keygen_command(
    file: Path, kind: Literal["hex", "v3"] | None, passphrase_file: Path | None, bls: bool, output: Output
) -> None:
    """Make a private key in a new file, and show its address.

    The key is a secp256k1 key, as wallets and L1 accounts have. FILE gets 64 hex digits, or under a passphrase what
    geth and ethers read as well (Web3 Secret Storage, v3), and can be read by its owner only (mode 0600); commands take
    it with --key. A file that exists is never overwritten; the key is not shown.
    With --bls it is a key by which verifiers attest, and nothing else: `bls12381:` and 64 hex digits.
    """
    if bls:
        if kind is not None or passphrase_file is not None:
            raise UsageError("--bls goes without --format and --passphrase-file: such files have one form")
        key = create_bls_key(file)
        facts: dict[str, object] = {"key": hex0x(key.public), "proof": hex0x(key.prove_possession())}
        output.show(facts | {"file": str(file)}, make_facts(facts | {"file": file}))
        return
    if kind == "hex" and passphrase_file is not None:
        raise UsageError("--passphrase-file would have no effect: a file of hex digits has no passphrase")
    passphrase = None
    if kind == "v3" or passphrase_file is not None:
        passphrase = find_passphrase(f"the new key in {file}", passphrase_file)
    address = hex0x(compute_address(create_key(file, passphrase)))
    output.show({"address": address, "file": str(file)}, make_facts({"address": address, "file": file}))
