"""Scheme 3: Ed25519 (RFC 8032, PureEdDSA), as many key stores and command-line tools sign.

    0x03 || key(32) || R(32) || S(32)        97 bytes

The message is the action's 32-byte digest; the sender is `keccak256(0x03 || key)[12:]`. Implementations disagree about
signatures that honest signers never make, so these rules come before the library's: S is below the group order, key and
R are canonical encodings, and neither is one of the eight points of small order (Chalkias et al. 2020, "Taming the many
EdDSAs").
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from typing import Any, Final

from microrollup.crypto.keccak import keccak256
from microrollup.crypto.signatures.statement import Statement
from microrollup.errors import BadSignature, WrongLength

__all__ = ["SCHEME", "SIGNATURE_BYTES", "canonicalize", "compute_sender", "recover_sender"]

SCHEME: Final = 3
"""The first byte of a signature."""

SIGNATURE_BYTES: Final = 97
"""Scheme byte, public key, R and S."""

_PRIME: Final = 2**255 - 19
_ORDER: Final = 2**252 + 27742317777372353535851937790883648493
_ORDER_8_Y: Final = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7
_SMALL_ORDER_Y: Final = frozenset({0, 1, _PRIME - 1, _ORDER_8_Y, _PRIME - _ORDER_8_Y})
"""The y of the points whose order divides 8; each but 1 and -1 has two signs of x."""


def canonicalize(signature: bytes) -> bytes:
    """The 97 bytes, which have one form. Raises `WrongLength`, or `BadSignature` for encodings outside the rules."""
    if len(signature) != SIGNATURE_BYTES:
        raise WrongLength(f"an Ed25519 signature has {SIGNATURE_BYTES} bytes, not {len(signature)}")
    _check_point(signature[1:33], "the public key")
    _check_point(signature[33:65], "R")
    if int.from_bytes(signature[65:], "little") >= _ORDER:
        raise BadSignature("S is not below the order of the group")
    return signature


def recover_sender(statement: Statement, signature: bytes) -> bytes:
    """The sender of a canonical signature over the statement's digest. Raises `BadSignature` for another key's."""
    key, part = signature[1:33], signature[33:]
    if not _load_verify()(key, part, statement.digest):
        raise BadSignature("the public key did not make this signature")
    return compute_sender(key)


def compute_sender(key: bytes) -> bytes:
    """The 20-byte sender of a 32-byte public key."""
    return keccak256(bytes((SCHEME,)) + key)[12:]


def _check_point(encoded: bytes, what: str) -> None:
    y = int.from_bytes(encoded, "little") & ((1 << 255) - 1)
    if y >= _PRIME:
        raise BadSignature(f"{what} is not in its canonical encoding")
    if y in _SMALL_ORDER_Y:
        raise BadSignature(f"{what} is a point of small order")


@functools.cache
def _load_verify() -> Callable[[bytes, bytes, bytes], bool]:
    """`openssl.verify_ed25519`; its library takes longer to load than all of this package's own modules."""
    openssl: Any = importlib.import_module("microrollup.crypto.signatures.openssl")
    verify: Callable[[bytes, bytes, bytes], bool] = openssl.verify_ed25519
    return verify
