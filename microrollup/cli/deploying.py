"""`microrollup deploy`: a rollup's inbox on Ethereum, and a data directory that knows it."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Final

import click

from microrollup.chain.block import compute_rollup_id
from microrollup.cli.l1 import Reach, ethereum_options, make_ethereum_place, sending_options
from microrollup.cli.output import Command, Output, json_option, make_facts
from microrollup.cli.parameters import PATH, app_argument, data_option, hex_bytes
from microrollup.codec.json import hex0x
from microrollup.crypto.ecdsa import compute_address
from microrollup.declaration.rollup import load_rollup
from microrollup.deployment.deploying import PlannedInbox, deploy_rollup, fund_builder, plan_rollup
from microrollup.errors import MicrorollupError, UsageError
from microrollup.keys.files import read_key
from microrollup.primitives import ZERO_ADDRESS

__all__ = ["deploy_command"]

_WEI: Final = 10**18
_MAX_ETHER: Final = 1_000_000

_ONE_HAND: Final = (
    "owner and builder are one key: its holder can void what users force, within a week; see `microrollup docs "
    "threat-model`, and give --owner"
)


def read_ether(text: str) -> int:
    """Wei of an amount in ether."""
    try:
        amount = Decimal(text)
    except InvalidOperation:
        amount = Decimal(-1)
    if not amount.is_finite() or not 0 <= amount <= _MAX_ETHER:
        raise click.BadParameter(f"{text!r} is not an amount of ether from 0 to {_MAX_ETHER}")
    return int(amount * _WEI)


@click.command("deploy", cls=Command)
@app_argument
@data_option("Directory of the rollup's store; made now.")
@sending_options
@ethereum_options
@click.option("--key", type=PATH, required=True, metavar="KEYFILE", help="Pays for the deployment.")
@click.option("--owner", type=hex_bytes(20), metavar="ADDRESS", help="Who may void and change [default: the --key's].")
@click.option("--builder", type=hex_bytes(20), metavar="ADDRESS", help="Who builds [default: a key made in --data].")
@click.option("--based", is_flag=True, help="Let nobody build: the inbox's queue on L1 alone says what blocks hold.")
@click.option(
    "--verifier", "verifiers", type=hex_bytes(20), multiple=True, metavar="ADDRESS", help="Who may attest; repeatable."
)
@click.option("--quorum", type=click.IntRange(1, 256), metavar="M", help="How many must [default: more than half].")
@click.option("--fund", type=read_ether, metavar="ETHER", help="Send the builder so much for its batches.")
@click.option("--salt", type=hex_bytes(32), default="00" * 32, metavar="HEX", help="Tells twins of a rollup apart.")
@click.option("--zero-domain", is_flag=True, help="Wallets sign for the zero address: only for demonstrations.")
@click.option("--dry-run", is_flag=True, help="Say where the inbox will be, and make the keys; send nothing.")
@json_option
def deploy_command(
    app: str,
    directory: Path,
    reach: Reach,
    key: Path,
    owner: bytes | None,
    builder: bytes | None,
    based: bool,
    verifiers: tuple[bytes, ...],
    quorum: int | None,
    fund: int | None,
    salt: bytes,
    zero_domain: bool,
    dry_run: bool,
    output: Output,
) -> None:
    """Create a rollup's inbox on Ethereum.

    The data directory gets a builder's key, a verifier's unless --verifier names others, and the inbox's address: `run`
    and the other commands need no more. The builder pays for its batches, so its address needs ether: see --fund. The
    inbox's address follows from the rollup, its parties and its code (CREATE2); an inbox that is there already is used.
    With --based nobody builds, for ever: see `microrollup docs based`.
    """
    if reach.inbox is not None:
        raise UsageError("--inbox names an inbox that exists; this command makes one")
    builder = _choose_builder(builder, fund, reach, based=based)
    payer = read_key(key)
    place = make_ethereum_place(reach.put(inbox=hex0x(ZERO_ADDRESS)), directory)
    owner = compute_address(payer) if owner is None else owner
    rollup = load_rollup(app)
    planned = plan_rollup(
        rollup,
        directory,
        place,
        owner=owner,
        verifiers=verifiers,
        quorum=quorum,
        salt=salt,
        builder=builder,
        zero_domain=zero_domain,
    )
    if planned.has_one_hand:
        click.echo(f"warning: {_ONE_HAND}", err=True)
    if dry_run:
        facts = _list_facts(planned) | {"next": "the same command without --dry-run, and the same options"}
        output.show(_describe(planned), make_facts(facts))
        return
    deployed = deploy_rollup(
        rollup,
        directory,
        place,
        payer,
        owner=owner,
        verifiers=verifiers,
        quorum=quorum,
        salt=salt,
        builder=builder,
        zero_domain=zero_domain,
    )
    genesis = deployed.genesis
    if fund:
        try:
            fund_builder(deployed, payer, fund)
        except MicrorollupError as error:
            raise UsageError(
                f"the inbox {deployed.place.inbox} is created and {directory} knows it, but its builder"
                f" {hex0x(genesis.builder)} got no ether ({error}): send it some, then `microrollup run`"
            ) from None
    document = _describe(planned) | {
        "l1Number": deployed.l1_number,
        "transaction": hex0x(deployed.transaction_hash),
        "gasUsed": deployed.gas_used,
    }
    facts = _list_facts(planned) | {
        "inbox": f"{deployed.place.inbox}, in L1 block {deployed.l1_number}, {deployed.gas_used:,} gas",
        "next": f"microrollup run {app} --data {directory}",
    }
    output.show(document, make_facts(facts))


def _choose_builder(builder: bytes | None, fund: int | None, reach: Reach, *, based: bool) -> bytes | None:
    """The builder that options name: nobody, 20 zero bytes, for a based rollup; None to make a key.

    Raises `UsageError` for options that have no effect in a based one.
    """
    if not based:
        if builder == ZERO_ADDRESS:
            raise UsageError("a rollup whose builder is the zero address is a based one: say so with --based")
        return builder
    if builder not in (None, ZERO_ADDRESS):
        raise UsageError("--builder has no effect with --based: a based rollup has no builder, L1's queue is its order")
    if fund:
        raise UsageError("--fund has no effect with --based: there is no builder that would pay for batches")
    if "da" in reach.given:
        raise UsageError("--da has no effect with --based: nothing is published, everything is in the queue's events")
    return ZERO_ADDRESS


def _describe(planned: PlannedInbox) -> dict[str, object]:
    genesis = planned.genesis
    return {
        "inbox": hex0x(planned.inbox),
        "rollupId": hex0x(compute_rollup_id(genesis)),
        "stfId": hex0x(planned.stf_id),
        "owner": hex0x(planned.owner),
        "builder": hex0x(genesis.builder),
        "verifiers": [hex0x(address) for address in genesis.verifiers],
        "quorum": genesis.quorum,
    }


def _list_facts(planned: PlannedInbox) -> dict[str, object]:
    genesis = planned.genesis
    return {
        "inbox": hex0x(planned.inbox),
        "rollup id": hex0x(compute_rollup_id(genesis)),
        "stf id": hex0x(planned.stf_id),
        "owner": hex0x(planned.owner),
        "builder": "nobody: the rollup is based" if genesis.is_based else hex0x(genesis.builder),
        "quorum": f"{genesis.quorum} of {len(genesis.verifiers)} verifiers",
    }
