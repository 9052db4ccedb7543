"""A Keystore+ on Ethereum: its vault, its inbox, and the word of each that it means the other."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Final

from msgspec import Struct

from microrollup.chain.block import compute_rollup_id
from microrollup.chain.record import Genesis
from microrollup.crypto.ecdsa import PrivateKey, compute_address
from microrollup.declaration.rollup import MicroRollup
from microrollup.deployment.deploying import deploy_rollup, fund_builder
from microrollup.deployment.place_file import find_place, has_place
from microrollup.errors import UsageError
from microrollup.keys.files import builder_key_path, make_key
from microrollup.ledger.genesis import make_genesis
from microrollup.primitives import ZERO_ADDRESS, ZERO_BYTES32
from microrollup.settlement.ethereum.contracts import ask_contract, create_contract, send_call
from microrollup.settlement.ethereum.options import EthereumOptions
from microrollup.settlement.inbox import CHANGE_DELAY_BLOCKS
from microrollup.settlement.place import EthereumPlace, make_options, open_l1

from ..axiom.bridge_creation import BridgeTerms, compute_bridge_address, encode_bridge_creation
from ..vault_creation import (
    compute_vault_address,
    compute_vault_salt,
    encode_bind,
    encode_escape_verifier_creation,
    encode_vault_creation,
    encode_vault_question,
)
from .config import Config, OrderSettler
from .order_bridges import check_settlers
from .rollup import make_app
from .state import Plus

__all__ = ["Custody", "DeployedPlus", "check_custody", "deploy_plus", "plan_bridge", "plan_vault"]

_SECONDS_PER_BLOCK: Final = 12


class Custody(Struct, frozen=True):
    """Who holds a vault's money: everybody who could take it, by settling a root of his choice."""

    vault: bytes
    """20 bytes."""
    inbox: bytes
    """20 bytes."""
    rollup_id: bytes
    quorum: int
    verifiers: int
    owner: bytes
    """20 bytes; zero for nobody."""
    verdicts: bytes = ZERO_ADDRESS
    """20 bytes: the contract on L1 that hears how orders ended; zero where there are no orders."""
    settlers: tuple[OrderSettler, ...] = ()
    """Whom it hears, by their chains' bridges."""

    @property
    def takers(self) -> list[tuple[str, str]]:
        """Who could take it, and after how long, in words."""
        found = [(f"{self.quorum} of the {self.verifiers} verifiers together", "at once")]
        if self.owner != ZERO_ADDRESS:
            days = CHANGE_DELAY_BLOCKS * _SECONDS_PER_BLOCK // 86_400
            found.append((f"the inbox's owner 0x{self.owner.hex()}", f"{CHANGE_DELAY_BLOCKS:,} L1 blocks, {days} days"))
        found += [
            (f"the bridge of chain {settler.chain_id}, what its open orders hold", "at once")
            for settler in self.settlers
        ]
        return [*found, ("anybody else", "never")]


class DeployedPlus(Struct, frozen=True):
    """A Keystore+ that settles on Ethereum from now on."""

    app: MicroRollup
    place: EthereumPlace
    genesis: Genesis
    custody: Custody
    gas_used: int
    """Of all transactions; without what was there already."""


def plan_vault(directory: Path, maker: bytes, salt: bytes = ZERO_BYTES32, verdicts: bytes = ZERO_ADDRESS) -> bytes:
    """The 20-byte address of the vault that `deploy_plus` creates; makes the builder's key, and sends nothing."""
    builder = compute_address(make_key(builder_key_path(directory)))
    return compute_vault_address(maker, builder, salt, verdicts)


def plan_bridge(directory: Path, vault: bytes, terms: BridgeTerms) -> bytes:
    """The 20-byte address of Axiom's bridge that `deploy_plus` creates for a vault; sends nothing either."""
    return compute_bridge_address(vault, compute_address(make_key(builder_key_path(directory))), terms)


def deploy_plus(
    config: Config,
    directory: Path,
    place: EthereumPlace,
    payer: PrivateKey,
    *,
    owner: bytes = ZERO_ADDRESS,
    verifiers: tuple[bytes, ...] = (),
    quorum: int | None = None,
    salt: bytes = ZERO_BYTES32,
    fund: int = 0,
    bridge: BridgeTerms | None = None,
    verdicts: bytes = ZERO_ADDRESS,
) -> DeployedPlus:
    """Create the vault, then the inbox with the vault's address in its genesis, then bind the vault to the inbox.

    Axiom's bridge is made too if `bridge` has its terms. `config.vault` is what `plan_vault` gave for this directory,
    payer, salt and `verdicts`, and `config.bridge` then what `plan_bridge` gave. `verdicts` is the `OrderVerdicts` of
    `config.settlers`, which is on L1 already; zero where there are none. `owner` and `verifiers` have 20 bytes each;
    `fund` is wei for the builder. What an earlier call has done stays: a call that was cut off goes on. Raises
    `UsageError`, and what `deploy_rollup` raises.
    """
    maker, options = compute_address(payer), make_options(place)
    if config.vault != plan_vault(directory, maker, salt, verdicts):
        raise UsageError("the configuration names another vault than the one that this key makes for this directory")
    app = make_app(config)
    builder = compute_address(make_key(builder_key_path(directory)))
    gas = create_contract(options, payer, encode_escape_verifier_creation()).gas_used
    creation_code = encode_vault_creation(maker, verdicts)
    gas += create_contract(options, payer, creation_code, compute_vault_salt(builder, salt)).gas_used
    if bridge is not None:
        if config.bridge != plan_bridge(directory, config.vault, bridge):
            raise UsageError("the configuration names another bridge than these terms make for this vault")
        gas += create_contract(options, payer, encode_bridge_creation(config.vault, builder, bridge)).gas_used
    if not has_place(directory):
        deployed = deploy_rollup(
            app, directory, place, payer, owner=owner, verifiers=verifiers, quorum=quorum, salt=salt
        )  # fmt: skip
        gas += deployed.gas_used
        if fund:
            fund_builder(deployed, payer, fund)
    bound = find_place(directory, None)
    if not isinstance(bound, EthereumPlace):
        raise UsageError(f"{directory} settles on no Ethereum")
    with closing(open_l1(bound)) as l1:
        genesis, present = l1.get_genesis(), l1.get_owner(l1.get_number())
    if not any(ask_contract(options, config.vault, encode_vault_question("rollupId"))):
        if owner != present:
            raise UsageError(
                f"the inbox {bound.inbox} is there with owner 0x{present.hex()}, not 0x{owner.hex()}: give the same"
                " options as before"
            )
        gas += send_call(options, payer, config.vault, encode_bind(genesis, owner, app.oldest.stf_id)).gas_used
    return DeployedPlus(app, bound, genesis, check_custody(app, bound), gas)


def check_custody(app: MicroRollup, place: EthereumPlace) -> Custody:
    """Whether an app and the contracts on L1 mean each other: the inbox's genesis is this app's with this vault in it,
    the vault has the code that it should, and believes this inbox.

    Raises `UsageError` with what does not fit: then nothing should be paid in.
    """
    state = app.genesis
    if not isinstance(state, Plus) or state.config.vault == ZERO_ADDRESS:
        raise UsageError("this app has no vault in its configuration: money has no way in")
    vault, options = state.config.vault, make_options(place)
    inbox = bytes.fromhex(place.inbox[2:])
    with closing(open_l1(place)) as l1:
        genesis, number = l1.get_genesis(), l1.get_number()
        owner, verifiers = l1.get_owner(number), l1.get_verifiers(number)
    expected = make_genesis(
        app, builder=genesis.builder, verifiers=genesis.verifiers, quorum=genesis.quorum, l1_start=genesis.l1_start,
        genesis_time=genesis.genesis_time, l1_chain_id=genesis.l1_chain_id, verifying_contract=inbox, salt=genesis.salt,
    )  # fmt: skip
    if genesis != expected:
        differing = [name for name in genesis.__struct_fields__ if getattr(genesis, name) != getattr(expected, name)]
        raise UsageError(
            f"the inbox 0x{inbox.hex()} was made for another configuration: its genesis differs in"
            f" {', '.join(differing)}; take the module that was written when it was deployed"
        )
    maker = _ask_word(options, vault, "maker")[12:]
    verdicts = _ask_word(options, vault, "verdicts")[12:]
    if vault != compute_vault_address(maker, genesis.builder, genesis.salt, verdicts):
        raise UsageError(
            f"what is at 0x{vault.hex()} is not the vault that this rollup's deployment makes: pay nothing in"
        )
    check_settlers(options, verdicts, state.config.settlers)
    rollup_id = compute_rollup_id(genesis)
    if (_ask_word(options, vault, "inbox")[12:], _ask_word(options, vault, "rollupId")) != (inbox, rollup_id):
        raise UsageError(
            f"the vault 0x{vault.hex()} is not bound to the inbox 0x{inbox.hex()}: deploy once more, it goes on"
        )
    return Custody(
        vault, inbox, rollup_id, verifiers.quorum, len(verifiers.members), owner, verdicts, state.config.settlers
    )


def _ask_word(options: EthereumOptions, vault: bytes, name: str) -> bytes:
    answer = ask_contract(options, vault, encode_vault_question(name))
    if len(answer) != 32:
        raise UsageError(f"there is no vault at 0x{vault.hex()}")
    return answer
