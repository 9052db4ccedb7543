"""What L2s bring along and anvil does not: OP-stack's view of L1, and Arbitrum's bridge. All else in the story is real.

Both are a few instructions of EVM code, put at the addresses where the real contracts are. L1Block answers as the real
one does, from the same storage slots, which OP-stack's sequencer writes with every L2 block; here the story does.
Arbitrum's delayed inbox shows what it was called with. Arbitrum executes a ticket on the L2 under the alias of the
account that made it; here the story does so.
"""

from __future__ import annotations

from typing import Any, Final

from eth_abi.abi import decode as abi_decode
from msgspec import Struct

from microrollup.crypto.keccak import keccak256
from microrollup.errors import DecodeError
from microrollup.testing.anvil import Anvil

from ..chains.plan import L1_BLOCK

__all__ = [
    "ARBITRUM_INBOX",
    "RetryableTicket",
    "compute_alias",
    "install_arbitrum_inbox",
    "install_l1_block",
    "read_ticket",
    "set_l1_block",
]

ARBITRUM_INBOX: Final = bytes.fromhex("4dbd4fc535ac27206064b68ffcf827b0a60bab3f")
"""Arbitrum One's delayed inbox on Ethereum."""

_ALIAS_OFFSET: Final = 0x1111000000000000000000000000000000001111
_NUMBER_SLOT: Final = 0
"""Of L1Block: the number in the lowest 64 bits, the timestamp in the next."""
_HASH_SLOT: Final = 2


def _select(signature: str) -> str:
    return keccak256(signature.encode())[:4].hex()


_RETURN: Final = "5f52 6020 5ff3"
"""PUSH0 MSTORE, PUSH 32 PUSH0 RETURN: the word on the stack."""
_UINT64: Final = "67ffffffffffffffff16"
"""PUSH8 2**64-1 AND."""

_L1_BLOCK_CODE: Final = (
    "5f35 60e0 1c"  # PUSH0 CALLDATALOAD, PUSH 224 SHR: the selector
    f"80 63{_select('hash()')} 14 602a 57"  # DUP1 PUSH4 EQ, PUSH 42 JUMPI
    f"63{_select('timestamp()')} 14 6034 57"  # PUSH4 EQ, PUSH 52 JUMPI
    f"5f54 {_UINT64} {_RETURN}"  # number(): slot 0
    f"5b 6002 54 {_RETURN}"  # 42: hash(): slot 2
    f"5b 5f54 6040 1c {_UINT64} {_RETURN}"  # 52: timestamp(): slot 0, shifted
)

_INBOX_CODE: Final = (
    "365f5f37"  # CALLDATASIZE PUSH0 PUSH0 CALLDATACOPY
    "33 36 5f a1"  # CALLER CALLDATASIZE PUSH0 LOG1: all that came, and who brought it
    f"6001 {_RETURN}"  # the ticket's number
)


class RetryableTicket(Struct, frozen=True):
    """A call that is to be made on the L2."""

    sender: bytes
    """20 bytes: who made the ticket on L1."""
    target: bytes
    data: bytes
    gas_limit: int


def install_l1_block(l2: Anvil) -> None:
    """Put L1Block on an L2."""
    _install(l2, L1_BLOCK, _L1_BLOCK_CODE)


def set_l1_block(l2: Anvil, block: dict[str, Any]) -> None:
    """The L2 sees this L1 block, as `eth_getBlockByNumber` gives it."""
    head = int(block["timestamp"], 16) << 64 | int(block["number"], 16)
    for slot, word in ((_NUMBER_SLOT, f"0x{head:064x}"), (_HASH_SLOT, block["hash"])):
        l2.call("anvil_setStorageAt", f"0x{L1_BLOCK.hex()}", f"0x{slot:064x}", word)


def install_arbitrum_inbox(l1: Anvil) -> None:
    """Put the delayed inbox on an L1."""
    _install(l1, ARBITRUM_INBOX, _INBOX_CODE)


def read_ticket(receipt: dict[str, Any]) -> RetryableTicket:
    """The ticket that an L1 transaction made, from its receipt. Raises `DecodeError` if it made none."""
    for log in receipt["logs"]:
        if log["address"] == f"0x{ARBITRUM_INBOX.hex()}":
            types = ["address", "uint256", "uint256", "address", "address", "uint256", "uint256", "bytes"]
            target, _, _, _, _, gas_limit, _, data = abi_decode(types, bytes.fromhex(log["data"][10:]))
            return RetryableTicket(bytes.fromhex(log["topics"][0][-40:]), bytes.fromhex(target[2:]), data, gas_limit)
    raise DecodeError("ticket", "the transaction made none")


def compute_alias(sender: bytes) -> bytes:
    """Under which address Arbitrum executes the tickets of a contract on L1, of 20 bytes."""
    return ((int.from_bytes(sender, "big") + _ALIAS_OFFSET) % 2**160).to_bytes(20, "big")


def _install(anvil: Anvil, address: bytes, code: str) -> None:
    anvil.call("anvil_setCode", f"0x{address.hex()}", f"0x{code.replace(' ', '')}")
