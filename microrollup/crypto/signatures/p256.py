"""Scheme 1: ECDSA over P-256 (secp256r1, FIPS 186-5), as secure elements sign.

    0x01 || x(32) || y(32) || r(32) || s(32)        129 bytes, numbers big-endian

The signature is over the action's 32-byte digest itself, with no hash in between. ECDSA over P-256 leaves more than
one candidate when a key is recovered, so the key travels along; the sender is
`keccak256(0x01 || x || y)[12:]`. A signature with the high s is turned into the one with the low s before it is stored:
authenticators give either.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from typing import Final

from microrollup.crypto.keccak import keccak256
from microrollup.errors import BadSignature, WrongLength

__all__ = [
    "POINT_BYTES",
    "SCHEME",
    "SIGNATURE_BYTES",
    "canonicalize",
    "compute_sender",
    "is_point",
    "normalize_point_and_scalars",
    "recover_sender",
    "verify",
]

SCHEME: Final = 1
"""The first byte of a signature."""

POINT_BYTES: Final = 64
"""A public key: the affine coordinates `x(32) || y(32)`."""

SIGNATURE_BYTES: Final = 129
"""Scheme byte, public key, r and s."""

_PRIME: Final = 0xFFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF
_B: Final = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_HALF_ORDER: Final = _ORDER // 2


def canonicalize(signature: bytes) -> bytes:
    """The 129 bytes with the low s. Raises `WrongLength` or `BadSignature` (r or s out of range)."""
    if len(signature) != SIGNATURE_BYTES:
        raise WrongLength(f"a P-256 signature has {SIGNATURE_BYTES} bytes, not {len(signature)}")
    return signature[:1] + normalize_point_and_scalars(signature[1:])


def recover_sender(digest: bytes, signature: bytes) -> bytes:
    """The sender of a canonical signature over a 32-byte digest. Raises `BadSignature` if its key did not make it."""
    verify(digest, signature[1:])
    return compute_sender(SCHEME, signature[1:65])


def compute_sender(scheme: int, point: bytes) -> bytes:
    """The 20-byte sender of a public key under a scheme: the last 20 bytes of `keccak256(scheme(1) || x || y)`.

    With the scheme in it, one key is two senders: what it signs under one scheme never speaks for the other.
    """
    return keccak256(bytes((scheme,)) + point)[12:]


def normalize_point_and_scalars(part: bytes) -> bytes:
    """`x || y || r || s` (128 bytes) with the low one of the two possible s.

    Raises `BadSignature` unless 0 < r, s < n. The key is not looked at.
    """
    r, s = int.from_bytes(part[64:96], "big"), int.from_bytes(part[96:], "big")
    if not (0 < r < _ORDER and 0 < s < _ORDER):
        raise BadSignature("r and s lie between 0 and the curve's order")
    return part if s <= _HALF_ORDER else part[:96] + (_ORDER - s).to_bytes(32, "big")


def is_point(point: bytes) -> bool:
    """Whether the 64 bytes `x || y` are a point of the curve; infinity has no such form."""
    x, y = int.from_bytes(point[:32], "big"), int.from_bytes(point[32:], "big")
    return x < _PRIME and y < _PRIME and (y * y - (x * x - 3) * x - _B) % _PRIME == 0


def verify(digest: bytes, part: bytes) -> None:
    """Check that the key of `x || y || r || s` (canonical, 128 bytes) signed a 32-byte digest.

    Raises `BadSignature` otherwise, and if x and y are not a point of the curve (there is no form for infinity).
    """
    if not is_point(part[:POINT_BYTES]):
        raise BadSignature("the public key is not a point of P-256")
    x, y = int.from_bytes(part[:32], "big"), int.from_bytes(part[32:64], "big")
    r, s = int.from_bytes(part[64:96], "big"), int.from_bytes(part[96:], "big")
    if not _load_verify()(x, y, r, s, digest):
        raise BadSignature("the public key did not make this signature")


@functools.cache
def _load_verify() -> Callable[[int, int, int, int, bytes], bool]:
    """`openssl.verify`; its library takes longer to load than all of this package's own modules."""
    verify_with_openssl: Callable[[int, int, int, int, bytes], bool] = importlib.import_module(
        "microrollup.crypto.signatures.openssl"
    ).verify
    return verify_with_openssl
