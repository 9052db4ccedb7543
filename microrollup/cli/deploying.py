"""`microrollup deploy`: a rollup's inbox on Ethereum, and a data directory that knows it."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Final, Literal

import click
import msgspec

from microrollup.block import compute_rollup_id
from microrollup.cli.directory import builder_key_path, make_key, read_key, verifier_key_path
from microrollup.cli.l1 import ethereum_options, keep_place, make_ethereum_place, place_path
from microrollup.cli.output import Command, Output, json_option, make_facts
from microrollup.cli.parameters import PATH, app_argument, data_option, hex_bytes
from microrollup.codec.json import hex0x
from microrollup.crypto import PrivateKey, compute_address
from microrollup.errors import MicrorollupError, UsageError
from microrollup.genesis import make_genesis
from microrollup.ledger import Ledger
from microrollup.primitives import ZERO_ADDRESS, ZERO_BYTES32
from microrollup.record import Genesis
from microrollup.rollup import MicroRollup, load_rollup
from microrollup.settlement.place import EthereumPlace, make_options
from microrollup.store.environment import DATA_FILE

__all__ = ["Deployed", "deploy_command", "deploy_rollup"]

_WEI: Final = 10**18
_MAX_ETHER: Final = 1_000_000


class Deployed(msgspec.Struct, frozen=True):
    """A rollup that settles on Ethereum from now on."""

    place: EthereumPlace
    genesis: Genesis
    transaction_hash: bytes
    l1_number: int
    gas_used: int


def read_ether(text: str) -> int:
    """Wei of an amount in ether."""
    try:
        amount = Decimal(text)
    except InvalidOperation:
        amount = Decimal(-1)
    if not amount.is_finite() or not 0 <= amount <= _MAX_ETHER:
        raise click.BadParameter(f"{text!r} is no amount of ether from 0 to {_MAX_ETHER}")
    return int(amount * _WEI)


@click.command("deploy", cls=Command)
@app_argument
@data_option("Directory of the rollup's store; made now.")
@ethereum_options()
@click.option("--key", type=PATH, required=True, metavar="KEYFILE", help="Pays for the deployment.")
@click.option("--owner", type=hex_bytes(20), metavar="ADDRESS", help="Who may void and change [default: the --key's].")
@click.option("--verifier", "verifiers", type=hex_bytes(20), multiple=True, metavar="ADDRESS", help="Who may attest.")
@click.option("--quorum", type=click.IntRange(1, 256), metavar="M", help="How many must [default: more than half].")
@click.option("--fund", type=read_ether, metavar="ETHER", help="Send the builder so much for its batches.")
@click.option("--salt", type=hex_bytes(32), default="00" * 32, metavar="HEX", help="Tells twins of a rollup apart.")
@click.option("--zero-domain", is_flag=True, help="Wallets sign for the zero address: only for demonstrations.")
@json_option
def deploy_command(
    app: str,
    directory: Path,
    url: str | None,
    inbox: bytes | None,
    da: Literal["blobs", "calldata"],
    depth: int,
    blobs: tuple[str, ...],
    key: Path,
    owner: bytes | None,
    verifiers: tuple[bytes, ...],
    quorum: int | None,
    fund: int | None,
    salt: bytes,
    zero_domain: bool,
    output: Output,
) -> None:
    """Create a rollup's inbox on Ethereum.

    The data directory gets a builder's key, a verifier's unless --verifier names others, and the inbox's address: `run`
    and the other commands need no more. The builder pays for its batches, so its address needs ether: see --fund.
    """
    if inbox is not None:
        raise UsageError("--inbox names an inbox that exists; this command makes one")
    payer = read_key(key)
    place = make_ethereum_place(url, ZERO_ADDRESS, da, depth, blobs)
    deployed = deploy_rollup(
        load_rollup(app),
        directory,
        place,
        payer,
        owner=owner,
        verifiers=verifiers,
        quorum=quorum,
        salt=salt,
        zero_domain=zero_domain,
    )
    genesis = deployed.genesis
    if fund:
        from microrollup.settlement.ethereum.funds import send_ether  # noqa: PLC0415  # web3 takes 0.7 s to import

        try:
            send_ether(make_options(place), payer, genesis.builder, fund)
        except MicrorollupError as error:
            raise UsageError(
                f"the inbox {deployed.place.inbox} is created and {directory} knows it, but its builder"
                f" {hex0x(genesis.builder)} got no ether ({error}): send it some, then `microrollup run`"
            ) from None
    document = {
        "inbox": deployed.place.inbox,
        "rollupId": hex0x(compute_rollup_id(genesis)),
        "builder": hex0x(genesis.builder),
        "verifiers": [hex0x(address) for address in genesis.verifiers],
        "quorum": genesis.quorum,
        "l1Number": deployed.l1_number,
        "transaction": hex0x(deployed.transaction_hash),
        "gasUsed": deployed.gas_used,
    }
    facts: dict[str, object] = {
        "inbox": f"{deployed.place.inbox}, in L1 block {deployed.l1_number}, {deployed.gas_used:,} gas",
        "rollup id": document["rollupId"],
        "builder": document["builder"],
        "quorum": f"{genesis.quorum} of {len(genesis.verifiers)} verifiers",
        "next": f"microrollup run {app} --data {directory}",
    }
    output.show(document, make_facts(facts))


def deploy_rollup(
    rollup: MicroRollup,
    directory: Path,
    place: EthereumPlace,
    payer: PrivateKey,
    *,
    owner: bytes | None = None,
    verifiers: tuple[bytes, ...] = (),
    quorum: int | None = None,
    salt: bytes = ZERO_BYTES32,
    zero_domain: bool = False,
) -> Deployed:
    """Make the keys, the inbox and the empty store; `place` says how the L1 is reached, its inbox is not looked at.

    Raises `UsageError` if the directory holds a rollup already, and what the settlement's backend raises.
    """
    if (directory / DATA_FILE).exists():
        raise UsageError(f"{directory} holds a rollup already; give --data another directory")
    if place_path(directory).exists():  # an earlier call was cut off before it made the store, which `run` makes then
        raise UsageError(f"{place_path(directory)} names an inbox already: `microrollup run` goes on with it")
    try:
        from microrollup.settlement.ethereum.deploy import deploy_inbox  # noqa: PLC0415  # web3 takes 0.7 s to import
        from microrollup.settlement.ethereum.funds import read_head  # noqa: PLC0415
    except ImportError as error:
        raise UsageError(f"{error}: settling on Ethereum needs `pip install 'microrollup[ethereum]'`") from None
    options = make_options(place)
    head = read_head(options)
    addresses = verifiers or (compute_address(make_key(verifier_key_path(directory))),)
    genesis = make_genesis(
        rollup,
        builder=compute_address(make_key(builder_key_path(directory))),
        verifiers=addresses,
        quorum=quorum or len(set(addresses)) // 2 + 1,
        l1_start=head.number,
        genesis_time=head.time,
        l1_chain_id=head.chain_id,
        salt=salt,
    )
    deployment = deploy_inbox(
        options, payer, genesis, compute_address(payer) if owner is None else owner, keep_domain=zero_domain
    )
    bound = msgspec.structs.replace(place, inbox=hex0x(deployment.inbox))
    keep_place(directory, bound)
    Ledger.create(directory, rollup, deployment.genesis).close()
    return Deployed(
        bound, deployment.genesis, deployment.transaction_hash, deployment.l1_number, deployment.gas_used
    )
