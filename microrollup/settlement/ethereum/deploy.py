"""Creating the inbox of a rollup on an L1, at the address that follows from what the inbox is."""

from __future__ import annotations

from typing import Final

import msgspec

from microrollup.chain.block import compute_rollup_id
from microrollup.chain.record import Genesis
from microrollup.crypto.ecdsa import SigningKey, compute_address
from microrollup.crypto.keccak import compute_create2_address, keccak256
from microrollup.primitives import Address, Bytes32
from microrollup.settlement.ethereum.answers import parse_block, parse_bytes, parse_logs, parse_quantity, parse_receipt
from microrollup.settlement.ethereum.contract import compute_topic, decode_result, encode_call, encode_creation
from microrollup.settlement.ethereum.create2 import DEPLOYER, bring_deployer
from microrollup.settlement.ethereum.errors import L1BadAnswer, L1Refused, TransactionReverted, WrongL1
from microrollup.settlement.ethereum.options import EthereumOptions
from microrollup.settlement.ethereum.preflight import call_inbox
from microrollup.settlement.ethereum.sender import Sender, SupersededError
from microrollup.settlement.ethereum.transaction import TransactionRequest
from microrollup.settlement.ethereum.transport import L1Transport
from microrollup.settlement.ethereum.visit import visit_l1

__all__ = ["Deployment", "InboxPlan", "bind_genesis", "compute_inbox_address", "deploy_inbox", "plan_inbox"]

_THIS_INBOX: Final = b"\xff" * 20
"""Stands for the inbox itself in the domain that its constructor takes."""

_TRIES: Final = 3


class InboxPlan(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Everything that an inbox is created with, and so its address on every chain."""

    genesis: Genesis
    """Its domain's `verifyingContract` is `0xff…ff` for the inbox itself, or zero."""
    owner: Address
    """Who may void and change; zero for nobody, ever."""
    stf_id: Bytes32


class Deployment(msgspec.Struct, frozen=True):
    """An inbox that was created."""

    inbox: bytes
    """Its 20-byte address."""
    genesis: Genesis
    """As the inbox holds it, with the address in the signing domain unless zero was asked for."""
    transaction_hash: bytes
    l1_number: int
    gas_used: int


def plan_inbox(genesis: Genesis, owner: bytes, stf_id: bytes, *, keep_domain: bool = False) -> InboxPlan:
    """The plan of an inbox owned by the 20-byte `owner` (zero: by nobody, ever) for the code of a 32-byte `stf_id`.

    The domain under which wallets sign gets the inbox's address as `verifyingContract`; with `keep_domain` it stays as
    the genesis has it, which the inbox takes only if it is zero: then an action signed for this rollup is good for any
    other with that domain. The rollup id does not depend on it.
    """
    return InboxPlan(genesis if keep_domain else _bind(genesis, _THIS_INBOX), owner, stf_id)


def compute_inbox_address(plan: InboxPlan) -> bytes:
    """Where the inbox is or will be, 20 bytes: CREATE2 by the deployment proxy, the rollup id as salt.

    No key puts another contract there, on any chain.
    """
    return compute_create2_address(DEPLOYER, compute_rollup_id(plan.genesis), keccak256(_encode(plan)))


def bind_genesis(plan: InboxPlan) -> Genesis:
    """The genesis as the inbox holds it, and record 0: its domain names the inbox by its address."""
    if plan.genesis.domain.verifying_contract != _THIS_INBOX:
        return plan.genesis
    return _bind(plan.genesis, compute_inbox_address(plan))


def _bind(genesis: Genesis, inbox: bytes) -> Genesis:
    return msgspec.structs.replace(genesis, domain=msgspec.structs.replace(genesis.domain, verifying_contract=inbox))


def _encode(plan: InboxPlan) -> bytes:
    return encode_creation(plan.genesis, plan.owner, plan.stf_id)


def deploy_inbox(options: EthereumOptions, key: SigningKey, plan: InboxPlan) -> Deployment:
    """Create the inbox of a plan, paid for by `key`; one that is there already serves as well, from any creator.

    Brings the deployment proxy where it is missing. Raises the `SettlementError` of the genesis's broken rule, and
    `L1Error`s.
    """
    return visit_l1(options, lambda transport: _deploy(transport, options, key, plan))


async def _deploy(transport: L1Transport, options: EthereumOptions, key: SigningKey, plan: InboxPlan) -> Deployment:
    chain_id = parse_quantity("eth_chainId", await transport.ask("eth_chainId"))
    if plan.genesis.l1_chain_id != chain_id:
        raise WrongL1(plan.genesis.l1_chain_id, chain_id)
    inbox, creation = compute_inbox_address(plan), _encode(plan)
    if (found := await _find_inbox(transport, inbox, plan)) is not None:
        return found
    head = parse_block(await transport.ask("eth_getBlockByNumber", "latest", False))
    # The proxy does not say why a creation fails, so it is tried without it.
    await call_inbox(transport, compute_address(key), None, creation, head, options.seconds_per_block)
    sender = Sender(transport, options, chain_id)
    await bring_deployer(transport, sender, options, key)
    data = compute_rollup_id(plan.genesis) + creation
    failure: Exception = TransactionReverted(bytes(32))
    for _ in range(_TRIES):
        try:
            failure = await _create(transport, sender, key, data)
        except SupersededError:  # something else of this key's came first
            pass
        except L1Refused as refusal:  # as when somebody else has created the inbox meanwhile
            failure = refusal
        if (found := await _find_inbox(transport, inbox, plan)) is not None:
            return found
    raise failure


async def _create(transport: L1Transport, sender: Sender, key: SigningKey, data: bytes) -> TransactionReverted:
    """Have the proxy create; what it is if the inbox is not there afterwards."""
    form = {"from": f"0x{compute_address(key).hex()}", "to": f"0x{DEPLOYER.hex()}", "data": f"0x{data.hex()}"}
    gas = parse_quantity("eth_estimateGas", await transport.ask("eth_estimateGas", form))
    receipt = await sender.transact(key, TransactionRequest(DEPLOYER, data, gas * 5 // 4))
    return TransactionReverted(receipt.transaction_hash)


async def _find_inbox(transport: L1Transport, inbox: bytes, plan: InboxPlan) -> Deployment | None:
    """The inbox of a plan, if it is there: at this address there is no other contract."""
    place = f"0x{inbox.hex()}"
    if await transport.ask("eth_getCode", place, "latest") == "0x":
        return None
    answer = await transport.ask("eth_call", {"to": place, "data": f"0x{encode_call('createdAt').hex()}"}, "latest")
    (number,) = decode_result("createdAt", ["uint256"], parse_bytes("createdAt", answer, 32))
    asked = {"address": place, "fromBlock": hex(number), "toBlock": hex(number)}
    logs = parse_logs(await transport.ask("eth_getLogs", asked), inbox, number, number)
    created = [log for log in logs if log.topics[0] == compute_topic("RollupCreated")]
    if len(created) != 1:
        raise L1BadAnswer("logs", f"the inbox {place} says that it was created in block {number}, its events do not")
    transaction_hash = created[0].transaction_hash
    receipt = parse_receipt(
        await transport.ask("eth_getTransactionReceipt", f"0x{transaction_hash.hex()}"), transaction_hash
    )
    if receipt is None:
        raise L1BadAnswer("receipt", f"0x{transaction_hash.hex()} is missing, its event is not")
    return Deployment(inbox, bind_genesis(plan), transaction_hash, number, receipt.gas_used)
