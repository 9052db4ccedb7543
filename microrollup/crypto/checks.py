"""Checks of signatures and hashes for an app's own code: its envelopes, and what an action brings along.

Each gives a value for whatever bytes it is given and raises nothing, and is charged by the meter for what it takes.
"""

from __future__ import annotations

import hashlib
from typing import Final

from microrollup.crypto import ecdsa
from microrollup.crypto.signatures import ed25519, p256
from microrollup.crypto.signatures.statement import Statement
from microrollup.errors import RefusedError

__all__ = [
    "MAX_RSA_BITS",
    "MAX_RSA_EXPONENT",
    "MIN_RSA_BITS",
    "recover_signer",
    "sha256",
    "verify_ed25519",
    "verify_p256",
    "verify_rsa_sha256",
]

MIN_RSA_BITS: Final = 2_048
MAX_RSA_BITS: Final = 4_096
MAX_RSA_EXPONENT: Final = 65_537
"""A key of this size takes a millisecond; greater exponents would take longer, and nobody uses them."""

_SHA256_INFO: Final = bytes.fromhex("3031300d060960864801650304020105000420")
"""The DigestInfo of RFC 8017 (PKCS #1 v2.2), 9.2, before the 32 bytes of the hash."""


def sha256(data: bytes) -> bytes:
    """SHA-256 (FIPS 180-4), 32 bytes."""
    return hashlib.sha256(data).digest()


def recover_signer(digest: bytes, signature: bytes) -> bytes | None:
    """The 20-byte Ethereum address whose key signed a 32-byte digest, or None if none can have.

    `r(32) || s(32) || v(1)` with the low s and v 0, 1, 27 or 28, or the 64 bytes of EIP-2098.
    """
    if len(digest) != 32:
        return None
    try:
        return ecdsa.recover_address(digest, ecdsa.canonicalize_signature(signature))
    except RefusedError:
        return None


def verify_p256(key: bytes, digest: bytes, signature: bytes) -> bool:
    """Whether a P-256 key `x(32) || y(32)` signed a 32-byte digest: `r(32) || s(32)`, with either of the two s."""
    if len(key) != p256.POINT_BYTES or len(digest) != 32 or len(signature) != 64:
        return False
    try:
        p256.verify(digest, p256.normalize_point_and_scalars(key + signature))
    except RefusedError:
        return False
    return True


def verify_ed25519(key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether a 32-byte Ed25519 key signed a message of any length: `R(32) || S(32)`.

    By the rules of scheme 3 (`microrollup.crypto.signatures.ed25519`): canonical encodings, no points of small order.
    """
    if len(key) != 32 or len(signature) != 64:
        return False
    try:
        whole = ed25519.canonicalize(bytes((ed25519.SCHEME,)) + key + signature)
        ed25519.recover_sender(Statement(message), whole)
    except RefusedError:
        return False
    return True


def verify_rsa_sha256(modulus: bytes, exponent: int, message: bytes, signature: bytes) -> bool:
    """Whether an RSA key of 2,048 to 4,096 bits (big-endian modulus, odd exponent from 3 to 65,537) signed a message:
    RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017, 8.2), as DKIM has it.
    """
    number, size = int.from_bytes(modulus, "big"), len(modulus)
    if not MIN_RSA_BITS <= number.bit_length() <= MAX_RSA_BITS or modulus[:1] == b"\x00" or number % 2 == 0:
        return False
    value = int.from_bytes(signature, "big")
    if not 3 <= exponent <= MAX_RSA_EXPONENT or exponent % 2 == 0 or len(signature) != size or value >= number:
        return False
    tail = b"\x00" + _SHA256_INFO + sha256(message)
    expected = b"\x00\x01" + b"\xff" * (size - 2 - len(tail)) + tail
    return pow(value, exponent, number).to_bytes(size, "big") == expected
