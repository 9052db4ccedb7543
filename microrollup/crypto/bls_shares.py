"""BLS12-381 signatures that add up: keys in G2, signatures in G1 ("minimal-signature-size"), as verifiers make them.

The proof-of-possession ciphersuite of draft-irtf-cfrg-bls-signature. A key is 96 bytes and a signature 48, compressed;
on chain they are EIP-2537's coordinates, 192 bytes without its padding and 128 with it. `Bls.sol` computes the same.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from microrollup.crypto.bls_points import load_curve, read_coordinates, read_point
from microrollup.errors import BadSignature

__all__ = [
    "CHAIN_KEY_BYTES",
    "CHAIN_SIGNATURE_BYTES",
    "KEY_BYTES",
    "PROOF_DST",
    "SIGNATURE_BYTES",
    "SIGNATURE_DST",
    "BlsKey",
    "add_signatures",
    "compress_chain_key",
    "compress_chain_signature",
    "expand_key",
    "expand_signature",
    "is_possessed",
    "is_share",
    "is_sum",
    "load_bls_key",
]

KEY_BYTES: Final = 96
"""A compressed public key."""

SIGNATURE_BYTES: Final = 48
"""A compressed signature."""

CHAIN_KEY_BYTES: Final = 192
"""A public key as contracts keep it: x0, x1, y0, y1 of 48 bytes each."""

CHAIN_SIGNATURE_BYTES: Final = 128
"""A signature as contracts take it: x and y, each after 16 zero bytes."""

SIGNATURE_DST: Final = b"BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_POP_"
"""Domain separation of signatures."""

PROOF_DST: Final = b"BLS_POP_BLS12381G1_XMD:SHA-256_SSWU_RO_POP_"
"""Domain separation of proofs of possession, which are over a key's 96 bytes."""

_COORDINATE_BYTES: Final = 48
_PADDING: Final = bytes(16)
_REMEMBERED_KEYS: Final = 1_024


class BlsKey(msgspec.Struct, frozen=True):
    """A secret key, and the public key to it."""

    secret: bytes
    """32 bytes, a scalar of the curve other than zero."""
    public: bytes
    """96 bytes."""

    def sign(self, message: bytes) -> bytes:
        """The 48-byte signature over a text."""
        return self._sign(message, SIGNATURE_DST)

    def prove_possession(self) -> bytes:
        """48 bytes that only the holder of the secret can make; without them a key could be chosen to cancel others."""
        return self._sign(self.public, PROOF_DST)

    def _sign(self, message: bytes, dst: bytes) -> bytes:
        curve = load_curve()
        point = curve.G1Point.hash_to_curve(message, dst) * curve.Scalar.from_be_bytes(self.secret)
        return bytes(point.to_compressed_bytes())


def load_bls_key(secret: bytes) -> BlsKey:
    """The key of 32 bytes. Raises `ValueError` unless they are a scalar of the curve other than zero."""
    curve = load_curve()
    if len(secret) != 32:
        raise ValueError(f"a BLS secret has 32 bytes, not {len(secret)}")
    scalar = curve.Scalar.from_be_bytes(secret)
    if scalar.is_zero():
        raise ValueError("zero is not a BLS secret")
    return BlsKey(secret, bytes((curve.G2Point() * scalar).to_compressed_bytes()))


def is_share(key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether a 96-byte key made a 48-byte signature over a text; False for what is not a key or not a signature."""
    try:
        return _is_signed(_read_key(key), message, SIGNATURE_DST, _read_signature(signature))
    except BadSignature:
        return False


def is_possessed(key: bytes, proof: bytes) -> bool:
    """Whether the holder of a 96-byte key made the 48-byte proof; False for what is not a key or not a point."""
    try:
        return _is_signed(_read_key(key), key, PROOF_DST, _read_signature(proof))
    except BadSignature:
        return False


def is_sum(keys: Iterable[bytes], message: bytes, signature: bytes) -> bool:
    """Whether a 128-byte signature is the sum of the signatures of all these 96-byte keys, which are known to be good.

    False if the keys cancel each other: the sum of nothing vouches for nothing.
    """
    curve = load_curve()
    total = curve.G2Point.identity()
    for key in keys:
        total += _read_key(key)
    if total == curve.G2Point.identity():
        return False
    try:
        return _is_signed(total, message, SIGNATURE_DST, _read_signature(compress_chain_signature(signature)))
    except BadSignature:
        return False


def add_signatures(signatures: Iterable[bytes]) -> bytes:
    """The sum of 48-byte signatures. Raises `BadSignature` for what is not one."""
    total = load_curve().G1Point.identity()
    for signature in signatures:
        total += _read_signature(signature)
    return bytes(total.to_compressed_bytes())


def expand_key(key: bytes) -> bytes:
    """The 192 bytes of a 96-byte key. Raises `BadSignature`."""
    return bytes(_read_key(key).to_xy_bytes_be())


def compress_chain_key(key: bytes) -> bytes:
    """The 96 bytes of a 192-byte key. Raises `BadSignature` for infinity and what is not in the subgroup."""
    point = read_coordinates(load_curve().G2Point, key, "a BLS key")
    return bytes(point.to_compressed_bytes())


def expand_signature(signature: bytes) -> bytes:
    """The 128 bytes of a 48-byte signature. Raises `BadSignature`."""
    point = read_point(load_curve().G1Point, signature, "a BLS signature")
    raw = bytes(point.to_xy_bytes_be())
    return b"".join([_PADDING + raw[at : at + _COORDINATE_BYTES] for at in (0, _COORDINATE_BYTES)])


def compress_chain_signature(signature: bytes) -> bytes:
    """The 48 bytes of a 128-byte signature. Raises `BadSignature` unless it is a point of the subgroup."""
    first, second = signature[:64], signature[64:]
    if len(signature) != CHAIN_SIGNATURE_BYTES or not first.startswith(_PADDING) or not second.startswith(_PADDING):
        raise BadSignature("a BLS signature on chain is two coordinates of 48 bytes, each after 16 zero bytes")
    raw = first[len(_PADDING) :] + second[len(_PADDING) :]
    point = read_coordinates(load_curve().G1Point, raw, "a BLS signature")
    return bytes(point.to_compressed_bytes())


def _is_signed(key: Any, message: bytes, dst: bytes, signature: Any) -> bool:
    curve = load_curve()
    hashed = curve.G1Point.hash_to_curve(message, dst)
    return bool(curve.GT.pairing_check([hashed, signature], [key, -curve.G2Point()]))


@functools.lru_cache(_REMEMBERED_KEYS)
def _read_key(key: bytes) -> Any:
    return read_point(load_curve().G2Point, key, "a BLS key")


def _read_signature(signature: bytes) -> Any:
    return read_point(load_curve().G1Point, signature, "a BLS signature")
