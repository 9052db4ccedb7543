"""Scheme 5: BLS12-381 with short keys ("minimal-pubkey-size"), where all n keys of a group sign as one.

    0x05 || n(2) || n x (key(48) || proof(96)), keys ascending || signature(96)        at most 8,192 bytes, so n <= 56

Points are compressed. Each key comes with its proof of possession, without which a key could be chosen to cancel
others (draft-irtf-cfrg-bls-signature, 3.3). The sender is `keccak256(0x05 || keys)[12:]`. The n keys sign
`keccak256(digest || sender)`, so that what one of them signs is worth nothing outside of the group; the signature is
the sum of theirs.
"""

from __future__ import annotations

import functools
from itertools import pairwise
from typing import Any, Final

from microrollup.crypto.bls_points import load_curve, read_point
from microrollup.crypto.keccak import keccak256
from microrollup.crypto.signatures.statement import Statement
from microrollup.errors import BadSignature, WrongLength

__all__ = [
    "MAX_BYTES",
    "MIN_BYTES",
    "PROOF_DST",
    "SCHEME",
    "SIGNATURE_DST",
    "canonicalize",
    "compute_message",
    "compute_sender",
    "recover_sender",
]

SCHEME: Final = 5
"""The first byte of a signature."""

SIGNATURE_DST: Final = b"BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_"
"""Domain separation of signatures (the proof-of-possession ciphersuite)."""

PROOF_DST: Final = b"BLS_POP_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_"
"""Domain separation of the proofs, which are over the 48 bytes of the key."""

_KEY_BYTES: Final = 48
_POINT_BYTES: Final = 96
_ITEM_BYTES: Final = _KEY_BYTES + _POINT_BYTES
_HEAD_BYTES: Final = 3
_MAX_KEYS: Final = 56
_REMEMBERED_PROOFS: Final = 4_096

MIN_BYTES: Final = _HEAD_BYTES + _ITEM_BYTES + _POINT_BYTES
"""One key."""

MAX_BYTES: Final = _HEAD_BYTES + _MAX_KEYS * _ITEM_BYTES + _POINT_BYTES
"""56 keys."""


def canonicalize(signature: bytes) -> bytes:
    """The same bytes: keys in order and compressed points have one form. Raises `WrongLength` or `BadSignature`."""
    _split(signature)
    return signature


def recover_sender(statement: Statement, signature: bytes) -> bytes:
    """The group's sender, if all of its keys signed. Raises `BadSignature`."""
    items, whole = _split(signature)
    curve = load_curve()
    keys = [key for key, _ in items]
    sender = compute_sender(keys)
    total = functools.reduce(lambda one, other: one + other, [_read_key(key) for key in keys])
    point = read_point(curve.G2Point, whole, "the signature")
    message = curve.G2Point.hash_to_curve(compute_message(statement.digest, sender), SIGNATURE_DST)
    if not curve.GT.pairing_check([total, -curve.G1Point()], [message, point]):
        raise BadSignature("the keys did not make this signature")
    for index, (key, proof) in enumerate(items):
        if not _is_proof(key, proof):
            raise BadSignature(f"the proof of possession of key {index} is not valid")
    return sender


def compute_sender(keys: list[bytes]) -> bytes:
    """The 20-byte sender of all of these 48-byte keys, which are put in order."""
    return keccak256(bytes((SCHEME,)) + b"".join(sorted(keys)))[12:]


def compute_message(digest: bytes, sender: bytes) -> bytes:
    """The 32 bytes that each key of a group signs for an action's 32-byte digest."""
    return keccak256(digest + sender)


def _split(signature: bytes) -> tuple[list[tuple[bytes, bytes]], bytes]:
    """The keys with their proofs, and the signature. Raises `WrongLength` or `BadSignature`."""
    count = int.from_bytes(signature[1:_HEAD_BYTES], "big")
    end = _HEAD_BYTES + count * _ITEM_BYTES
    if not 1 <= count <= _MAX_KEYS:
        raise BadSignature(f"a BLS signature has 1 to {_MAX_KEYS} keys, not {count}")
    if len(signature) != end + _POINT_BYTES:
        raise WrongLength(f"a BLS signature of {count} keys has {end + _POINT_BYTES} bytes, not {len(signature)}")
    items = [
        (signature[at : at + _KEY_BYTES], signature[at + _KEY_BYTES : at + _ITEM_BYTES])
        for at in range(_HEAD_BYTES, end, _ITEM_BYTES)
    ]
    if any(one >= other for (one, _), (other, _) in pairwise(items)):
        raise BadSignature("the BLS keys are not in ascending order")
    return items, signature[end:]


@functools.lru_cache(_REMEMBERED_PROOFS)
def _is_proof(key: bytes, proof: bytes) -> bool:
    """Whether the holder of a key made its proof of possession; 4 ms, so those last seen are remembered."""
    curve = load_curve()
    point = read_point(curve.G2Point, proof, "a proof of possession")
    message = curve.G2Point.hash_to_curve(key, PROOF_DST)
    return bool(curve.GT.pairing_check([_read_key(key), -curve.G1Point()], [message, point]))


@functools.lru_cache(_REMEMBERED_PROOFS)
def _read_key(key: bytes) -> Any:
    return read_point(load_curve().G1Point, key, "a BLS key")
