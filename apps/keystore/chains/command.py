"""`python -m apps.keystore deploy-l2` and `status`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import click
from rich.table import Table

from microrollup.cli.deploying import read_ether
from microrollup.cli.output import Command, Output, json_option, make_table
from microrollup.cli.parameters import PATH, hex_bytes
from microrollup.cli.run import EXIT_FAILED
from microrollup.codec.json import hex0x
from microrollup.crypto.ecdsa import compute_address
from microrollup.errors import UsageError
from microrollup.keys.files import read_key
from microrollup.settlement.ethereum.headers import read_header
from microrollup.settlement.ethereum.options import EthereumOptions

from ..smart_account import ENTRY_POINT
from .configurations import compare_configurations
from .deploying import deploy_chain
from .plan import AccountsPlan, plan_bridges, plan_contracts
from .status import compare_copies, describe_status, read_statuses

__all__ = ["book_option", "chain_header_option", "deploy_command", "read_name", "status_command"]

_BOOK: Final = Path("deployments")
_KEY_BYTES: Final = 32
_ADDRESS_BYTES: Final = 20

chain_header_option = click.option(
    "--chain-header", "headers", type=read_header, multiple=True, metavar="HEADER",
    help="HTTP header for the chains' nodes.",
)  # fmt: skip
book_option = click.option(
    "--book", "directory", type=PATH, default=_BOOK, metavar="DIR", help="Of the address books [default: deployments]."
)


def read_name(text: str) -> bytes:
    """An account's address of 20 bytes, or a key of 32, in hex digits."""
    raw = hex_bytes()(text)
    if len(raw) not in (_ADDRESS_BYTES, _KEY_BYTES):
        raise click.BadParameter(f"{text!r} is neither an address of 20 bytes nor a key of 32")
    return raw


@click.command("deploy-l2", cls=Command)
@click.option("--chain", "urls", multiple=True, required=True, metavar="URL", help="A chain's node; again for more.")
@chain_header_option
@click.option("--key", "key_path", type=PATH, required=True, metavar="FILE", help="The key that pays on all chains.")
@click.option("--inbox", type=hex_bytes(20), required=True, metavar="ADDRESS", help="The keystore's inbox on L1.")
@click.option(
    "--owner", type=hex_bytes(20), metavar="ADDRESS", help="Who manages the factory's stake [default: the key's]."
)
@click.option("--entry-point", type=hex_bytes(20), default=ENTRY_POINT.hex(), metavar="ADDRESS", help="[default: 0.8]")
@click.option(
    "--stake", type=read_ether, default="0", metavar="ETHER",
    help="What the factory shall have staked on each chain, if the key is the owner's [default: 0].",
)  # fmt: skip
@click.option("--bridges", is_flag=True, help="Bring broadcaster and senders too: on L1.")
@book_option
@json_option
def deploy_command(
    urls: tuple[str, ...],
    headers: tuple[str, ...],
    key_path: Path,
    inbox: bytes,
    owner: bytes | None,
    entry_point: bytes,
    stake: int,
    bridges: bool,
    directory: Path,
    output: Output,
) -> None:
    """Bring the contracts of smart accounts to chains, check their code, and write an address book of each.

    Inbox, owner and entry point decide all addresses, those of accounts too: give the same for every chain, L1 among
    them. What is there already is checked and left; a second run sends nothing.
    """
    key = read_key(key_path)
    plan = plan_contracts(inbox, compute_address(key) if owner is None else owner, entry_point)
    more = plan_bridges(inbox) if bridges else ()
    found: list[dict[str, Any]] = []
    for url in urls:
        done = deploy_chain(EthereumOptions(url, headers), key, plan, directory, stake=stake, more=more)
        found.append({
            "chainId": done.book.chain_id,
            "book": str(directory / f"{done.book.chain_id}.json"),
            "bookChanged": done.is_new,
            "deployed": [name for name, gas in done.gas.items() if gas],
            "gas": sum(done.gas.values()),
            "stakedWei": str(done.staked),
            "roots": hex0x(plan.roots),
            "factory": hex0x(plan.factory),
            "delegate": hex0x(plan.delegate),
        })  # fmt: skip
    table = make_table("chain", "deployed", "gas", "staked, wei", "book")
    for row in found:
        names = ", ".join(row["deployed"]) or "nothing: all is there"
        table.add_row(str(row["chainId"]), names, f"{row['gas']:,}", row["stakedWei"], row["book"])
    output.show({"chains": found}, table, "", _tell(plan))


def _tell(plan: AccountsPlan) -> str:
    places = {"roots": plan.roots, "factory": plan.factory, "delegate of EOAs": plan.delegate}
    return ", ".join(f"{what} {hex0x(address)}" for what, address in places.items())


@click.command("status", cls=Command)
@click.argument("name", metavar="ACCOUNT-OR-KEY", type=read_name)
@click.option(
    "--chains", "--chain", "urls", multiple=True, required=True, metavar="URL", help="A chain's node; again for more."
)
@chain_header_option
@book_option
@click.option("--node", metavar="URL", help="The keystore's node: prove whether a key's configuration is the newest.")
@json_option
def status_command(
    name: bytes, urls: tuple[str, ...], headers: tuple[str, ...], directory: Path, node: str | None, output: Output
) -> int:
    """Say whether a chain has everything, which root it knows, and what the account goes by there.

    Exit code 1: a chain cannot be read, lacks a contract, or has other code at a contract's address.
    """
    if node is not None and len(name) != _KEY_BYTES:
        raise UsageError("--node is asked about a key of 32 bytes, not about an account's address")
    statuses = read_statuses([EthereumOptions(url, headers) for url in urls], directory, name)
    same = compare_copies(statuses) if node is None else compare_configurations(statuses, name, node)
    rows = describe_status(statuses, same)
    output.show({"chains": rows}, _render(rows))
    return 0 if all(row["complete"] for row in rows) else EXIT_FAILED


def _render(rows: list[dict[str, Any]]) -> Table:
    table = make_table("chain", "contracts", "root", "height", "age, s", "account", "copy", "left, s", "same")
    for row in rows:
        said = [f"no {name}" for name in row["missing"]] + [f"wrong code: {name}" for name in row["wrongCode"]]
        table.add_row(
            str(row["chainId"] or row["place"]),
            row["error"] or ", ".join(said) or "all",
            _shorten(row["root"]),
            _show(row["height"]),
            _show(row["age"]),
            _name_account(row),
            _shorten(row["copyRoot"]),
            _show(row["copyLeft"]),
            row["sameConfiguration"],
        )
    return table


def _name_account(row: dict[str, Any]) -> str:
    """The account, or why it is none of the keystore's there."""
    if row["delegation"] == "other":
        return "delegates to other code"
    if row["delegation"] == "keystore" and not int(row["key"] or "0x0", 16):
        return "no key set"
    return (row["account"] or "-") if row["deployed"] else "not deployed"


def _show(value: int | None) -> str:
    return "-" if value is None else str(value)


def _shorten(text: str | None) -> str:
    return "-" if text is None else text[:10]
