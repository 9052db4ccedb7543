"""What code a contract has on a chain, and what it has to be.

Runtime code holds what the constructor was given and, in accounts, the chain's id, so that no table can say it. The
chain's own node computes it: a call in which the place is empty and the creation code runs there once more.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from microrollup.crypto.keccak import keccak256
from microrollup.settlement.ethereum.answers import parse_bytes
from microrollup.settlement.ethereum.create2 import DEPLOYER
from microrollup.settlement.ethereum.transport import L1Transport, MethodCall

from .plan import AccountsPlan, PlannedContract

__all__ = ["IMPLEMENTATION", "list_places", "read_code_hashes", "simulate_code_hashes"]

IMPLEMENTATION: Final = "KeystoreAccount"
"""The accounts' implementation, which the factory creates."""

_MAX_CODE_BYTES: Final = 64 * 1024
_GAS: Final = 16_000_000
_WORD: Final = 32

_CREATE_AND_HASH: Final = (
    "0x6020360380602 05f37"  # CALLDATASIZE - 32 bytes of the calldata from 32 on are the creation code, to memory 0
    "5f905f5ff5"  # CREATE2 with salt 0
    "3f5f52"  # the hash of its code
    "5f353f602052"  # and that of the code at the address in the calldata's first word
    "60405ff3"
).replace(" ", "")
"""Stands in for the deployment proxy during the call, so that the contract comes to its own address."""


def list_places(plan: AccountsPlan) -> dict[str, bytes]:
    """Name -> 20-byte address of everything that is there, the implementation too."""
    return {contract.name: contract.address for contract in plan.contracts} | {IMPLEMENTATION: plan.implementation}


async def read_code_hashes(transport: L1Transport, addresses: Sequence[bytes]) -> list[bytes]:
    """keccak256 of the code at 20-byte addresses; empty where there is none. Raises `L1Error`s."""
    requests: list[MethodCall] = [("eth_getCode", [f"0x{address.hex()}", "latest"]) for address in addresses]
    answers = await transport.ask_many(requests)
    codes = [parse_bytes("eth_getCode", answer, _MAX_CODE_BYTES) for answer in answers]
    return [keccak256(code) if code else b"" for code in codes]


async def simulate_code_hashes(transport: L1Transport, plan: AccountsPlan) -> dict[str, bytes]:
    """Name -> keccak256 of the code that each contract has where it is deployed as planned.

    Nothing is sent. Raises `L1Refused` where the node takes no state overrides in `eth_call`, and other `L1Error`s.
    """
    found: dict[str, bytes] = {}
    for contract in plan.contracts:
        hashes = await _simulate(transport, contract, plan.implementation)
        found[contract.name] = hashes[:_WORD]
        if contract.address == plan.factory:
            found[IMPLEMENTATION] = hashes[_WORD:]
    return found


async def _simulate(transport: L1Transport, contract: PlannedContract, implementation: bytes) -> bytes:
    empty = {"code": "0x", "nonce": "0x0", "state": {}}
    overrides = {
        f"0x{DEPLOYER.hex()}": {"code": _CREATE_AND_HASH},
        f"0x{contract.address.hex()}": empty,
        f"0x{implementation.hex()}": empty,
    }
    data = implementation.rjust(_WORD, b"\0") + contract.creation_code
    call = {"to": f"0x{DEPLOYER.hex()}", "data": f"0x{data.hex()}", "gas": hex(_GAS)}
    answer = parse_bytes("eth_call", await transport.ask("eth_call", call, "latest", overrides), 2 * _WORD)
    return answer.ljust(2 * _WORD, b"\0")
