"""`python -m apps.keystore.ucmt relay`, `relay-status` and `deploy`."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

import click
from msgspec.structs import replace
from rich.table import Table

from microrollup.cli.output import Command, Output, json_option, make_table
from microrollup.cli.parameters import PATH, data_option, hex_bytes
from microrollup.cli.run import EXIT_FAILED
from microrollup.codec.json import hex0x
from microrollup.errors import UsageError
from microrollup.keys.files import read_key

from ...chains.serving_options import make_chain_options, max_fee_option, serve_until_signal, serving_options
from .deploying import deploy_contracts, plan_contracts
from .service import Relayer, RelayOptions
from .store import RelayStore
from .table import describe_relay
from .worker import ChainLimits

__all__ = ["deploy_command", "relay_command", "relay_status_command"]

_ADDRESS_BYTES: Final = 20


@click.command("relay", cls=Command)
@serving_options(poll=2.0, looks="the log and at each chain")
@click.option(
    "--from", "source", required=True, metavar="PLACE", help="The rollup: a node's URL, a data directory, a block file."
)
@data_option("Directory of what the relayer knows.")
@click.option(
    "--batch", type=click.IntRange(1, 100), default=20, metavar="N", help="Updates in a transaction [default: 20]."
)
@click.option(
    "--account", "accounts", multiple=True, type=hex_bytes(_ADDRESS_BYTES), metavar="ADDRESS",
    help="Serve only this account; again for more [default: all].",
)  # fmt: skip
@click.option("--retry", is_flag=True, help="Try again what was refused.")
@json_option
def relay_command(
    source: str,
    urls: tuple[str, ...],
    key_path: Path,
    directory: Path,
    budget: int,
    max_fee: float,
    batch: int,
    accounts: tuple[bytes, ...],
    poll: float,
    bump: float,
    once: bool,
    retry: bool,
    output: Output,
) -> int:
    """Bring the updates of the rollup's log to keystore contracts on other chains, until a signal ends it.

    Each update is simulated, then sent; each account's in their order. At the end a table says how far every chain is.
    Exit code 1: something was refused, has diverged, or is left.
    """
    key = read_key(key_path)
    template = make_chain_options(max_fee, bump)
    options = RelayOptions(
        source,
        tuple([replace(template, url=url) for url in urls]),
        ChainLimits(budget, batch, frozenset(accounts)),
        poll_seconds=poll,
        once=once,
        retry=retry,
    )
    with RelayStore(directory) as store:
        asyncio.run(serve_until_signal(Relayer(store, options, key)))
        document = describe_relay(store)
    output.show(document, *_render(document))
    return 0 if all(chain["done"] == chain["updates"] for chain in document["chains"]) else EXIT_FAILED


@click.command("relay-status", cls=Command)
@data_option("Directory of a relayer, which may be running.")
@json_option
def relay_status_command(directory: Path, output: Output) -> None:
    """Say what became of each update on each chain."""
    with RelayStore(directory, read_only=True) as store:
        document = describe_relay(store)
    output.show(document, *_render(document))


@click.command("deploy", cls=Command)
@max_fee_option
@click.option("--chain", "urls", multiple=True, metavar="URL", help="A chain's node; again for more.")
@click.option("--key", "key_path", type=PATH, metavar="FILE", help="The key that pays.")
@json_option
def deploy_command(urls: tuple[str, ...], key_path: Path | None, max_fee: float, output: Output) -> None:
    """Bring the keystore, its verifiers and the account factory to chains; without chains, say where they are.

    The deterministic deployment proxy makes them, so their addresses are the same everywhere, and anybody may do it.
    """
    if (key_path is None) != (not urls):
        raise UsageError("give --key with --chain, or neither")
    plans, chains = plan_contracts(), []
    if key_path is not None:
        key = read_key(key_path)
        for url in urls:
            options = replace(make_chain_options(max_fee), url=url)
            chain_id, outcomes = asyncio.run(deploy_contracts(options, key))
            chains.append({"chainId": chain_id, **outcomes})
    table = make_table("contract", "address", *[str(chain["chainId"]) for chain in chains])
    for plan in plans:
        table.add_row(plan.name, hex0x(plan.address), *[str(chain[plan.name]) for chain in chains])
    output.show({"contracts": {plan.name: hex0x(plan.address) for plan in plans}, "chains": chains}, table)


def _render(document: dict[str, list[dict[str, object]]]) -> list[Table | str]:
    chains = make_table("chain", "node", "done", "sent", "pending", "refused", "diverged", "reorgs", "wei", "error")
    members = ("chainId", "place", "done", "sent", "pending", "refused", "diverged", "reorgs", "spentWei", "error")
    for chain in document["chains"]:
        chains.add_row(*[str(chain[name]) for name in members])
    rows = make_table("chain", "account", "nonce key", "status", "done", "of", "reason")
    for row in document["rows"]:
        rows.add_row(*[str(row[name]) for name in ("chainId", "account", "nonceKey", "status", "done", "of", "reason")])
    return [chains, "", rows]
