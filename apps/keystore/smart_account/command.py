"""The command line: why an account does not take an operation."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, BinaryIO, Final

import click
import msgspec

from microrollup.cli.output import Command, Group, Output, json_option, make_facts
from microrollup.cli.parameters import hex_bytes
from microrollup.cli.run import EXIT_FAILED, run_command
from microrollup.codec.json_text import parse_json
from microrollup.errors import UsageError
from microrollup.settlement.ethereum.headers import read_header
from microrollup.settlement.ethereum.options import EthereumOptions
from microrollup.settlement.ethereum.visit import visit_l1

from ..proofs import proof_from_json
from .addresses import ENTRY_POINT
from .explain import explain
from .user_operation import decode_user_operation_json

__all__ = ["main", "smart_account_group"]

_NAME: Final = f"python -m {__package__}"
_MAX_FILE_BYTES: Final = 1 << 20


class _Chain:
    """A chain by its JSON-RPC."""

    def __init__(self, options: EthereumOptions) -> None:
        self._options = options

    def call(self, method: str, *params: Any) -> Any:
        return visit_l1(self._options, lambda transport: transport.ask(method, *params))


@click.group("smart_account", cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
def smart_account_group() -> None:
    """Smart accounts that live by the keystore."""


@click.command("explain", cls=Command)
@click.argument("file", type=click.File("rb"), default="-")
@click.option("--chain", "url", required=True, metavar="URL", help="JSON-RPC of the chain that refuses the operation.")
@click.option(
    "--chain-header", "headers", type=read_header, multiple=True, metavar="HEADER", help="HTTP header for that chain."
)
@click.option("--entry-point", type=hex_bytes(20), default=ENTRY_POINT.hex(), metavar="ADDRESS", help="[default: 0.8]")
@click.option(
    "--proof", type=click.File("rb"), metavar="FILE", help="What `microrollup prove --json` shows of the account's key."
)
@click.option("--other-chain", "chain_ids", type=int, multiple=True, metavar="ID", help="Was it signed for that one?")
@json_option
def explain_command(
    file: BinaryIO,
    url: str,
    headers: tuple[str, ...],
    entry_point: bytes,
    proof: BinaryIO | None,
    chain_ids: tuple[int, ...],
    output: Output,
) -> int:
    """Say why an account does not take an operation's signature, which bundlers all call AA24.

    FILE, or standard input, is the operation as bundlers take it. The chain is asked, nothing is sent. Exit code 1: the
    account does not take the signature.
    """
    operation = decode_user_operation_json(_read(file))
    shown = None if proof is None else proof_from_json(_read(proof))
    chain = _Chain(EthereumOptions(url, headers))
    found = explain(operation, chain, entry_point=entry_point, shown=shown, chain_ids=chain_ids)
    output.show(msgspec.to_builtins(found), make_facts({"cause": found.cause, "found": found.what, "do": found.remedy}))
    return 0 if found.cause == "taken" else EXIT_FAILED


def _read(file: BinaryIO) -> Any:
    raw = file.read(_MAX_FILE_BYTES + 1)
    if len(raw) > _MAX_FILE_BYTES:
        raise UsageError(f"a file has at most {_MAX_FILE_BYTES} bytes")
    return parse_json(raw)


smart_account_group.add_command(explain_command)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line (the process's own by default); the exit code. Raises nothing."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    return run_command(smart_account_group, _NAME, given or ["--help"])
