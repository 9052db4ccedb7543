"""A rollup's inbox on Ethereum, and a data directory that knows it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from microrollup.based.block import refuse_exceptions
from microrollup.chain.record import Genesis
from microrollup.codec.json import hex0x
from microrollup.crypto.ecdsa import SigningKey, compute_address
from microrollup.declaration.rollup import MicroRollup
from microrollup.deployment.place_file import has_place, keep_place
from microrollup.deployment.plan_file import forget_plan, keep_plan, plan_path, read_plan
from microrollup.errors import UsageError
from microrollup.keys.files import builder_key_path, make_key, verifier_key_path
from microrollup.ledger.genesis import make_genesis
from microrollup.ledger.ledger import Ledger
from microrollup.primitives import ZERO_ADDRESS, ZERO_BYTES32
from microrollup.settlement.place import EthereumPlace, make_options
from microrollup.store.environment import DATA_FILE

if TYPE_CHECKING:  # web3 takes 0.7 s to import
    from microrollup.settlement.ethereum.deploy import InboxPlan

__all__ = ["Deployed", "PlannedInbox", "deploy_rollup", "fund_builder", "plan_rollup"]


class PlannedInbox(msgspec.Struct, frozen=True):
    """An inbox before it is created."""

    inbox: bytes
    """The 20-byte address that it will have: it follows from everything else."""
    genesis: Genesis
    owner: bytes
    """20 bytes; zero for nobody."""
    stf_id: bytes

    @property
    def has_one_hand(self) -> bool:
        """Whether owner and builder are one: then an operator can void what users force, however slowly."""
        return self.owner == self.genesis.builder and not self.genesis.is_based


class Deployed(msgspec.Struct, frozen=True):
    """A rollup that settles on Ethereum from now on."""

    place: EthereumPlace
    planned: PlannedInbox
    transaction_hash: bytes
    l1_number: int
    gas_used: int

    @property
    def genesis(self) -> Genesis:
        """Record 0 of the rollup."""
        return self.planned.genesis


def plan_rollup(
    rollup: MicroRollup,
    directory: Path,
    place: EthereumPlace,
    *,
    owner: bytes,
    verifiers: tuple[bytes, ...] = (),
    quorum: int | None = None,
    salt: bytes = ZERO_BYTES32,
    builder: bytes | None = None,
    zero_domain: bool = False,
) -> PlannedInbox:
    """Make the keys, and write down with what the inbox will be created; nothing is sent to L1.

    `owner` has 20 bytes. A `builder` of 20 zero bytes makes the rollup based: nobody builds, and no key is made. A plan
    that is there already stays: a deployment that was cut off gets the same inbox and not a second one. With other
    arguments or other code it is replaced, unless its inbox is there. Raises `UsageError`, and what the settlement's
    backend raises.
    """
    return _describe(_plan(rollup, directory, place, owner, verifiers, quorum, salt, builder, zero_domain=zero_domain))


def _plan(
    rollup: MicroRollup,
    directory: Path,
    place: EthereumPlace,
    owner: bytes,
    verifiers: tuple[bytes, ...],
    quorum: int | None,
    salt: bytes,
    builder: bytes | None,
    *,
    zero_domain: bool,
) -> InboxPlan:
    if (directory / DATA_FILE).exists():
        raise UsageError(f"{directory} holds a rollup already; give --data another directory")
    if has_place(directory):  # an earlier call was cut off before it made the store, which `run` makes then
        raise UsageError(f"{directory} names an inbox already: `microrollup run` goes on with it")
    if builder == ZERO_ADDRESS:
        refuse_exceptions(rollup)
    try:
        from microrollup.settlement.ethereum.deploy import compute_inbox_address, plan_inbox  # noqa: PLC0415  # an extra
        from microrollup.settlement.ethereum.funds import has_code, read_origin  # noqa: PLC0415  # an extra
    except ImportError as error:
        raise UsageError(f"{error}: settling on Ethereum needs `pip install 'microrollup[ethereum]'`") from None
    options = make_options(place)
    origin = read_origin(options)  # else the first blocks would wait for L1 to go on
    kept = read_plan(directory)
    start, time = origin.number, origin.time
    if kept is not None and kept.genesis.l1_start <= origin.number:  # else it is of a chain that is no more
        start, time = kept.genesis.l1_start, kept.genesis.genesis_time
    addresses = verifiers or (compute_address(make_key(verifier_key_path(directory))),)
    genesis = make_genesis(
        rollup,
        builder=builder or compute_address(make_key(builder_key_path(directory))),
        verifiers=addresses,
        quorum=quorum or len(set(addresses)) // 2 + 1,
        l1_start=start,
        genesis_time=time,
        l1_chain_id=origin.chain_id,
        salt=salt,
    )
    plan = plan_inbox(genesis, owner, rollup.oldest.stf_id, keep_domain=zero_domain)
    if kept is not None and plan != kept and has_code(options, compute_inbox_address(kept)):
        raise UsageError(
            f"{plan_path(directory)} is the plan of an inbox that is created already, with other options or for other"
            " code: give the same ones, or remove the plan to create another inbox"
        )
    keep_plan(directory, plan)
    return plan


def _describe(plan: InboxPlan) -> PlannedInbox:
    from microrollup.settlement.ethereum.deploy import bind_genesis, compute_inbox_address  # noqa: PLC0415

    return PlannedInbox(compute_inbox_address(plan), bind_genesis(plan), plan.owner, plan.stf_id)


def deploy_rollup(
    rollup: MicroRollup,
    directory: Path,
    place: EthereumPlace,
    payer: SigningKey,
    *,
    owner: bytes | None = None,
    verifiers: tuple[bytes, ...] = (),
    quorum: int | None = None,
    salt: bytes = ZERO_BYTES32,
    builder: bytes | None = None,
    zero_domain: bool = False,
) -> Deployed:
    """Make the keys, the inbox and the empty store; `place` says how the L1 is reached, its inbox is not looked at.

    `owner` has 20 bytes, by default the payer's address; so has `builder`, by default that of a key made here. Raises
    `UsageError` if the directory holds a rollup already, and what `plan_rollup` and the settlement's backend raise.
    """
    owner = compute_address(payer) if owner is None else owner
    plan = _plan(rollup, directory, place, owner, verifiers, quorum, salt, builder, zero_domain=zero_domain)
    from microrollup.settlement.ethereum.deploy import deploy_inbox  # noqa: PLC0415  # an extra

    deployment = deploy_inbox(make_options(place), payer, plan)
    bound = msgspec.structs.replace(place, inbox=hex0x(deployment.inbox))
    keep_place(directory, bound)
    Ledger.create(directory, rollup, deployment.genesis).close()
    forget_plan(directory)
    return Deployed(bound, _describe(plan), deployment.transaction_hash, deployment.l1_number, deployment.gas_used)


def fund_builder(deployed: Deployed, payer: SigningKey, wei: int) -> None:
    """Send the builder ether for its batches. Raises what the settlement's backend raises."""
    from microrollup.settlement.ethereum.funds import send_ether  # noqa: PLC0415  # an extra

    send_ether(make_options(deployed.place), payer, deployed.genesis.builder, wei)
