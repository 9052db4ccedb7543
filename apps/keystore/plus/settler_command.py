"""`python -m apps.keystore.plus settler`: the contract that orders need on another chain."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import click

from microrollup.cli.output import Command, Output, json_option, make_table
from microrollup.cli.parameters import PATH
from microrollup.codec.json import hex0x
from microrollup.errors import UsageError
from microrollup.keys.files import read_key
from microrollup.settlement.ethereum.answers import parse_quantity
from microrollup.settlement.ethereum.contracts import create_contract
from microrollup.settlement.ethereum.http import name_place
from microrollup.settlement.ethereum.options import EthereumOptions
from microrollup.settlement.ethereum.transport import L1Transport
from microrollup.settlement.ethereum.visit import visit_l1

from ..chains.command import chain_header_option
from ..chains.hashes import read_code_hashes
from ..chains.plan import L2_MESSENGER
from .order_bridges import ChainKind, encode_chain_settler

__all__ = ["settler_command"]

_ARB_SYS: Final = (100).to_bytes(20, "big")
"""Arbitrum's precompile, by which a chain's contracts send messages to L1."""


async def _look(transport: L1Transport) -> tuple[int, ChainKind | None]:
    """A chain's id, and of which kind it is, by the contracts that it was born with."""
    chain_id = parse_quantity("eth_chainId", await transport.ask("eth_chainId"))
    op_stack, arbitrum = await read_code_hashes(transport, [L2_MESSENGER, _ARB_SYS])
    if op_stack:
        return chain_id, "OP-stack"
    return chain_id, "Arbitrum" if arbitrum else None


@click.command("settler", cls=Command)
@click.option("--chain", "urls", multiple=True, required=True, metavar="URL", help="A chain's node; again for more.")
@chain_header_option
@click.option("--key", type=PATH, required=True, metavar="KEYFILE", help="Pays on all chains.")
@json_option
def settler_command(urls: tuple[str, ...], headers: tuple[str, ...], key: Path, output: Output) -> None:
    """Bring the settler of orders to OP-stack and Arbitrum chains.

    It belongs to nobody, serves any number of keystores, and has one address on all OP-stack chains and one on all
    Arbitrum chains. Anybody may bring it, before or after `deploy` names the chain; what is there already is left.
    """
    payer = read_key(key)
    chains: dict[int, tuple[EthereumOptions, ChainKind]] = {}
    for url in urls:  # before anything is paid for
        options = EthereumOptions(url, headers)
        chain_id, kind = visit_l1(options, _look)
        if chain_id in chains:
            raise UsageError(f"chain {chain_id} is named twice, by {name_place(url)} the second time")
        if kind is None:
            raise UsageError(
                f"chain {chain_id} has neither OP-stack's messenger at {hex0x(L2_MESSENGER)} nor Arbitrum's ArbSys at"
                f" {hex0x(_ARB_SYS)}: orders need one of them"
            )
        chains[chain_id] = options, kind
    found: list[dict[str, Any]] = []
    for chain_id, (options, kind) in chains.items():
        created = create_contract(options, payer, encode_chain_settler(kind))
        settler = {"settler": hex0x(created.address), "gasUsed": created.gas_used}
        found.append({"chainId": chain_id, "kind": kind} | settler)
    table = make_table("chain", "kind", "settler", "gas")
    for row in found:
        gas = f"{row['gasUsed']:,}" if row["gasUsed"] else "0: it is there"
        table.add_row(str(row["chainId"]), row["kind"], row["settler"], gas)
    output.show({"chains": found}, table)
