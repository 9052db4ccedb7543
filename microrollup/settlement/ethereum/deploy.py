"""Creating the inbox of a rollup on an L1."""

from __future__ import annotations

import msgspec

from microrollup.crypto import PrivateKey, compute_address
from microrollup.record import Genesis
from microrollup.settlement.ethereum.answers import L1Receipt, parse_block, parse_quantity
from microrollup.settlement.ethereum.contract import encode_creation
from microrollup.settlement.ethereum.errors import TransactionReverted, WrongL1
from microrollup.settlement.ethereum.loop import LoopThread
from microrollup.settlement.ethereum.options import EthereumOptions
from microrollup.settlement.ethereum.preflight import call_inbox
from microrollup.settlement.ethereum.sender import Sender, SupersededError
from microrollup.settlement.ethereum.transaction import Call, compute_contract_address
from microrollup.settlement.ethereum.transport import Transport

__all__ = ["Deployment", "deploy_inbox"]

_TRIES = 3


class Deployment(msgspec.Struct, frozen=True):
    """An inbox that was created."""

    inbox: bytes
    """Its 20-byte address."""
    genesis: Genesis
    """As the inbox holds it, with the address in the signing domain unless zero was asked for."""
    transaction_hash: bytes
    l1_number: int
    gas_used: int


def deploy_inbox(
    options: EthereumOptions, key: PrivateKey, genesis: Genesis, owner: bytes, *, keep_domain: bool = False
) -> Deployment:
    """Create the inbox, paid for by `key`, owned by the 20-byte `owner` (zero: by nobody, ever).

    The domain under which wallets sign gets the inbox's address as `verifyingContract`; with `keep_domain` it stays as
    the genesis has it, which the inbox takes only if it is zero: then an action signed for this rollup is good for any
    other with that domain. The rollup id does not depend on it. Raises the `SettlementError` of the genesis's broken
    rule, and `L1Error`s.
    """
    loop = LoopThread("deploy")
    try:
        return loop.run(_deploy(options, key, genesis, owner, keep_domain))
    finally:
        loop.close()


async def _deploy(
    options: EthereumOptions, key: PrivateKey, genesis: Genesis, owner: bytes, keep_domain: bool
) -> Deployment:
    transport = Transport(options)
    try:
        chain_id = parse_quantity("eth_chainId", await transport.ask("eth_chainId"))
        if genesis.l1_chain_id != chain_id:
            raise WrongL1(genesis.l1_chain_id, chain_id)
        sender = Sender(transport, options, chain_id)
        deployer = compute_address(key)
        for _ in range(_TRIES):
            inbox = compute_contract_address(deployer, await sender.count_included(deployer))
            bound = genesis if keep_domain else _bind(genesis, inbox)
            data = encode_creation(bound, owner)
            head = parse_block(await transport.ask("eth_getBlockByNumber", "latest", False))
            await call_inbox(transport, deployer, None, data, head, options.seconds_per_block)
            form = {"from": f"0x{deployer.hex()}", "data": f"0x{data.hex()}"}
            gas = parse_quantity("eth_estimateGas", await transport.ask("eth_estimateGas", form))
            try:
                receipt = await sender.transact(key, Call(None, data, gas * 5 // 4))
            except SupersededError:  # the nonce, and with it the address, is another one
                continue
            return _read(receipt, inbox, bound)
        raise TransactionReverted(bytes(32))
    finally:
        await transport.close()


def _bind(genesis: Genesis, inbox: bytes) -> Genesis:
    return msgspec.structs.replace(genesis, domain=msgspec.structs.replace(genesis.domain, verifying_contract=inbox))


def _read(receipt: L1Receipt, inbox: bytes, genesis: Genesis) -> Deployment:
    if not receipt.succeeded or receipt.contract != inbox:
        raise TransactionReverted(receipt.transaction_hash)
    return Deployment(inbox, genesis, receipt.transaction_hash, receipt.number, receipt.gas_used)
