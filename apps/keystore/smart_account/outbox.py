"""Signatures by the outbox: operations that the keystore names, keys that it lends; the bytes of `OutboxOpening.sol`.

    3 intent     03 | slot 2 | validAfter 8 | validUntil 8 | account value 64 | P(account) | P(intent)
    4 delegate   04 | codeHash 32 | config length 2 | config | signature length 2 | signature | all 1 | validUntil 8
                    | account value 64 | P(account) | P(delegate) | if all = 1: kind 1 | P(chain entry)

P(x) is a packed proof after its length of 2 bytes. All proofs of one signature lead to one root.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from microrollup.crypto.merkle.indexed import compute_tree_key
from microrollup.errors import UsageError

from .configuration import Configuration

__all__ = [
    "MODE_DELEGATE",
    "MODE_INTENT",
    "ChainEntry",
    "compute_delegate_tree_key",
    "compute_intent_tree_key",
    "encode_delegate_signature",
    "encode_intent_signature",
]

MODE_INTENT: Final = 3
MODE_DELEGATE: Final = 4

_INTENTS: Final = 6
_DELEGATES: Final = 7
_LENGTH_BYTES: Final = 2
_MAX_PART_BYTES: Final = 0xFFFF


class ChainEntry(Struct, frozen=True):
    """That a key has no delegate for one chain, so that the one for every chain counts there."""

    is_deleted: bool
    """Whether there was one: then the proof is an inclusion of the empty value, else an exclusion."""
    proof: bytes
    """Packed."""


def compute_intent_tree_key(key: bytes, slot: int) -> bytes:
    """Where the intent in a slot (0 to 1,023) of a 32-byte key is in the tree."""
    return compute_tree_key(_INTENTS, key + slot.to_bytes(32, "big"))


def compute_delegate_tree_key(key: bytes, chain_id: int) -> bytes:
    """Where a key's delegate for a chain is; 0 is every chain."""
    return compute_tree_key(_DELEGATES, key + chain_id.to_bytes(32, "big"))


def encode_intent_signature(
    slot: int, valid_after: int, valid_until: int, account_value: bytes, account_proof: bytes, intent_proof: bytes
) -> bytes:
    """What stands for the signature of an operation that the keystore names. Times are the intent's own, in seconds.

    `account_value` is the account's 64-byte leaf value (`encode_account_leaf`). Raises `UsageError` for parts too long.
    """
    head = bytes((MODE_INTENT,)) + slot.to_bytes(2, "big")
    times = valid_after.to_bytes(8, "big") + valid_until.to_bytes(8, "big")
    return head + times + account_value + _encode_part(account_proof) + _encode_part(intent_proof)


def encode_delegate_signature(
    delegate: Configuration,
    signature: bytes,
    valid_until: int,
    account_value: bytes,
    account_proof: bytes,
    delegate_proof: bytes,
    entry: ChainEntry | None = None,
) -> bytes:
    """What a delegate signs with: `signature` is its validator's. With `entry` the delegate is the one for every chain.

    Raises `UsageError` for parts that are too long.
    """
    head = bytes((MODE_DELEGATE,)) + delegate.code_hash + _encode_part(delegate.config) + _encode_part(signature)
    middle = bytes((entry is not None,)) + valid_until.to_bytes(8, "big") + account_value
    proofs = _encode_part(account_proof) + _encode_part(delegate_proof)
    tail = b"" if entry is None else bytes((entry.is_deleted,)) + _encode_part(entry.proof)
    return head + middle + proofs + tail


def _encode_part(part: bytes) -> bytes:
    if len(part) > _MAX_PART_BYTES:
        raise UsageError(f"each part of a signature has at most {_MAX_PART_BYTES} bytes")
    return len(part).to_bytes(_LENGTH_BYTES, "big") + part
