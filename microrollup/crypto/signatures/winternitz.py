"""Scheme 7: a Winternitz one-time signature over Keccak-256 (w = 16, n = 32), which needs nothing but a hash.

    0x07 || seed(32) || 67 x value(32)        2,177 bytes

The digest's 64 nibbles d_i, high first, and the three nibbles of `sum(15 - d_i)`, high first, are 67 digits. Each digit
has a chain of sixteen values: `x_(j+1) = keccak256(seed || i(1) || j(1) || x_j)`, j = 0 ... 14. The signature holds x_d
of each chain; the verifier computes on to x_15, and `root = keccak256(seed || all x_15)`. The sender is
`keccak256(0x07 || seed || root)[12:]`. The checksum makes one digit go down when another goes up, so values
further along the chains sign no other digest.

A second signature with the same key gives it away: the nonce must be 0, so a sender acts once. Store a signed digest
durably before it leaves, and never sign another with that key.
"""

from __future__ import annotations

from typing import Final

from microrollup.crypto.keccak import keccak256
from microrollup.crypto.signatures.statement import Statement
from microrollup.errors import BadSignature, WrongLength

__all__ = ["SCHEME", "SIGNATURE_BYTES", "canonicalize", "compute_digits", "compute_sender", "recover_sender"]

SCHEME: Final = 7
"""The first byte of a signature."""

CHAINS: Final = 67
"""64 nibbles of the digest, and three of the checksum."""

TOP: Final = 15
"""The last value of a chain, which is public."""

SIGNATURE_BYTES: Final = 1 + 32 + CHAINS * 32
"""Scheme byte, public seed, one value of each chain."""


def canonicalize(signature: bytes) -> bytes:
    """The 2,177 bytes, which have one form. Raises `WrongLength`."""
    if len(signature) != SIGNATURE_BYTES:
        raise WrongLength(f"a Winternitz signature has {SIGNATURE_BYTES} bytes, not {len(signature)}")
    return signature


def recover_sender(statement: Statement, signature: bytes) -> bytes:
    """The sender whose key gives these values for the statement's digest; other values give a stranger.

    Raises `BadSignature` for a nonce other than 0.
    """
    if statement.nonce != 0:
        raise BadSignature(f"a Winternitz key signs one action, with nonce 0, not {statement.nonce}")
    seed = signature[1:33]
    tops = [
        climb(seed, chain, digit, TOP, signature[33 + 32 * chain : 65 + 32 * chain])
        for chain, digit in enumerate(compute_digits(statement.digest))
    ]
    return compute_sender(seed, keccak256(seed + b"".join(tops)))


def compute_digits(digest: bytes) -> list[int]:
    """The 67 digits of a 32-byte digest: its nibbles, high first, and those of the checksum."""
    nibbles = [nibble for byte in digest for nibble in (byte >> 4, byte & 15)]
    checksum = sum([TOP - nibble for nibble in nibbles])
    return [*nibbles, checksum >> 8, checksum >> 4 & 15, checksum & 15]


def climb(seed: bytes, chain: int, start: int, end: int, value: bytes) -> bytes:
    """The value of a chain at `end`, from the one at `start`."""
    for step in range(start, end):
        value = keccak256(seed + bytes((chain, step)) + value)
    return value


def compute_sender(seed: bytes, root: bytes) -> bytes:
    """The 20-byte sender of a public key: `seed(32)` and `root(32)`."""
    return keccak256(bytes((SCHEME,)) + seed + root)[12:]
