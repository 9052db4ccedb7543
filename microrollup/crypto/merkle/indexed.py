"""The indexed Merkle tree: leaves, proofs, and what it takes to accept one.

The leaves are a linked list sorted by tree key: each one names the next key, so the leaf below a gap proves that no key
lies in the gap. Leaf format and rules are those of Axiom's keystore rollup, so its published proofs verify here.
Nothing in this module reads a store; `microrollup.store.tree` keeps the tree.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from microrollup.crypto.keccak import EMPTY_HASH, keccak256, keccak256_many
from microrollup.errors import DecodeError, ProofError
from microrollup.primitives import ZERO_BYTES32, Bytes32, Uint8, Uint64

__all__ = [
    "DUMMY_LEAF",
    "EMPTY_ROOT",
    "LEAF_BYTES",
    "Leaf",
    "MAX_PROOF_SIBLINGS",
    "Proof",
    "UNUSED_LEAF_HASH",
    "compute_depth",
    "compute_leaf_hash",
    "compute_root",
    "compute_tree_key",
    "compute_tree_keys",
    "decode_leaf",
    "encode_leaf",
    "is_low_leaf",
    "verify_exclusion",
    "verify_inclusion",
]

LEAF_BYTES: Final = 99
"""active 1, prefix 1, key 32, next prefix 1, next key 32, value hash 32."""

MAX_PROOF_SIBLINGS: Final = 64
"""A deeper tree than one of 2^64 leaves cannot exist; longer proofs are refused before any hashing."""


class Leaf(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One link of the sorted list; 99 bytes when encoded, which no inner node's 64 bytes can be taken for."""

    active: Uint8
    """1 for every leaf in use, 0 only where a position was never used."""
    prefix: Uint8
    """0 for the dummy, which precedes every key, 1 for all others."""
    key: Bytes32
    next_prefix: Uint8
    """0 if no key lies above this one."""
    next_key: Bytes32
    value_hash: Bytes32
    """keccak256 of the value bytes; of no bytes for a deleted key."""


class Proof(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A leaf and the way from it up to the root."""

    leaf_index: Uint64
    leaf: Leaf
    siblings: tuple[Bytes32, ...]
    """32-byte hashes, the leaf's own sibling first."""
    is_left: Uint64
    """Bit i is set if sibling i is the left one of its pair."""


def compute_tree_key(silo: int, key: bytes) -> bytes:
    """Where a key of a settled field lives: `keccak256(silo || key)`, the silo (field index) as 2 bytes big-endian."""
    return keccak256(silo.to_bytes(2, "big") + key)


def compute_tree_keys(places: Iterable[tuple[int, bytes]]) -> list[bytes]:
    """`compute_tree_key` of each (silo, key)."""
    return keccak256_many([silo.to_bytes(2, "big") + key for silo, key in places])


def compute_depth(leaf_count: int) -> int:
    """Levels above the leaves: capacity begins at 1 and doubles whenever it is full."""
    return (leaf_count - 1).bit_length()


def encode_leaf(leaf: Leaf) -> bytes:
    """The 99 bytes that are hashed.

    Raises `ProofError` if a flag is not a byte or a hash is not 32 bytes, so that no leaf can have another length.
    """
    if not (len(leaf.key) == len(leaf.next_key) == len(leaf.value_hash) == 32):
        raise ProofError("a leaf's key, next key and value hash have 32 bytes each")
    if not (0 <= leaf.active <= 1 and 0 <= leaf.prefix <= 1 and 0 <= leaf.next_prefix <= 1):
        raise ProofError("a leaf's flags are 0 or 1")
    return b"".join(
        (
            bytes((leaf.active, leaf.prefix)),
            leaf.key,
            bytes((leaf.next_prefix,)),
            leaf.next_key,
            leaf.value_hash,
        )
    )


def decode_leaf(raw: bytes) -> Leaf:
    """The leaf of its 99 bytes. Raises `DecodeError` for another length, or a flag that is neither 0 nor 1."""
    if len(raw) != LEAF_BYTES:
        raise DecodeError("leaf", f"{len(raw)} bytes, not {LEAF_BYTES}")
    if raw[0] > 1 or raw[1] > 1 or raw[34] > 1:
        raise DecodeError("leaf", "a flag is neither 0 nor 1")
    return Leaf(raw[0], raw[1], raw[2:34], raw[34], raw[35:67], raw[67:])


def compute_leaf_hash(leaf: Leaf) -> bytes:
    """keccak256 of the encoded leaf. Raises `ProofError` as `encode_leaf` does."""
    return keccak256(encode_leaf(leaf))


DUMMY_LEAF: Final = Leaf(
    active=1, prefix=0, key=ZERO_BYTES32, next_prefix=0, next_key=ZERO_BYTES32, value_hash=EMPTY_HASH
)
"""Leaf 0 of the empty tree: below every key, with nothing above."""

EMPTY_ROOT: Final = compute_leaf_hash(DUMMY_LEAF)
"""Root of the tree that holds the dummy alone."""

UNUSED_LEAF_HASH: Final = keccak256(bytes(LEAF_BYTES))
"""Hash of a position within the capacity that was never used."""


def compute_root(proof: Proof) -> bytes:
    """The 32-byte root that the proof leads to.

    Raises `ProofError` unless the proof is well formed: at most 64 siblings of 32 bytes, the side mask no longer than
    they are and equal to the leaf index.
    """
    depth = len(proof.siblings)
    if depth > MAX_PROOF_SIBLINGS:
        raise ProofError(f"{depth} siblings, at most {MAX_PROOF_SIBLINGS} are possible")
    if not 0 <= proof.is_left < 1 << depth:
        raise ProofError("the side mask has bits beyond the siblings")
    if proof.is_left != proof.leaf_index:
        raise ProofError("the side mask is not the leaf's index")
    node = compute_leaf_hash(proof.leaf)
    for level, sibling in enumerate(proof.siblings):
        if len(sibling) != 32:
            raise ProofError(f"sibling {level} has {len(sibling)} bytes, not 32")
        node = keccak256(sibling + node if proof.is_left >> level & 1 else node + sibling)
    return node


def verify_inclusion(root: bytes, tree_key: bytes, value: bytes, proof: Proof) -> Proof:
    """Check that the tree of `root` holds `value` at the 32-byte `tree_key`; returns the proof.

    An empty `value` proves that the key once was set and is deleted now. Raises `ProofError`.
    """
    leaf = proof.leaf
    if leaf.active != 1:
        raise ProofError("the leaf is unused")
    if leaf.prefix != 1:
        raise ProofError("the leaf is the dummy")
    if leaf.key != tree_key:
        raise ProofError("the leaf is of another key")
    if leaf.value_hash != keccak256(value):
        raise ProofError("the leaf holds another value")
    return _verify_root(root, proof)


def is_low_leaf(leaf: Leaf, tree_key: bytes) -> bool:
    """Whether `tree_key` lies in the gap above an active leaf. Both bounds must hold: one alone proves nothing."""
    above = leaf.prefix == 0 or leaf.key < tree_key
    below = leaf.next_prefix == 0 or tree_key < leaf.next_key
    return leaf.active == 1 and above and below


def verify_exclusion(root: bytes, tree_key: bytes, proof: Proof) -> Proof:
    """Check that the tree of `root` never held the 32-byte `tree_key`; the proof is that of the low leaf.

    Returns the proof. Raises `ProofError`.
    """
    if len(tree_key) != 32:
        raise ProofError(f"a tree key has 32 bytes, not {len(tree_key)}")
    if proof.leaf.active != 1:
        raise ProofError("the leaf is unused")
    if not is_low_leaf(proof.leaf, tree_key):
        raise ProofError("the key does not lie between the leaf and its successor")
    return _verify_root(root, proof)


def _verify_root(root: bytes, proof: Proof) -> Proof:
    if compute_root(proof) != root:
        raise ProofError("the proof leads to another root")
    return proof
