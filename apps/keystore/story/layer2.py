"""An L2 of the story: the keystore's contracts and the entry point on it, its mirror of the roots, and its accounts."""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from microrollup.crypto.keccak import keccak256
from microrollup.errors import UsageError
from microrollup.testing.anvil import Anvil, AnvilRefused

from ..chains.deploying import encode_add_stake
from ..chains.plan import deploy_contracts, plan_contracts
from ..root_calls import (
    LatestRoot,
    decode_latest,
    encode_latest,
    encode_prove_root,
    encode_record_block_hash,
)
from ..smart_account import (
    DEPLOYER,
    ENTRY_POINT,
    Call,
    Opening,
    UserOperation,
    compute_account_address,
    compute_user_operation_hash,
    decode_failed_operation,
    encode_execute,
    encode_get_nonce,
    encode_handle_ops,
    encode_init_code,
    encode_push_root,
    recommend_verification_gas_limit,
)
from .bridges import Bridges, prove_inbox
from .bundling import Bundler
from .chain import Chain, Sent
from .entry_point import encode_entry_point_deployment
from .holder import Device, Identity
from .stand_ins import RetryableTicket, compute_alias, set_l1_block

__all__ = ["Layer2"]

_STAKE: Final = 10**18
_CALL_GAS: Final = 100_000
_PRE_VERIFICATION_GAS: Final = 60_000
_FEE: Final = 4 * 10**9
_TIP: Final = 10**9
_RECIPIENT: Final = keccak256(b"whom the accounts of the story pay")[12:]


def _select(signature: str) -> bytes:
    return keccak256(signature.encode())[:4]


class Layer2(Chain):
    """An L2 on which everything is deployed, each at the same address as on any other."""

    def __init__(self, name: str, anvil: Anvil, bridges: Bridges, entry_point: bytes) -> None:
        super().__init__(name, anvil)
        self.gas = 0
        """What it took to deploy everything."""
        self.bundler_node: Bundler | None = None
        """A real one, if there is one: then operations go through it, and its sponsor pays."""
        if not self.has_code(ENTRY_POINT):
            self.gas += self.send(DEPLOYER, encode_entry_point_deployment(entry_point)).gas
        plan = plan_contracts(bridges.inbox, self.funder)
        self.gas += sum(deploy_contracts(plan.contracts, self.deploy).values())
        self.roots, self.factory = plan.roots, plan.factory
        self.gas += self.send(self.factory, encode_add_stake(), value=_STAKE).gas

    # The mirror of the roots.

    def mirror_by_proof(self, l1: Chain, inbox: bytes) -> tuple[Sent, Sent]:
        """The inbox's storage in the newest L1 block that this L2 knows: that block's hash is kept, then it is proven.

        Nobody is asked for it, and no bridge carries it.
        """
        block = l1.anvil.call("eth_getBlockByNumber", "latest", False)
        self.reach_time(int(block["timestamp"], 16))
        set_l1_block(self.anvil, block)
        recorded = self.send(self.roots, encode_record_block_hash())
        proof = prove_inbox(l1, inbox, block["number"])
        return recorded, self.send(self.roots, encode_prove_root(proof))

    def execute_ticket(self, ticket: RetryableTicket, l1_time: int) -> Sent:
        """What Arbitrum does with a ticket of an L1 transaction: a call under the alias of its sender."""
        self.reach_time(l1_time)
        alias = compute_alias(ticket.sender)
        self.impersonate(alias)
        return self.send(ticket.target, ticket.data, sender=alias)

    def read_root(self) -> bytes:
        """The newest state root that this L2 knows."""
        return self._ask_latest().root

    def read_age(self) -> int:
        """Seconds since L1 took the newest root that this L2 knows.

        What the keystore acknowledged later may be a rotation that no account on this L2 can know of.
        """
        return self._ask_latest().compute_age(self.get_time())

    def _ask_latest(self) -> LatestRoot:
        return decode_latest(self.ask(self.roots, encode_latest()))

    # Accounts.

    def account_of(self, identity: Identity) -> bytes:
        """The address of an account, made or not."""
        return compute_account_address(self.factory, identity.key)

    def push_root(self, account: bytes) -> Sent:
        """Somebody, here the bundler, renews an account's copy of the root."""
        return self.send(account, encode_push_root(), sender=self.bundler)

    def read_account_root(self, account: bytes) -> bytes:
        """The account's copy of the root."""
        root: bytes = self.ask(account, _select("getRoots()"))[:32]
        return root

    def make_operation(self, identity: Identity, device: Device, opening: Opening, depth: int) -> UserOperation:
        """An operation that pays one wei and makes the account if it is not there, signed; with limits by formula."""
        return self.sign(self._make(identity, device, opening, depth), device, opening)

    def make_sponsored(self, identity: Identity, device: Device, opening: Opening, depth: int) -> UserOperation:
        """The same with the bundler's limits, paid for by its sponsor. There must be a bundler."""
        if self.bundler_node is None:
            raise UsageError("there is no bundler")
        operation = self.bundler_node.prepare(self._make(identity, device, opening, depth), device, opening)
        return self.sign(operation, device, opening)

    def _make(self, identity: Identity, device: Device, opening: Opening, depth: int) -> UserOperation:
        account = self.account_of(identity)
        creates = not self.has_code(account)
        limit = recommend_verification_gas_limit(
            opening.mode, depth, len(device.configuration.config), validator_gas=device.validator_gas, creates=creates
        )
        return UserOperation(
            account,
            int.from_bytes(self.ask(ENTRY_POINT, encode_get_nonce(account)), "big"),
            encode_execute(Call(_RECIPIENT, 1)),
            encode_init_code(self.factory, identity.key, opening.root) if creates else b"",
            verification_gas_limit=limit,
            call_gas_limit=_CALL_GAS,
            pre_verification_gas=_PRE_VERIFICATION_GAS,
            max_priority_fee_per_gas=_TIP,
            max_fee_per_gas=_FEE,
        )

    def sign(self, operation: UserOperation, device: Device, opening: Opening) -> UserOperation:
        """The operation, signed by a device, with what shows that it may."""
        digest = compute_user_operation_hash(operation, ENTRY_POINT, self.chain_id)
        return replace(operation, signature=Identity.sign(device, opening, digest))

    def refuse(self, operation: UserOperation) -> str:
        """Why the entry point refuses an operation, as a bundler would see it; empty if it takes it."""
        try:
            self.ask(ENTRY_POINT, encode_handle_ops([operation], self.bundler))
        except AnvilRefused as refused:
            return decode_failed_operation(refused.data).reason
        return ""

    def handle(self, operation: UserOperation) -> Sent:
        """Have the operation done by the bundler. Raises `MicrorollupError` if it is not taken."""
        if self.bundler_node is not None:
            return self.bundler_node.handle(operation)
        return self.send(ENTRY_POINT, encode_handle_ops([operation], self.bundler), sender=self.bundler)

    def get_received(self) -> int:
        """Wei that the accounts have paid: one each operation that was done."""
        return self.get_balance(_RECIPIENT)
