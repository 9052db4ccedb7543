"""Positional trees over the items of a block: `actionsRoot` and `receiptsRoot`.

Leaf `keccak256(0x00 || item)`, node `keccak256(0x01 || left || right)`; the last node of an odd level moves up as it
is; no items give 32 zero bytes. The first byte keeps leaf and node apart (RFC 6962 does the same).
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from microrollup._native.choice import get_library
from microrollup.crypto.keccak import keccak256
from microrollup.errors import ProofError
from microrollup.primitives import ZERO_BYTES32, Bytes32, Uint64

__all__ = [
    "ItemProof",
    "compute_item_hash",
    "compute_items_root",
    "compute_items_root_from_hashes",
    "prove_item",
    "verify_item",
]


class ItemProof(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The position of an item, and the 32-byte siblings from its leaf up; levels where it moves up alone have none."""

    index: Uint64
    siblings: tuple[Bytes32, ...]


def compute_item_hash(item: bytes) -> bytes:
    """The leaf of an item."""
    return keccak256(b"\x00" + item)


def compute_items_root(items: Sequence[bytes]) -> bytes:
    """The 32-byte root over items in their order; 32 zero bytes for none."""
    library = get_library()
    if library is not None and items:
        return library.fold_items(items)
    return compute_items_root_from_hashes([keccak256(b"\x00" + item) for item in items])


def compute_items_root_from_hashes(hashes: Sequence[bytes]) -> bytes:
    """The root over leaves of `compute_item_hash`."""
    if not hashes:
        return ZERO_BYTES32
    while len(hashes) > 1:
        hashes = _compute_level_above(hashes)
    return hashes[0]


def _compute_level_above(level: Sequence[bytes]) -> list[bytes]:
    pairs = zip(level[0::2], level[1::2], strict=False)
    above = [keccak256(b"\x01" + left + right) for left, right in pairs]
    if len(level) % 2:
        above.append(level[-1])
    return above


def prove_item(items: Sequence[bytes], index: int) -> ItemProof:
    """The proof of the item at `index`. Raises `IndexError` beyond the items."""
    if not 0 <= index < len(items):
        raise IndexError(index)
    level: Sequence[bytes] = [compute_item_hash(item) for item in items]
    position = index
    siblings = []
    while len(level) > 1:
        if position ^ 1 < len(level):
            siblings.append(level[position ^ 1])
        level = _compute_level_above(level)
        position >>= 1
    return ItemProof(index, tuple(siblings))


def verify_item(root: bytes, item: bytes, proof: ItemProof, *, count: int) -> ItemProof:
    """Check that the tree of `root` over `count` items has `item` at the proof's index; returns the proof.

    `count` is not the prover's to choose: take it from the header that the root comes from. Raises `ProofError`.
    """
    if not 0 <= proof.index < count:
        raise ProofError(f"there is no item {proof.index} among {count}")
    node = compute_item_hash(item)
    siblings = list(reversed(proof.siblings))
    position, width = proof.index, count
    while width > 1:
        if position ^ 1 < width:
            if not siblings:
                raise ProofError("the proof has too few siblings")
            sibling = siblings.pop()
            if len(sibling) != 32:
                raise ProofError(f"a sibling has {len(sibling)} bytes, not 32")
            node = keccak256(b"\x01" + (sibling + node if position & 1 else node + sibling))
        position >>= 1
        width = (width + 1) // 2
    if siblings:
        raise ProofError("the proof has too many siblings")
    if node != root:
        raise ProofError("the proof leads to another root")
    return proof
