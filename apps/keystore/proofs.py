"""Proofs as the bytes that `contracts/StateVerifier.sol` reads, and the strict way back.

Packed, without padding, with exactly one form (n siblings, at most 64; integers big-endian):

    inclusion   isLeft 8 | nextPrefix 1 | nextKey 32 | siblings 32n                                        41 + 32n
    exclusion   isLeft 8 | prefix 1 | key 32 | nextPrefix 1 | nextKey 32 | valueHash 32 | siblings 32n    106 + 32n

An inclusion proof leaves out what it is to prove: an active leaf that is not a dummy, its key, its value's hash.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from microrollup.codec.json import compile_json_reader, read_hex
from microrollup.codec.schema import describe_struct
from microrollup.crypto.merkle.indexed import (
    LEAF_BYTES,
    MAX_PROOF_SIBLINGS,
    Leaf,
    Proof,
    compute_root,
    compute_tree_key,
    decode_leaf,
    encode_leaf,
    verify_exclusion,
    verify_inclusion,
)
from microrollup.errors import DecodeError, ProofError, RefusedError
from microrollup.primitives import Bytes, Bytes32, Uint64

__all__ = [
    "EXCLUSION_HEADER_BYTES",
    "INCLUSION_HEADER_BYTES",
    "KEYSTORE_SILO",
    "ShownProof",
    "compute_account_tree_key",
    "decode_exclusion",
    "decode_inclusion",
    "encode_exclusion",
    "encode_inclusion",
    "encode_proof",
    "proof_from_json",
]

KEYSTORE_SILO: Final = 0
"""The keystore's accounts are its first settled field."""

_SIDE_BYTES: Final = 8
_LINK_START: Final = 34
"""Where a leaf's next prefix is: after active, prefix and key."""
_LINK_BYTES: Final = 33

INCLUSION_HEADER_BYTES: Final = _SIDE_BYTES + _LINK_BYTES
EXCLUSION_HEADER_BYTES: Final = _SIDE_BYTES + LEAF_BYTES - 1

_INCLUSION: Final = "inclusion proof"
_EXCLUSION: Final = "exclusion proof"


class ShownProof(msgspec.Struct, frozen=True):
    """What `microrollup prove --json` and `rollup_getProof` show, checked against the state root that they name.

    Whether that root is the settled one is for the contract to say.
    """

    exists: bool
    """Whether the key was ever set."""
    key: bytes
    value: bytes
    """What the leaf commits to; empty for an absent or deleted key."""
    proof: Proof
    state_root: bytes
    height: int


class ShownMembers(msgspec.Struct, frozen=True):
    """The members of the JSON form that are read, as they are named there."""

    exists: bool
    leaf: Leaf
    leaf_index: Uint64
    siblings: list[Bytes32]
    is_left: Uint64
    state_root: Bytes32
    height: Uint64
    encoded_key: Bytes


_SHOWN: Final = describe_struct(ShownMembers, where="event")
_read_shown: Final = compile_json_reader(_SHOWN, "proof")
_NAMES: Final = frozenset(field.wire_name for field in _SHOWN.fields)


def compute_account_tree_key(key: bytes) -> bytes:
    """Where the account of a 32-byte keystore key is in the tree."""
    return compute_tree_key(KEYSTORE_SILO, key)


def encode_inclusion(proof: Proof) -> bytes:
    """The packed bytes of a proof that its leaf is in the tree.

    Raises `ProofError` if the leaf proves no inclusion, or the proof is malformed.
    """
    leaf = encode_leaf(proof.leaf)
    if proof.leaf.active != 1 or proof.leaf.prefix != 1:
        raise ProofError("an unused or dummy leaf includes nothing")
    return _pack(proof, leaf[_LINK_START : _LINK_START + _LINK_BYTES])


def encode_exclusion(proof: Proof) -> bytes:
    """The packed bytes of a proof by the low leaf that nothing lies between it and its successor.

    Raises `ProofError` if the leaf is unused, or the proof malformed.
    """
    leaf = encode_leaf(proof.leaf)
    if proof.leaf.active != 1:
        raise ProofError("an unused leaf excludes nothing")
    return _pack(proof, leaf[1:])


def encode_proof(exists: bool, proof: Proof) -> bytes:
    """The packed bytes of either kind, as `StateProof`, `ProvenValue` and `ShownProof` tell them apart."""
    return encode_inclusion(proof) if exists else encode_exclusion(proof)


def _pack(proof: Proof, leaf_part: bytes) -> bytes:
    compute_root(proof)  # raises for what no contract would accept: depth, sides, sizes
    return proof.is_left.to_bytes(_SIDE_BYTES, "big") + leaf_part + b"".join(proof.siblings)


def decode_inclusion(raw: bytes, tree_key: bytes, value_hash: bytes) -> Proof:
    """The proof of packed bytes, for the 32-byte tree key and value hash that it is to prove.

    Raises `DecodeError` for bytes that `encode_inclusion` does not give.
    """
    if len(tree_key) != 32 or len(value_hash) != 32:
        raise DecodeError(_INCLUSION, "tree key and value hash have 32 bytes each")
    is_left, siblings = _unpack(_INCLUSION, raw, INCLUSION_HEADER_BYTES)
    link = raw[_SIDE_BYTES:INCLUSION_HEADER_BYTES]
    return Proof(is_left, decode_leaf(b"\1\1" + tree_key + link + value_hash), siblings, is_left)


def decode_exclusion(raw: bytes) -> Proof:
    """The proof of packed bytes. Raises `DecodeError` for bytes that `encode_exclusion` does not give."""
    is_left, siblings = _unpack(_EXCLUSION, raw, EXCLUSION_HEADER_BYTES)
    leaf = decode_leaf(b"\1" + raw[_SIDE_BYTES:EXCLUSION_HEADER_BYTES])
    return Proof(is_left, leaf, siblings, is_left)


def _unpack(what: str, raw: bytes, header_bytes: int) -> tuple[int, tuple[bytes, ...]]:
    """The side mask and the siblings."""
    size = len(raw) - header_bytes
    if size < 0 or size % 32 or size // 32 > MAX_PROOF_SIBLINGS:
        raise DecodeError(what, f"{len(raw)} bytes are not {header_bytes} and up to {MAX_PROOF_SIBLINGS} siblings")
    is_left = int.from_bytes(raw[:_SIDE_BYTES], "big")
    if is_left >> (size // 32):
        raise DecodeError(what, "the side mask has bits beyond the siblings")
    return is_left, tuple([raw[start : start + 32] for start in range(header_bytes, len(raw), 32)])


def proof_from_json(document: Mapping[str, Any]) -> ShownProof:
    """A keystore account's proof from its JSON form, verified. Raises `DecodeError` or `ProofError`."""
    try:
        shown: ShownMembers = _read_shown({name: document[name] for name in _NAMES})
        value = read_hex(document["value"], "value") if shown.exists else b""
    except (KeyError, TypeError, RefusedError) as error:
        raise DecodeError("proof", str(error)) from None
    proof = Proof(shown.leaf_index, shown.leaf, tuple(shown.siblings), shown.is_left)
    tree_key = compute_account_tree_key(shown.encoded_key)
    if shown.exists:
        verify_inclusion(shown.state_root, tree_key, value, proof)
    else:
        verify_exclusion(shown.state_root, tree_key, proof)
    return ShownProof(shown.exists, shown.encoded_key, value, proof, shown.state_root, shown.height)
