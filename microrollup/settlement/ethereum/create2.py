"""CREATE2 through the deterministic deployment proxy: a contract's address says what it was created from.

The proxy is at one address on practically every chain. Where it is missing, anybody brings it by its keyless
transaction: the signature is made up, so nobody has the key of the sender that it recovers to, and nothing but this
code can come of it. Source: https://github.com/Arachnid/deterministic-deployment-proxy
"""

from __future__ import annotations

import asyncio
import time
from typing import Final

from microrollup.crypto.ecdsa import SigningKey
from microrollup.settlement.ethereum.answers import parse_quantity
from microrollup.settlement.ethereum.errors import L1Refused, NoDeployer
from microrollup.settlement.ethereum.options import EthereumOptions
from microrollup.settlement.ethereum.sender import Sender, SupersededError
from microrollup.settlement.ethereum.transaction import TransactionRequest
from microrollup.settlement.ethereum.transport import L1Transport

__all__ = ["DEPLOYER", "bring_deployer"]

DEPLOYER: Final = bytes.fromhex("4e59b44847b379578588920ca78fbf26c0b4956c")
"""A call with `salt(32) || creation code` creates the contract, and reverts without a word if that fails."""

_CODE: Final = (
    "0x7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe03601600081602082378035828234f58015156039578182fd"
    "5b8082525050506014600cf3"
)
_KEYLESS_TRANSACTION: Final = (
    "0xf8a58085174876e800830186a08080b853604580600e600039806000f350fe7fffffffffffffffffffffffffffffffffffffffffffffffff"
    "ffffffffffffffe03601600081602082378035828234f58015156039578182fd5b8082525050506014600cf31ba02222222222222222222222"
    "222222222222222222222222222222222222222222a02222222222222222222222222222222222222222222222222222222222222222"
)
"""100,000 gas at 100 gwei, without a chain id (EIP-155), so that it is good everywhere."""
_KEYLESS_SENDER: Final = bytes.fromhex("3fab184622dc19b6109349b94811493bf2a45362")
_KEYLESS_WEI: Final = 100_000 * 100 * 10**9
_TRANSFER_GAS: Final = 21_000
_LOOK_SECONDS: Final = 0.5
_TRIES: Final = 3


async def bring_deployer(transport: L1Transport, sender: Sender, options: EthereumOptions, key: SigningKey) -> None:
    """Make sure that the proxy is there; `key` pays for it where it is missing. Raises `NoDeployer` and `L1Error`s."""
    if await _has_deployer(transport):
        return
    place = f"0x{_KEYLESS_SENDER.hex()}"
    for _ in range(_TRIES):
        balance = parse_quantity("eth_getBalance", await transport.ask("eth_getBalance", place, "latest"))
        if balance >= _KEYLESS_WEI:
            break
        try:
            await sender.transact(
                key, TransactionRequest(_KEYLESS_SENDER, b"", _TRANSFER_GAS, value=_KEYLESS_WEI - balance)
            )
        except SupersededError:  # something else of this key's came first
            continue
    reason = "its transaction is not included: L1's fee may be above the 100 gwei that it pays"
    try:
        await transport.ask("eth_sendRawTransaction", _KEYLESS_TRANSACTION)
    except L1Refused as refusal:  # or it was sent by somebody else a moment ago
        reason = refusal.message
    deadline = time.monotonic() + options.settle_seconds
    while not await _has_deployer(transport):
        if time.monotonic() > deadline:
            raise NoDeployer(DEPLOYER, reason)
        await asyncio.sleep(_LOOK_SECONDS)


async def _has_deployer(transport: L1Transport) -> bool:
    code = await transport.ask("eth_getCode", f"0x{DEPLOYER.hex()}", "latest")
    if code not in ("0x", _CODE):
        raise NoDeployer(DEPLOYER, "there is other code")
    return bool(code == _CODE)
