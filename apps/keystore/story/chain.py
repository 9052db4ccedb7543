"""A chain of the story: an anvil, and an account on it that deploys and pays."""

from __future__ import annotations

import time
from typing import Any, Final

import msgspec

from microrollup.codec.json import hex0x
from microrollup.errors import MicrorollupError
from microrollup.testing.anvil import Anvil

from ..smart_account import (
    DEPLOYER,
    compute_deployed_address,
    encode_deployment,
)

__all__ = ["Chain", "Sent"]

_GAS: Final = 16_000_000
"""A transaction takes at most 2**24 (EIP-7825)."""
_ETHER: Final = 10**18
_MINED_SECONDS: Final = 30


class Sent(msgspec.Struct, frozen=True):
    """A transaction that was included, and succeeded."""

    gas: int
    bytes: int
    """Of calldata."""
    receipt: dict[str, Any]


class Chain:
    """An anvil with a name. Its first account deploys and pays, its second is a bundler."""

    def __init__(self, name: str, anvil: Anvil) -> None:
        self.name = name
        self.anvil = anvil
        accounts = [bytes.fromhex(account[2:]) for account in anvil.call("eth_accounts")]
        self.funder: Final = accounts[0]
        self.bundler: Final = accounts[1]
        self.chain_id = int(anvil.call("eth_chainId"), 16)

    def send(self, target: bytes, data: bytes, *, value: int = 0, sender: bytes | None = None) -> Sent:
        """A transaction of an account that anvil signs for. Raises `MicrorollupError` unless it succeeds."""
        transaction = {
            "from": hex0x(sender or self.funder),
            "to": hex0x(target),
            "data": hex0x(data),
            "value": hex(value),
            "gas": hex(_GAS),
        }
        digest = self.anvil.call("eth_sendTransaction", transaction)
        deadline = time.monotonic() + _MINED_SECONDS
        while (receipt := self.anvil.call("eth_getTransactionReceipt", digest)) is None:
            if time.monotonic() > deadline:
                raise MicrorollupError(f"{self.name} does not include the transaction {digest}")
            time.sleep(0.01)
        if receipt["status"] != "0x1":
            raise MicrorollupError(f"{self.name}: the transaction {digest} reverted")
        return Sent(int(receipt["gasUsed"], 16), len(data), receipt)

    def deploy(self, creation_code: bytes) -> tuple[bytes, int]:
        """Deploy through the deterministic deployment proxy: the address, the same on every chain, and the gas."""
        address = compute_deployed_address(creation_code)
        if self.has_code(address):
            return address, 0
        return address, self.send(DEPLOYER, encode_deployment(creation_code)).gas

    def has_code(self, address: bytes) -> bool:
        """Whether something is deployed there."""
        return bool(self.anvil.call("eth_getCode", hex0x(address), "latest") != "0x")

    def ask(self, target: bytes, data: bytes) -> bytes:
        """What a call gives. Raises `AnvilRefused` if it reverts."""
        answer: str = self.anvil.call(
            "eth_call", {"to": hex0x(target), "data": hex0x(data), "gas": hex(_GAS)}, "latest"
        )
        return bytes.fromhex(answer[2:])

    def give_ether(self, address: bytes) -> None:
        """One ether, from the funder."""
        self.send(address, b"", value=_ETHER)

    def get_balance(self, address: bytes) -> int:
        """Wei."""
        return int(self.anvil.call("eth_getBalance", hex0x(address), "latest"), 16)

    def get_time(self) -> int:
        """Seconds, of the newest block."""
        return self.anvil.get_head()[1]

    def reach_time(self, seconds: int) -> None:
        """Let time pass until there is a block of that time."""
        if self.get_time() < seconds:
            self.anvil.call("evm_setNextBlockTimestamp", hex(seconds))
            self.anvil.mine()

    def impersonate(self, address: bytes) -> None:
        """Let anvil sign for an address; it has ether then."""
        self.anvil.call("anvil_impersonateAccount", hex0x(address))
        self.anvil.call("anvil_setBalance", hex0x(address), hex(_ETHER))
