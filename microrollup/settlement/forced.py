"""Forced actions: the inbox's queue on L1, and the form that an action takes in it.

The queue is a hash chain, so one word in a header commits to every entry taken so far and in which order. The sender is
the caller of the inbox on L1, the identity is the place in the queue, and there is no kernel nonce.
"""

from __future__ import annotations

from typing import Final

import msgspec

from microrollup.chain.record import Forced
from microrollup.crypto.keccak import keccak256
from microrollup.primitives import ZERO_BYTES32, Address, Uint64

__all__ = [
    "EMPTY_QUEUE_HASH",
    "ForcedEntry",
    "compute_forced_id",
    "compute_queue_hash",
    "take_entry",
]

EMPTY_QUEUE_HASH: Final = ZERO_BYTES32
"""`queueHash[0]`."""


class ForcedEntry(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """An entry of the inbox's queue."""

    index: Uint64
    """Place in the queue, from 0."""
    sender: Address
    """L1's `msg.sender`, 20 bytes; a contract may be one."""
    inclusion_block: Uint64
    """L1 block that included it; due for every block with at least this L1 origin."""
    payload: bytes
    """At most `MAX_FORCED_PAYLOAD_BYTES`; anything at all, since L1 does not look into it."""


def compute_queue_hash(previous: bytes, sender: bytes, inclusion_block: int, payload: bytes) -> bytes:
    """`queueHash[i + 1] = keccak256(abi.encode(queueHash[i], sender, inclusionBlock, keccak256(payload)))`."""
    return keccak256(previous + bytes(12) + sender + inclusion_block.to_bytes(32, "big") + keccak256(payload))


def compute_forced_id(rollup_id: bytes, index: int) -> bytes:
    """The identity (action hash) of the queue's entry `index`: `keccak256(abi.encode(rollupId, index))`."""
    return keccak256(rollup_id + index.to_bytes(32, "big"))


def take_entry(entry: ForcedEntry, *, voided: bool) -> Forced:
    """The record of an entry as a block takes it; `voided` says whether its void is in effect at the block's origin."""
    return Forced(entry.index, entry.sender, entry.inclusion_block, entry.payload, voided)
