"""The command line: proofs for clients that make them themselves, and batches recorded at the bridge."""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO, Final

import click

from microrollup.cli.following import stopping_on_signals
from microrollup.cli.l1 import Reach, choose_place, ethereum_options, make_ethereum_place
from microrollup.cli.output import Command, Group, Output, json_option
from microrollup.cli.parameters import PATH, hex_bytes
from microrollup.cli.run import run_command
from microrollup.codec.json import hex0x, read_hex
from microrollup.codec.json_text import parse_json
from microrollup.deployment.place_file import find_place
from microrollup.errors import MissingMember, UnknownMember, UsageError, WrongJsonType, WrongLength
from microrollup.keys.files import read_key
from microrollup.settlement.ethereum.errors import L1Error
from microrollup.settlement.place import EthereumPlace

from .making import prove
from .recording import record_batches

__all__ = ["axiom_group", "main", "prove_document"]

_NAME: Final = f"python -m {__package__}"
_MAX_INPUT_BYTES: Final = 1 << 20
_MEMBERS: Final = {"keyData": -1, "authData": -1, "dataHash": 32, "msgHash": 32, "vkey": -1}
"""Name -> bytes that it has; -1: any number."""


def prove_document(document: Any) -> bytes:
    """The proof that a JSON object of five members in 0x-hex asks for.

    Raises `ProofRefused`, and `RefusedError`'s kinds for members that are missing, unknown or not of their form.
    """
    if not isinstance(document, dict):
        raise WrongJsonType("what is to be proven is an object")
    unknown, missing = set(document) - set(_MEMBERS), set(_MEMBERS) - set(document)
    if unknown:
        raise UnknownMember(f"it has no member {min(unknown)}")
    if missing:
        raise MissingMember(f"the object lacks {', '.join(name for name in _MEMBERS if name in missing)}")
    parts = {name: read_hex(document[name], name) for name in _MEMBERS}
    for name, size in _MEMBERS.items():
        if size >= 0 and len(parts[name]) != size:
            raise WrongLength(f"{name} has {size} bytes, not {len(parts[name])}")
    return prove(parts["keyData"], parts["authData"], parts["dataHash"], parts["msgHash"], parts["vkey"])


@click.group("axiom", cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
def axiom_group() -> None:
    """Axiom's interface to Keystore+: proofs for its transactions, and its bridge on L1."""


@click.command("prove", cls=Command)
@click.argument("file", type=click.File("rb"), default="-")
@json_option
def prove_command(file: BinaryIO, output: Output) -> None:
    """Prove that an account's signers have signed a message.

    FILE, or standard input, is one JSON object in 0x-hex: {"keyData", "authData", "dataHash", "msgHash", "vkey"}.
    authData is the signatures one after the other, 65 bytes each, as many as the key data's threshold. The proof's hex
    is printed: 512 bytes, and the witness.
    """
    raw = file.read(_MAX_INPUT_BYTES + 1)
    if len(raw) > _MAX_INPUT_BYTES:
        raise UsageError(f"an object has at most {_MAX_INPUT_BYTES} bytes")
    proof = hex0x(prove_document(parse_json(raw)))
    if output.as_json:
        output.show({"proof": proof})
    else:
        output.get_stream().write(f"{proof}\n".encode())


@click.command("record", cls=Command)
@click.option("--bridge", type=hex_bytes(20), required=True, metavar="ADDRESS", help="The bridge on L1.")
@click.option("--key", type=PATH, required=True, metavar="KEYFILE", help="Pays for the transactions.")
@click.option("--data", "directory", type=PATH, metavar="DIR", help="Data directory that names the inbox.")
@click.option(
    "--every",
    type=click.FloatRange(0.1, 3_600),
    default=12.0,
    show_default=True,
    metavar="SECONDS",
    help="Look at the inbox so often.",
)
@ethereum_options
@json_option
def record_command(
    bridge: bytes, key: Path, directory: Path | None, every: float, reach: Reach, output: Output
) -> None:
    """Record each batch that settles at the bridge, until a signal ends it.

    Axiom's clients finalize a withdrawal under the output root of a batch, and the bridge knows those that somebody has
    recorded while the inbox held them. Anybody may; who offers this interface runs it beside the node.
    """
    if (directory is None) == (reach.inbox is None):
        raise UsageError("give --data DIR, or --l1-url URL and --inbox ADDRESS")
    place = (
        make_ethereum_place(reach)
        if directory is None
        else choose_place(None, reach, directory) or find_place(directory, None)
    )
    if not isinstance(place, EthereumPlace):
        raise UsageError(f"{directory} settles on no Ethereum: it has no bridge")

    def tell(height: int | None, error: L1Error | None) -> None:
        document = {"recorded": height, "error": None if error is None else str(error)}
        output.show(document, f"recorded {height}" if error is None else f"not recorded: {error}")

    with stopping_on_signals(threading.Event()) as done:
        record_batches(place, bridge, read_key(key), done, every, tell)


axiom_group.add_command(prove_command)
axiom_group.add_command(record_command)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line (the process's own by default); the exit code. Raises nothing."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    return run_command(axiom_group, _NAME, given or ["--help"])
