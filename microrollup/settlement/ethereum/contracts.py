"""Contracts on L1 beside the inbox: created at an address that their code decides, called, and asked."""

from __future__ import annotations

from typing import Final

import msgspec

from microrollup.crypto.ecdsa import SigningKey, compute_address
from microrollup.crypto.keccak import compute_create2_address, keccak256
from microrollup.primitives import ZERO_BYTES32
from microrollup.settlement.ethereum.answers import L1Receipt, parse_bytes, parse_quantity
from microrollup.settlement.ethereum.create2 import DEPLOYER, bring_deployer
from microrollup.settlement.ethereum.errors import TransactionReverted
from microrollup.settlement.ethereum.options import EthereumOptions
from microrollup.settlement.ethereum.sender import Sender, SupersededError
from microrollup.settlement.ethereum.transaction import TransactionRequest
from microrollup.settlement.ethereum.transport import L1Transport
from microrollup.settlement.ethereum.visit import visit_l1

__all__ = ["CreatedContract", "ask_contract", "compute_contract_address", "create_contract", "send_call"]

_TRIES: Final = 3
_MAX_RESULT_BYTES: Final = 1 << 16


class CreatedContract(msgspec.Struct, frozen=True):
    """A contract that is there now."""

    address: bytes
    """20 bytes."""
    gas_used: int
    """0 if it was there already."""


def compute_contract_address(creation_code: bytes, salt: bytes = ZERO_BYTES32) -> bytes:
    """Where `create_contract` puts a creation code, its arguments included, under a 32-byte salt: 20 bytes."""
    return compute_create2_address(DEPLOYER, salt, keccak256(creation_code))


def create_contract(
    options: EthereumOptions, key: SigningKey, creation_code: bytes, salt: bytes = ZERO_BYTES32
) -> CreatedContract:
    """Create a contract through the deployment proxy, paid for by `key`; one that is there already serves as well.

    Brings the proxy where it is missing. Raises `TransactionReverted` where the creation reverts, and `L1Error`s.
    """
    address = compute_contract_address(creation_code, salt)

    async def create(transport: L1Transport) -> CreatedContract:
        if await _has_code(transport, address):
            return CreatedContract(address, 0)
        sender = await _make_sender(transport, options)
        await bring_deployer(transport, sender, options, key)
        receipt = await _send(transport, sender, key, TransactionRequest(DEPLOYER, salt + creation_code, 0))
        if not await _has_code(transport, address):
            raise TransactionReverted(receipt.transaction_hash)
        return CreatedContract(address, receipt.gas_used)

    return visit_l1(options, create)


def send_call(options: EthereumOptions, key: SigningKey, to: bytes, data: bytes, value: int = 0) -> L1Receipt:
    """Call a contract in a transaction of `key`'s, with so many wei; returns when it is included.

    Raises `L1Refused`, with the data of the revert, before anything is sent; `TransactionReverted` where L1 changed
    meanwhile; and other `L1Error`s.
    """

    async def send(transport: L1Transport) -> L1Receipt:
        sender = await _make_sender(transport, options)
        return await _send(transport, sender, key, TransactionRequest(to, data, 0, value=value))

    return visit_l1(options, send)


def ask_contract(options: EthereumOptions, to: bytes, data: bytes) -> bytes:
    """What a call of a 20-byte address gives now; nothing where there is no contract. Raises `L1Error`s."""

    async def ask(transport: L1Transport) -> bytes:
        form = {"to": f"0x{to.hex()}", "data": f"0x{data.hex()}"}
        return parse_bytes("eth_call", await transport.ask("eth_call", form, "latest"), _MAX_RESULT_BYTES)

    return visit_l1(options, ask)


async def _make_sender(transport: L1Transport, options: EthereumOptions) -> Sender:
    return Sender(transport, options, parse_quantity("eth_chainId", await transport.ask("eth_chainId")))


async def _has_code(transport: L1Transport, address: bytes) -> bool:
    return bool(await transport.ask("eth_getCode", f"0x{address.hex()}", "latest") != "0x")


async def _send(transport: L1Transport, sender: Sender, key: SigningKey, request: TransactionRequest) -> L1Receipt:
    """With a quarter more gas than it takes now."""
    form = {
        "from": f"0x{compute_address(key).hex()}",
        "to": f"0x{(request.to or b'').hex()}",
        "data": f"0x{request.data.hex()}",
        "value": hex(request.value),
    }
    for _ in range(_TRIES):
        gas = parse_quantity("eth_estimateGas", await transport.ask("eth_estimateGas", form))
        try:
            receipt = await sender.transact(key, msgspec.structs.replace(request, gas=gas * 5 // 4))
        except SupersededError:  # something else of this key's came first
            continue
        if not receipt.succeeded:
            raise TransactionReverted(receipt.transaction_hash)
        return receipt
    raise TransactionReverted(bytes(32))
