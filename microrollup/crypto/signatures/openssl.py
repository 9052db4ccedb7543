"""P-256, Ed25519 and ML-DSA-44 in OpenSSL, through the `cryptography` package. Imported on use: it takes 15 ms."""

from __future__ import annotations

from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from microrollup.errors import BadSignature

__all__ = ["CURVE", "PREHASHED", "decode_der", "verify", "verify_ed25519", "verify_mldsa44"]

CURVE: Final = ec.SECP256R1()
PREHASHED: Final = ec.ECDSA(Prehashed(SHA256()))
"""Takes the 32 bytes as they are; that they come out of Keccak does not matter to it."""


def verify(x: int, y: int, r: int, s: int, digest: bytes) -> bool:
    """Whether the key at the point (x, y), which must be on the curve, signed 32 bytes."""
    key = ec.EllipticCurvePublicNumbers(x, y, CURVE).public_key()
    try:
        key.verify(encode_dss_signature(r, s), digest, PREHASHED)
    except InvalidSignature:
        return False
    return True


def decode_der(signature: bytes) -> tuple[int, int]:
    """The r and s of an ASN.1 DER signature, which is what browsers give. Raises `BadSignature`."""
    try:
        return decode_dss_signature(signature)
    except ValueError:
        raise BadSignature("not an ASN.1 DER signature") from None


def verify_ed25519(key: bytes, signature: bytes, message: bytes) -> bool:
    """Whether a 32-byte public key signed a message: `R(32) || S(32)`."""
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def verify_mldsa44(key: bytes, signature: bytes, message: bytes, context: bytes) -> bool:
    """Whether a 1,312-byte public key signed a message under a context string of at most 255 bytes."""
    try:
        MLDSA44PublicKey.from_public_bytes(key).verify(signature, message, context)
    except (InvalidSignature, ValueError):
        return False
    return True
