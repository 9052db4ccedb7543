"""What checking a signature counts as, in steps, where work is counted and not timed: for what comes through the queue.

The same on every machine, and by the bytes alone: a signature that nobody made counts as one that somebody made.
"""

from __future__ import annotations

from typing import Final

from microrollup.crypto.signatures import bls, mldsa, multi, webauthn, winternitz

__all__ = ["count_signature_steps"]

_BASIC_STEPS: Final = 500
"""secp256k1, P-256, Ed25519."""

_STEPS: Final = {webauthn.SCHEME: 1_000, bls.SCHEME: 20_000, mldsa.SCHEME: 1_000, winternitz.SCHEME: 1_000}
_GROUP_STEPS: Final = 1_000
"""Scheme 4, beside its members'."""

_SECP256K1_LENGTHS: Final = (64, 65)


def count_signature_steps(signature: bytes) -> int:
    """The steps of a signature of any scheme, well-formed or not: 500 (secp256k1, P-256, Ed25519), 1,000 (WebAuthn,
    ML-DSA, Winternitz), 20,000 (BLS); a group's 1,000 and its members'.
    """
    if len(signature) not in _SECP256K1_LENGTHS and signature[:1] == bytes((multi.SCHEME,)):
        return _GROUP_STEPS + sum([_count_one(part) for part in multi.read_parts(signature)])
    return _count_one(signature)


def _count_one(signature: bytes) -> int:
    if len(signature) in _SECP256K1_LENGTHS or not signature:
        return _BASIC_STEPS
    return _STEPS.get(signature[0], _BASIC_STEPS)
