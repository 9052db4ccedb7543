"""Which contracts the keystore has on a chain, and where: all of it follows from the inbox and the stake's owner.

Everything is created through the deterministic deployment proxy, with arguments that are the same everywhere, so each
contract has one address on all chains, and so has each account.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from ..smart_account import (
    ENTRY_POINT,
    PUBLISHED_VALIDATORS,
    compute_account_address,
    compute_deployed_address,
    encode_eoa_delegate_creation,
    encode_factory_creation,
    load_creation_code,
)
from ..smart_account.addresses import compute_implementation_address, is_account_code

__all__ = [
    "DELEGATION",
    "L1_BLOCK",
    "L2_MESSENGER",
    "AccountsPlan",
    "PlannedContract",
    "deploy_contracts",
    "plan_bridges",
    "plan_contracts",
]

DELEGATION: Final = bytes.fromhex("ef0100")
"""An EOA's code is this and its delegate's address (EIP-7702)."""
L1_BLOCK: Final = bytes.fromhex("4200000000000000000000000000000000000015")
"""OP-stack's predeploy L1Block on every such chain."""
L2_MESSENGER: Final = bytes.fromhex("4200000000000000000000000000000000000007")
"""OP-stack's predeploy L2CrossDomainMessenger."""


class PlannedContract(msgspec.Struct, frozen=True):
    """A contract, deployed or not."""

    name: str
    """Of its artifact."""
    creation_code: bytes
    """With its arguments."""
    arguments: tuple[bytes, ...] = ()
    """20-byte addresses."""

    @property
    def address(self) -> bytes:
        """Where the deployment proxy puts it: 20 bytes."""
        return compute_deployed_address(self.creation_code)


class AccountsPlan(msgspec.Struct, frozen=True):
    """What the keystore has on each chain."""

    inbox: bytes
    """20 bytes, on L1."""
    owner: bytes
    """20 bytes: who manages the factory's stake. All accounts' addresses depend on it."""
    entry_point: bytes
    contracts: tuple[PlannedContract, ...]
    """In the order in which they are created: validators, origins, roots, factory, verifier, delegate of EOAs."""

    def get_address(self, name: str) -> bytes:
        """Of the contract with this name."""
        return next(contract.address for contract in self.contracts if contract.name == name)

    @property
    def roots(self) -> bytes:
        """`KeystoreRoots`."""
        return self.get_address("KeystoreRoots")

    @property
    def factory(self) -> bytes:
        """`KeystoreAccountFactory`."""
        return self.get_address("KeystoreAccountFactory")

    @property
    def delegate(self) -> bytes:
        """`Keystore7702`, to which EOAs delegate."""
        return self.get_address("Keystore7702")

    @property
    def implementation(self) -> bytes:
        """`KeystoreAccount`, which the factory creates."""
        return compute_implementation_address(self.factory)

    def get_account(self, name: bytes) -> bytes:
        """The account of a 32-byte key; a 20-byte address is one already."""
        return compute_account_address(self.factory, name) if len(name) == 32 else name

    def is_account(self, code: bytes) -> bool:
        """Whether it is the code of an account of this plan: of its factory, or of an EOA that delegates to it."""
        return code == DELEGATION + self.delegate or is_account_code(code, self.factory)


def _plan(name: str, *arguments: bytes) -> PlannedContract:
    words = b"".join([argument.rjust(32, b"\0") for argument in arguments])
    return PlannedContract(name, load_creation_code(name) + words, arguments)


def plan_bridges(inbox: bytes) -> tuple[PlannedContract, PlannedContract, PlannedContract]:
    """What L1 has for an inbox of 20 bytes: the broadcaster, and its adapters for OP-stack and for Arbitrum."""
    broadcaster = _plan("KeystoreBroadcaster", inbox)
    return (
        broadcaster,
        _plan("OpStackSender", broadcaster.address),
        _plan("ArbitrumSender", broadcaster.address),
    )


def plan_contracts(inbox: bytes, owner: bytes, entry_point: bytes = ENTRY_POINT) -> AccountsPlan:
    """What every chain has, L1 among them: 20-byte addresses of the inbox, the stake's owner and the entry point."""
    _, op_stack_sender, arbitrum_sender = plan_bridges(inbox)
    op_stack = _plan("OpStackOrigin", L2_MESSENGER, op_stack_sender.address)
    arbitrum = _plan("ArbitrumOrigin", arbitrum_sender.address)
    either = _plan("EitherOrigin", op_stack.address, arbitrum.address)
    roots = _plan("KeystoreRoots", inbox, either.address, L1_BLOCK)
    factory = PlannedContract(
        "KeystoreAccountFactory",
        encode_factory_creation(roots.address, owner, entry_point),
        (entry_point, roots.address, owner),
    )
    verifier = _plan("KeystoreVerifier", roots.address, factory.address)
    delegate = PlannedContract(
        "Keystore7702", encode_eoa_delegate_creation(roots.address, entry_point), (entry_point, roots.address)
    )
    validators = [_plan(name) for name in PUBLISHED_VALIDATORS]
    contracts = (*validators, op_stack, arbitrum, either, roots, factory, verifier, delegate)
    return AccountsPlan(inbox, owner, entry_point, contracts)


def deploy_contracts(
    contracts: tuple[PlannedContract, ...], deploy: Callable[[bytes], tuple[bytes, int]]
) -> dict[str, int]:
    """Bring contracts in their order: the gas of each by its name, 0 where it was there already.

    `deploy` takes a creation code and gives the address and the gas; it raises what it raises.
    """
    return {contract.name: deploy(contract.creation_code)[1] for contract in contracts}
