"""The command line of Keystore+: deploy one with its vault, look who holds the money, and pay in for development."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final

import click

from microrollup.cli.deploying import read_ether
from microrollup.cli.l1 import Reach, choose_place, ethereum_options, make_ethereum_place
from microrollup.cli.output import Command, Group, Output, json_option, make_facts
from microrollup.cli.parameters import PATH, data_option, hex_bytes
from microrollup.cli.run import run_command
from microrollup.codec.json import hex0x
from microrollup.crypto.ecdsa import compute_address
from microrollup.declaration.rollup import load_rollup
from microrollup.deployment.place_file import find_place
from microrollup.errors import UsageError
from microrollup.keys.files import read_key
from microrollup.primitives import ZERO_ADDRESS
from microrollup.settlement.place import EthereumPlace, make_options

from ..axiom.bridge_creation import BridgeTerms
from .config import Config, PriceCap
from .deploying import Custody, check_custody, deploy_plus, plan_bridge, plan_vault
from .funding import deposit_locally
from .mail_command import mail_command
from .module_file import is_module_name, keep_module
from .order_bridges import ChainKind, OrderBridge, check_bridges, create_verdicts, plan_verdicts
from .settler_command import settler_command

__all__ = ["main", "plus_group"]

_NAME: Final = f"python -m {__package__}"
_MAX_WEI: Final = 1 << 256
_MAX_DIGITS: Final = 78
_FEES: Final = ("DEPOSIT", "WITHDRAW", "UPDATE")
_MAX_CHAIN_ID: Final = (1 << 64) - 1


def is_digits(text: str) -> bool:
    """Whether a text is a number in ASCII digits, of at most 78: 256 bits have no more."""
    return text.isascii() and text.isdecimal() and len(text) <= _MAX_DIGITS


def read_cap(text: str) -> PriceCap:
    """`AMOUNT` for ether or `TOKEN=AMOUNT`, in the token's smallest unit."""
    token, separator, amount = text.rpartition("=")
    if not is_digits(amount) or not 0 < int(amount) < _MAX_WEI:
        raise click.BadParameter(f"{text!r} is not AMOUNT or TOKEN=AMOUNT, with an amount of smallest units above 0")
    return PriceCap(hex_bytes(20)(token) if separator else ZERO_ADDRESS, int(amount))


def read_fees(text: str) -> tuple[int, int, int]:
    """Three amounts of ether, in wei."""
    parts = text.split(",")
    if len(parts) != len(_FEES):
        raise click.BadParameter(f"{text!r} is not {','.join(_FEES)}, each in ether")
    deposit, withdraw, update = [read_ether(part) for part in parts]
    return deposit, withdraw, update


def read_module_name(text: str) -> str:
    """The name of a module that is written into the working directory."""
    if not is_module_name(text):
        raise click.BadParameter(f"{text!r} is not a module's name: take lower-case letters, digits and underscores")
    return text


def read_bridge(text: str) -> tuple[int, bytes]:
    """`CHAIN=ADDRESS`: a chain's id, and the address of a contract of its on L1."""
    number, separator, address = text.partition("=")
    if not separator or not is_digits(number) or not 0 < int(number) <= _MAX_CHAIN_ID:
        raise click.BadParameter(f"{text!r} is not CHAIN=ADDRESS, with a chain's id in digits")
    return int(number), hex_bytes(20)(address)


def list_bridges(by_kind: dict[ChainKind, tuple[tuple[int, bytes], ...]]) -> tuple[OrderBridge, ...]:
    """The chains that orders may go to, by their ids. Raises `UsageError` for one that is named twice."""
    found = [OrderBridge(number, kind, bridge) for kind, named in by_kind.items() for number, bridge in named]
    found.sort(key=lambda each: each.chain_id)
    for one, other in pairwise(found):
        if one.chain_id == other.chain_id:
            raise UsageError(f"chain {one.chain_id} is named twice: orders know one settler of a chain")
    return tuple(found)


@click.group("plus", cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
def plus_group() -> None:
    """Keystore+: a rollup of accounts with balances, and the vault on L1 that holds the money."""


@click.command("deploy", cls=Command)
@click.argument("name", type=read_module_name)
@data_option("Directory of the rollup's store; made now.")
@ethereum_options
@click.option(
    "--key", type=PATH, required=True, metavar="KEYFILE", help="Pays for the deployment, and binds the vault."
)
@click.option(
    "--owner",
    type=hex_bytes(20),
    default="00" * 20,
    metavar="ADDRESS",
    help="Who may void and change [default: nobody].",
)
@click.option(
    "--verifier", "verifiers", type=hex_bytes(20), multiple=True, metavar="ADDRESS", help="Who may attest; repeatable."
)
@click.option("--quorum", type=click.IntRange(1, 256), metavar="M", help="How many must [default: more than half].")
@click.option("--fund", type=read_ether, metavar="ETHER", help="Send the builder so much for its batches.")
@click.option("--salt", type=hex_bytes(32), default="00" * 32, metavar="HEX", help="Tells twins of a rollup apart.")
@click.option("--collector", type=hex_bytes(32), default="00" * 32, metavar="KEY", help="Account that fees go to.")
@click.option(
    "--price-cap",
    "caps",
    type=read_cap,
    multiple=True,
    metavar="[TOKEN=]AMOUNT",
    help="Let an action cost so much at most, for ever, in ether's or a token's smallest unit; repeatable.",
)
@click.option("--parent-node", type=hex_bytes(32), default="00" * 32, metavar="NODE", help="ENS node of the names.")
@click.option("--bridge", type=hex_bytes(20), metavar="ADDRESS", help="A bridge of Axiom's interface that is there.")
@click.option(
    "--axiom-fees",
    "fees",
    type=read_fees,
    metavar=",".join(_FEES),
    help="Create Axiom's bridge, which takes so much ether for each transaction from L1.",
)
@click.option(
    "--axiom-fees-to", "recipient", type=hex_bytes(20), metavar="ADDRESS", help="For whom [default: who pays]."
)
@click.option(
    "--op-stack",
    "op_stack",
    type=read_bridge,
    multiple=True,
    metavar="CHAIN=ADDRESS",
    help="Take orders to this OP-stack chain: its id, and its L1CrossDomainMessenger on L1; repeatable.",
)
@click.option(
    "--arbitrum",
    type=read_bridge,
    multiple=True,
    metavar="CHAIN=ADDRESS",
    help="Take orders to this Arbitrum chain: its id, and its Bridge on L1; repeatable.",
)
@json_option
def deploy_command(
    name: str,
    directory: Path,
    reach: Reach,
    key: Path,
    owner: bytes,
    verifiers: tuple[bytes, ...],
    quorum: int | None,
    fund: int | None,
    salt: bytes,
    collector: bytes,
    caps: tuple[PriceCap, ...],
    parent_node: bytes,
    bridge: bytes | None,
    fees: tuple[int, int, int] | None,
    recipient: bytes | None,
    op_stack: tuple[tuple[int, bytes], ...],
    arbitrum: tuple[tuple[int, bytes], ...],
    output: Output,
) -> None:
    """Create a Keystore+ on Ethereum with its vault.

    Writes NAME.py, by which all commands know the rollup (`microrollup run NAME --data DIR`), creates the vault, then
    the inbox, and binds the vault to it. Batches are published in calldata, because an escape needs the state and blobs
    expire; nobody owns the inbox, so that nobody can change who settles. The same command goes on after it was cut off.

    With --op-stack or --arbitrum it makes what L1 hears of orders first; the chains can never be changed. `settler`
    brings the contract that such a chain needs.
    """
    if reach.inbox is not None:
        raise UsageError("--inbox names an inbox that exists; this command makes one")
    if fees is not None and bridge is not None:
        raise UsageError("--bridge names a bridge that exists; --axiom-fees makes one")
    payer = read_key(key)
    place = make_ethereum_place(reach.put(inbox=hex0x(ZERO_ADDRESS), da=reach.given.get("da", "calldata")), directory)
    bridges = list_bridges({"OP-stack": op_stack, "Arbitrum": arbitrum})
    check_bridges(make_options(place), bridges)
    verdicts = plan_verdicts(bridges)
    vault = plan_vault(directory, compute_address(payer), salt, verdicts)
    terms = None if fees is None else BridgeTerms(recipient or compute_address(payer), *fees)
    if terms is not None:
        bridge = plan_bridge(directory, vault, terms)
    settlers = tuple([each.settler for each in bridges])
    config = Config(vault, bridge or ZERO_ADDRESS, settlers, parent_node, collector, caps)
    keep_module(Path(f"{name}.py"), config)
    gas = create_verdicts(make_options(place), payer, bridges)
    deployed = deploy_plus(
        config, directory, place, payer,
        owner=owner, verifiers=verifiers, quorum=quorum, salt=salt, fund=fund or 0, bridge=terms,
        verdicts=verdicts,
    )  # fmt: skip
    made = {} if terms is None else {"bridge": hex0x(config.bridge)}
    document = (
        _describe(deployed.custody)
        | made
        | {
            "module": f"{name}.py",
            "builder": hex0x(deployed.genesis.builder),
            "gasUsed": gas + deployed.gas_used,
        }
    )
    told = {"gas": f"{gas + deployed.gas_used:,}", "next": f"microrollup run {name} --data {directory}"}
    output.show(document, make_facts(_list_facts(deployed.custody) | made | told))


@click.command("vault", cls=Command)
@click.argument("app")
@click.option("--data", "directory", type=PATH, metavar="DIR", help="Data directory that names the inbox.")
@ethereum_options
@json_option
def vault_command(app: str, directory: Path | None, reach: Reach, output: Output) -> None:
    """Check that a Keystore+ and its vault mean each other, and say who could take the money.

    Compares the inbox's genesis with the app's, its configuration included, the vault's address with its code, and the
    inbox that the vault is bound to. Do it before you pay in.
    """
    if (directory is None) == (reach.inbox is None):
        raise UsageError("give --data DIR, or --l1-url URL and --inbox ADDRESS")
    place = (
        make_ethereum_place(reach)
        if directory is None
        else choose_place(None, reach, directory) or find_place(directory, None)
    )
    if not isinstance(place, EthereumPlace):
        raise UsageError(f"{directory} settles on no Ethereum: it has no vault")
    custody = check_custody(load_rollup(app), place)
    output.show(_describe(custody), make_facts(_list_facts(custody)))


def read_wei(text: str) -> int:
    """An amount of wei in decimal digits."""
    if not text.isdecimal() or not 0 < int(text) < _MAX_WEI:
        raise click.BadParameter(f"{text!r} is not an amount of wei above 0")
    return int(text)


@click.command("fund", cls=Command)
@click.argument("key", type=hex_bytes(32))
@click.argument("wei", type=read_wei)
@data_option("The rollup's data directory.")
@click.option("--app", default=__package__, show_default=True, metavar="APP", help="The Keystore+ that it holds.")
@json_option
def fund_command(key: bytes, wei: int, directory: Path, app: str, output: Output) -> None:
    """Pay WEI to the account KEY on the local settlement, for development.

    KEY is the account's key, its keystore address for Axiom's clients, registered or not. The deposit goes into the
    inbox's queue in the vault's name, as the vault's own do on Ethereum, and is credited once the rollup has reached
    the L1 block that includes it: up to 12 seconds later, while a node runs.
    """
    made = deposit_locally(load_rollup(app), directory, key, wei)
    document = {"index": made.index, "id": made.id, "transactionHash": hex0x(made.transaction_hash)}
    facts = {
        "deposit": f"{wei:,} wei for {hex0x(key)}, entry {made.index} of the queue",
        "transaction hash": document["transactionHash"],
    }
    output.show(document, make_facts(dict(facts)))


plus_group.add_command(deploy_command)
plus_group.add_command(fund_command)
plus_group.add_command(mail_command)
plus_group.add_command(settler_command)
plus_group.add_command(vault_command)


def _describe(custody: Custody) -> dict[str, object]:
    return {
        "vault": hex0x(custody.vault),
        "inbox": hex0x(custody.inbox),
        "rollupId": hex0x(custody.rollup_id),
        "owner": hex0x(custody.owner),
        "verdicts": hex0x(custody.verdicts) if custody.settlers else None,
        "settlers": [{"chainId": each.chain_id, "address": hex0x(each.address)} for each in custody.settlers],
        "takers": [{"who": who, "after": after} for who, after in custody.takers],
    }


def _list_facts(custody: Custody) -> dict[str, object]:
    takers = {f"could take the money: {who}": after for who, after in custody.takers}
    settlers = {f"settler on chain {each.chain_id}": hex0x(each.address) for each in custody.settlers}
    heard = {"verdicts": hex0x(custody.verdicts)} if custody.settlers else {}
    return {
        "vault": f"{hex0x(custody.vault)}, bound to the inbox",
        "inbox": hex0x(custody.inbox),
        "rollup id": hex0x(custody.rollup_id),
        **heard,
        **settlers,
        **takers,
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line (the process's own by default); the exit code. Raises nothing."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    return run_command(plus_group, _NAME, given or ["--help"])
