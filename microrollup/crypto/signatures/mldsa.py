"""Scheme 6: ML-DSA-44 (FIPS 204), which a quantum computer does not break.

    0x06 || key(1312) || signature(2420)        3,733 bytes

The message is the action's 32-byte digest and the context string is the EIP-712 domain separator; the sender is
`keccak256(0x06 || key)[12:]`.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from typing import Any, Final

from microrollup.crypto.keccak import keccak256
from microrollup.crypto.signatures.statement import Statement
from microrollup.errors import BadSignature, WrongLength

__all__ = ["KEY_BYTES", "SCHEME", "SIGNATURE_BYTES", "canonicalize", "compute_sender", "recover_sender"]

SCHEME: Final = 6
"""The first byte of a signature."""

KEY_BYTES: Final = 1_312
SIGNATURE_BYTES: Final = 1 + KEY_BYTES + 2_420
"""Scheme byte, public key and signature."""


def canonicalize(signature: bytes) -> bytes:
    """The 3,733 bytes, which have one form. Raises `WrongLength`."""
    if len(signature) != SIGNATURE_BYTES:
        raise WrongLength(f"an ML-DSA-44 signature has {SIGNATURE_BYTES} bytes, not {len(signature)}")
    return signature


def recover_sender(statement: Statement, signature: bytes) -> bytes:
    """The sender of a signature over the statement's digest. Raises `BadSignature` if its key did not make it."""
    key, part = signature[1 : 1 + KEY_BYTES], signature[1 + KEY_BYTES :]
    if not _load_verify()(key, part, statement.digest, statement.domain_separator):
        raise BadSignature("the public key did not make this signature")
    return compute_sender(key)


def compute_sender(key: bytes) -> bytes:
    """The 20-byte sender of a 1,312-byte public key."""
    return keccak256(bytes((SCHEME,)) + key)[12:]


@functools.cache
def _load_verify() -> Callable[[bytes, bytes, bytes, bytes], bool]:
    openssl: Any = importlib.import_module("microrollup.crypto.signatures.openssl")
    verify: Callable[[bytes, bytes, bytes, bytes], bool] = openssl.verify_mldsa44
    return verify
