"""What L2s have for messages to L1, and anvil does not: the bridges' ends on both sides, as `stand_ins` has others.

On the L2 OP-stack's messenger and Arbitrum's ArbSys show what they were called with. On L1 a chain's messenger, or its
bridge and outbox, name who sent the message that they execute; here the story executes it, in their name, when seven
days of challenges would be over.
"""

from __future__ import annotations

from typing import Any, Final

from eth_abi.abi import decode as abi_decode
from msgspec import Struct

from microrollup.errors import DecodeError
from microrollup.testing.anvil import Anvil

from ..chains.plan import L2_MESSENGER
from .chain import Chain, Sent

__all__ = ["ExitMessage", "deliver", "install_exit", "install_l1_messenger", "read_exit"]

_SHOWING_CODE: Final = "0x365f5f37" + "33365fa1" + "60015f5260205ff3"
"""CALLDATASIZE PUSH0 PUSH0 CALLDATACOPY, CALLER CALLDATASIZE PUSH0 LOG1, and 1 as the answer."""
_NAMING_CODE: Final = "0x5f545f5260205ff3"
"""PUSH0 SLOAD PUSH0 MSTORE, PUSH 32 PUSH0 RETURN: slot 0, whatever is asked."""
_SEND_TYPES: Final = ["address", "bytes", "uint32"]


class ExitMessage(Struct, frozen=True):
    """A call that is to be made on L1."""

    sender: bytes
    """20 bytes: the contract on the L2."""
    target: bytes
    data: bytes


def install_exit(l2: Anvil) -> None:
    """Put OP-stack's messenger on an L2."""
    l2.call("anvil_setCode", f"0x{L2_MESSENGER.hex()}", _SHOWING_CODE)


def install_l1_messenger(l1: Anvil, messenger: bytes) -> None:
    """Put an L2's messenger on L1, at an address of 20 bytes."""
    l1.call("anvil_setCode", f"0x{messenger.hex()}", _NAMING_CODE)


def read_exit(receipt: dict[str, Any]) -> ExitMessage:
    """The message that an L2 transaction sent, from its receipt. Raises `DecodeError` if it sent none."""
    for log in receipt["logs"]:
        if log["address"] == f"0x{L2_MESSENGER.hex()}":
            target, data, _ = abi_decode(_SEND_TYPES, bytes.fromhex(log["data"][10:]))
            return ExitMessage(bytes.fromhex(log["topics"][0][-40:]), bytes.fromhex(target[2:]), data)
    raise DecodeError("message to L1", "the transaction sent none")


def deliver(l1: Chain, messenger: bytes, message: ExitMessage) -> Sent:
    """What a chain's messenger on L1 does once the message can no longer be challenged."""
    _name(l1, messenger, message.sender)
    l1.impersonate(messenger)
    try:
        return l1.send(message.target, message.data, sender=messenger)
    finally:
        _name(l1, messenger, bytes(20))


def _name(l1: Chain, messenger: bytes, sender: bytes) -> None:
    l1.anvil.call("anvil_setStorageAt", f"0x{messenger.hex()}", f"0x{0:064x}", f"0x{sender.rjust(32, bytes(1)).hex()}")
