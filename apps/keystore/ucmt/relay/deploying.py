"""Bringing the keystore, its verifiers and the account factory to a chain, at the same addresses on each."""

from __future__ import annotations

from typing import Final

import msgspec

from microrollup.contracts import load_artifact
from microrollup.crypto.ecdsa import PrivateKey, compute_address
from microrollup.crypto.keccak import compute_create2_address, keccak256
from microrollup.settlement.ethereum.answers import parse_quantity
from microrollup.settlement.ethereum.create2 import DEPLOYER, bring_deployer
from microrollup.settlement.ethereum.errors import TransactionReverted
from microrollup.settlement.ethereum.failover import open_transport
from microrollup.settlement.ethereum.options import EthereumOptions
from microrollup.settlement.ethereum.sender import Sender, SupersededError
from microrollup.settlement.ethereum.transaction import TransactionRequest
from microrollup.settlement.ethereum.transport import L1Transport

__all__ = ["ENTRY_POINT", "ContractPlan", "deploy_contracts", "plan_contracts"]

ENTRY_POINT: Final = bytes.fromhex("4337084d9e255ff0702461cf8895ce9e3b5ff108")
"""Of ERC-4337, version 0.8: the accounts' one."""

_PACKAGE: Final = "apps.keystore.contracts.ucmt"
_SALT: Final = bytes(32)
_VERIFIERS: Final = (
    "UcmtEcdsaVerifier", "UcmtMultisigVerifier", "UcmtWebAuthnVerifier", "UcmtWebAuthnCosignVerifier"
)  # fmt: skip
_FACTORY: Final = "UcmtAccountFactory"


class ContractPlan(msgspec.Struct, frozen=True):
    """A contract and where it is to be."""

    name: str
    address: bytes
    code: bytes
    """What creates it, constructor arguments included."""


def plan_contracts() -> list[ContractPlan]:
    """The keystore, the four verifiers, the factory: by the deterministic deployment proxy, with the salt zero."""
    keystore = _plan("UserConfigKeystore")
    word = keystore.address.rjust(32, b"\0")
    verifiers = [_plan(name, word) for name in _VERIFIERS]
    return [keystore, *verifiers, _plan(_FACTORY, ENTRY_POINT.rjust(32, b"\0") + word)]


def _plan(name: str, arguments: bytes = b"") -> ContractPlan:
    code = bytes.fromhex(load_artifact(name, _PACKAGE).bytecode[2:]) + arguments
    return ContractPlan(name, compute_create2_address(DEPLOYER, _SALT, keccak256(code)), code)


async def deploy_contracts(options: EthereumOptions, key: PrivateKey) -> tuple[int, dict[str, str]]:
    """(chain id, what became of each contract: "deployed", "there", or "needs the entry point").

    Anybody may do it, and again. Raises `L1Error`s.
    """
    transport = open_transport(options)
    try:
        chain_id = parse_quantity("eth_chainId", await transport.ask("eth_chainId"))
        sender = Sender(transport, options, chain_id)
        await bring_deployer(transport, sender, options, key)
        outcomes: dict[str, str] = {}
        for plan in plan_contracts():
            if await _has_code(transport, plan.address):
                outcomes[plan.name] = "there"
            elif plan.name == _FACTORY and not await _has_code(transport, ENTRY_POINT):
                outcomes[plan.name] = "needs the entry point"
            else:
                await _create(transport, sender, key, plan)
                outcomes[plan.name] = "deployed"
        return chain_id, outcomes
    finally:
        await transport.close()


async def _has_code(transport: L1Transport, address: bytes) -> bool:
    return bool(await transport.ask("eth_getCode", f"0x{address.hex()}", "latest") != "0x")


async def _create(transport: L1Transport, sender: Sender, key: PrivateKey, plan: ContractPlan) -> None:
    data = _SALT + plan.code
    call = {"from": f"0x{compute_address(key).hex()}", "to": f"0x{DEPLOYER.hex()}", "data": f"0x{data.hex()}"}
    gas = parse_quantity("eth_estimateGas", await transport.ask("eth_estimateGas", call, "latest"))
    while True:
        try:
            receipt = await sender.transact(key, TransactionRequest(DEPLOYER, data, gas + gas // 8))
        except SupersededError:  # something else of this key's came first
            if await _has_code(transport, plan.address):
                return
            continue
        if not receipt.succeeded and not await _has_code(transport, plan.address):
            raise TransactionReverted(receipt.transaction_hash)
        return
