"""Axiom's `KeyDataMerkleProof` over the keystore's tree: as `AxiomProof.sol` and Axiom's own validator read it.

`abi.encode` of eight fields. The key data is the account's `data`; the vkey hash is keccak256 of its `vk`; the keystore
address is its key. An account that the tree does not know is proven by the absence of its key, with the salt that the
key commits to.
"""

from __future__ import annotations

from typing import Final

import msgspec

from microrollup.codec.abi import compile_arguments_decoder, compile_arguments_encoder
from microrollup.codec.schema import BoolType, BytesType, FixedBytesType, IntegerType, SequenceType
from microrollup.crypto.keccak import keccak256
from microrollup.crypto.merkle.indexed import (
    Leaf,
    Proof,
    compute_root,
    decode_leaf,
    encode_leaf,
    is_low_leaf,
    verify_exclusion,
    verify_inclusion,
)
from microrollup.errors import DecodeError, ProofError

from ..accounts import compute_account_key
from ..proofs import compute_account_tree_key

__all__ = [
    "KeyDataProof",
    "decode_key_data_proof",
    "encode_key_data_proof",
    "make_exclusion",
    "make_inclusion",
    "verify_key_data_proof",
]

_WHAT: Final = "Axiom proof"
_WORD: Final = FixedBytesType(32, "bytes32")
_TYPES: Final = (
    BoolType(), BytesType(), _WORD, _WORD, _WORD, BytesType(), SequenceType(_WORD, tuple), IntegerType(256, False)
)  # fmt: skip
"""isExclusion, exclusionExtraData, nextDummyByte (a bytes1 is at the left of its word), nextImtKey, vkeyHash,
keyData, proof, isLeft."""
_encode: Final = compile_arguments_encoder(_TYPES)
_decode: Final = compile_arguments_decoder(_TYPES)

_EXTRA_BYTES: Final = 97
"""prevDummyByte 1, prevImtKey 32, salt 32, valueHash 32."""
_PREVIOUS_BYTES: Final = 33
_SALT_END: Final = _PREVIOUS_BYTES + 32
_ZEROS: Final = bytes(31)


class KeyDataProof(msgspec.Struct, frozen=True):
    """Key data with the proof that they are authoritative for a keystore address."""

    key_data: bytes
    vkey_hash: bytes
    salt: bytes | None
    """What the address commits to beside data and vkey; 32 bytes with an exclusion proof, else None."""
    leaf_rest: bytes
    """What of the leaf is not given by the rest: next prefix and next key (33 bytes) of the account's own leaf, or the
    98 bytes of the low leaf after `active`."""
    siblings: tuple[bytes, ...]
    is_left: int


def make_inclusion(key_data: bytes, vkey: bytes, proof: Proof) -> KeyDataProof:
    """For an account that is in the tree, from the proof of its leaf.

    Raises `ProofError` if the proof is malformed or its leaf commits to something else.
    """
    compute_root(proof)
    leaf, vkey_hash = encode_leaf(proof.leaf), keccak256(vkey)
    if leaf[:2] != b"\1\1" or leaf[67:] != keccak256(keccak256(key_data) + vkey_hash):
        raise ProofError("the leaf does not commit to these data")
    return KeyDataProof(key_data, vkey_hash, None, leaf[34:67], proof.siblings, proof.is_left)


def make_exclusion(salt: bytes, key_data: bytes, vkey: bytes, proof: Proof) -> KeyDataProof:
    """For an account that was never changed, from the proof of the low leaf.

    Raises `ProofError` if the proof is malformed or leaves room for the account.
    """
    compute_root(proof)
    tree_key = compute_account_tree_key(compute_account_key(salt, key_data, vkey))
    if not is_low_leaf(proof.leaf, tree_key):
        raise ProofError("the account's key does not lie between the leaf and its successor")
    return KeyDataProof(key_data, keccak256(vkey), salt, encode_leaf(proof.leaf)[1:], proof.siblings, proof.is_left)


def encode_key_data_proof(proof: KeyDataProof) -> bytes:
    """`abi.encode` of the eight fields, not wrapped in a tuple (validators from v0.2.4 on take it so)."""
    rest, extra = proof.leaf_rest, b""
    if proof.salt is not None:
        extra = rest[:_PREVIOUS_BYTES] + proof.salt + rest[66:]
        rest = rest[_PREVIOUS_BYTES:66]
    return _encode((
        proof.salt is not None, extra, rest[:1] + _ZEROS, rest[1:], proof.vkey_hash, proof.key_data, proof.siblings,
        proof.is_left,
    ))  # fmt: skip


def decode_key_data_proof(raw: bytes) -> KeyDataProof:
    """The strict way back. Raises `DecodeError`."""
    is_exclusion, extra, flag, next_key, vkey_hash, key_data, siblings, is_left = _decode(raw)
    if flag[1:] != _ZEROS or flag[0] > 1:
        raise DecodeError(_WHAT, "nextDummyByte is neither 0 nor 1")
    if len(extra) != (_EXTRA_BYTES if is_exclusion else 0):
        raise DecodeError(_WHAT, f"{len(extra)} bytes of exclusionExtraData")
    if is_left >> len(siblings):
        raise DecodeError(_WHAT, "the side mask has bits beyond the siblings")
    rest, salt = flag[:1] + next_key, None
    if is_exclusion:
        rest, salt = extra[:_PREVIOUS_BYTES] + rest + extra[_SALT_END:], extra[_PREVIOUS_BYTES:_SALT_END]
    return KeyDataProof(key_data, vkey_hash, salt, rest, siblings, is_left)


def verify_key_data_proof(root: bytes, keystore_address: bytes, proof: KeyDataProof) -> KeyDataProof:
    """Check that the key data is authoritative for the address under a state root; returns the proof.

    The rules of `AxiomProof.sol`. Raises `ProofError`, or `DecodeError` for a malformed leaf.
    """
    data_hash = keccak256(proof.key_data)
    tree_key = compute_account_tree_key(keystore_address)
    value = data_hash + proof.vkey_hash
    if proof.salt is None:
        leaf = _read_leaf(b"\1" + tree_key + proof.leaf_rest + keccak256(value))
        verify_inclusion(root, tree_key, value, Proof(proof.is_left, leaf, proof.siblings, proof.is_left))
        return proof
    if keystore_address != keccak256(proof.salt + value):
        raise ProofError("the address does not commit to these data")
    leaf = _read_leaf(proof.leaf_rest)
    verify_exclusion(root, tree_key, Proof(proof.is_left, leaf, proof.siblings, proof.is_left))
    return proof


def _read_leaf(behind_active: bytes) -> Leaf:
    return decode_leaf(b"\1" + behind_active)
