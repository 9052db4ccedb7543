"""Pushing roots to many accounts in one transaction, which needs no contract for it.

The transaction is a creation whose creation code makes the calls and leaves no code behind: 44 bytes and one call for
each account instead of a transaction. A call that fails does not end the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ..smart_account import encode_push_root

__all__ = ["MAX_PUSHES", "encode_pushes"]

MAX_PUSHES: Final = 100
"""In a transaction: with 150,000 gas each they stay below the 2^24 that a transaction may take (EIP-7825)."""

_CALL_GAS: Final = 150_000
"""What a call gets at most; a push takes less than 80,000. Whatever is at the address, it cannot take more."""
_LEAST_GAS: Final = _CALL_GAS * 65 // 64 + 5_000
"""What has to be left before a call, so that it can get `_CALL_GAS` (EIP-150); else all is undone. Without it a node's
estimate would be so low that the calls fail and nobody notices."""


def encode_pushes(accounts: Sequence[bytes]) -> bytes:
    """The creation code that calls `pushRoot()` of accounts, by their 20-byte addresses, at most `MAX_PUSHES`."""
    call_size = 44
    head = b"\x63" + encode_push_root() + b"\x5f\x52"  # PUSH4 selector, PUSH0 MSTORE: at 28 in memory
    fail = (len(head) + call_size * len(accounts) + 1).to_bytes(2, "big")
    calls = [
        b"\x62" + _LEAST_GAS.to_bytes(3, "big") + b"\x5a\x10"  # PUSH3, GAS LT
        + b"\x61" + fail + b"\x57"  # PUSH2 JUMPI
        + b"\x5f\x5f\x60\x04\x60\x1c\x5f"  # no result, 4 bytes at 28, no value
        + b"\x73" + account + b"\x62" + _CALL_GAS.to_bytes(3, "big") + b"\xf1\x50"  # PUSH20, PUSH3, CALL POP
        for account in accounts
    ]  # fmt: skip
    return head + b"".join(calls) + b"\x00" + b"\x5b\x5f\x5f\xfd"  # STOP; JUMPDEST PUSH0 PUSH0 REVERT
