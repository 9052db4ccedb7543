r"""Keys in software for the schemes besides wallets and passkeys: Ed25519, BLS, ML-DSA-44, Winternitz, and groups.

    group = GroupKey(2, [wallet_key, Ed25519Key(b"\x01" * 32), passkey], signing=[0, 2])
    line = sign_action(app, Register(...), nonce=0, key=group)            # its sender is `group.sender`

The secrets are in memory: for tests and samples.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Final, Protocol

import py_arkworks_bls12381 as curve
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from microrollup.crypto.ecdsa import PrivateKey, compute_address, sign_digest
from microrollup.crypto.keccak import keccak256
from microrollup.crypto.signatures import bls, ed25519, mldsa, multi, winternitz
from microrollup.crypto.signatures.schemes import canonicalize
from microrollup.crypto.signatures.statement import Statement

__all__ = ["BlsKeys", "Ed25519Key", "GroupKey", "MlDsaKey", "WinternitzKey"]


class Ed25519Key:
    """A key of scheme 3, from its 32-byte seed."""

    def __init__(self, seed: bytes) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self._public: Final = self._key.public_key().public_bytes_raw()
        self.sender: Final = ed25519.compute_sender(self._public)
        """20 bytes."""

    def sign(self, digest: bytes, /) -> bytes:
        """The 97 bytes over a 32-byte digest; the same each time."""
        return bytes((ed25519.SCHEME,)) + self._public + self._key.sign(digest)


class BlsKeys:
    """The keys of a group of scheme 5, from their 32-byte secrets, which are taken modulo the order of the curve."""

    def __init__(self, secrets: Sequence[bytes]) -> None:
        secret_keys = [curve.Scalar.from_be_bytes_mod_order(secret) for secret in secrets]
        self._secrets = {bytes((curve.G1Point() * key).to_compressed_bytes()): key for key in secret_keys}
        self.sender: Final = bls.compute_sender(list(self._secrets))
        """20 bytes."""

    def sign(self, digest: bytes, /) -> bytes:
        """The signature of all keys over a 32-byte digest, 243 bytes for one key and 144 for each more."""
        message = bls.compute_message(digest, self.sender)
        signatures = [_multiply_hash(key, message, bls.SIGNATURE_DST) for key in self._secrets.values()]
        items = [key + self._prove(key) for key in sorted(self._secrets)]
        head = bytes((bls.SCHEME,)) + len(items).to_bytes(2, "big")
        total = functools.reduce(lambda one, other: one + other, signatures)
        return head + b"".join(items) + bytes(total.to_compressed_bytes())

    def _prove(self, key: bytes) -> bytes:
        return bytes(_multiply_hash(self._secrets[key], key, bls.PROOF_DST).to_compressed_bytes())


def _multiply_hash(key: curve.Scalar, message: bytes, dst: bytes) -> curve.G2Point:
    return curve.G2Point.hash_to_curve(message, dst) * key


class MlDsaKey:
    """A key of scheme 6, from its 32-byte seed."""

    def __init__(self, seed: bytes) -> None:
        self._key = MLDSA44PrivateKey.from_seed_bytes(seed)
        self._public: Final = self._key.public_key().public_bytes_raw()
        self.sender: Final = mldsa.compute_sender(self._public)
        """20 bytes."""

    def sign_statement(self, statement: Statement, /) -> bytes:
        """The 3,733 bytes over a statement; others each time."""
        part = self._key.sign(statement.digest, statement.domain_separator)
        return bytes((mldsa.SCHEME,)) + self._public + part


class WinternitzKey:
    """A key of scheme 7, from its 32-byte secret. Sign one digest with it, ever."""

    def __init__(self, secret: bytes) -> None:
        self._seed: Final = keccak256(b"seed" + secret)
        self._firsts: Final = [keccak256(secret + bytes((chain,))) for chain in range(winternitz.CHAINS)]
        root = keccak256(self._seed + b"".join(self._climb([winternitz.TOP] * winternitz.CHAINS)))
        self.sender: Final = winternitz.compute_sender(self._seed, root)
        """20 bytes."""

    def sign(self, digest: bytes, /) -> bytes:
        """The 2,177 bytes over a 32-byte digest. The caller answers for never signing another."""
        values = self._climb(winternitz.compute_digits(digest))
        return bytes((winternitz.SCHEME,)) + self._seed + b"".join(values)

    def _climb(self, digits: Sequence[int]) -> list[bytes]:
        return [
            winternitz.climb(self._seed, chain, 0, digit, self._firsts[chain]) for chain, digit in enumerate(digits)
        ]


class _Member(Protocol):
    @property
    def sender(self) -> bytes: ...

    def sign(self, digest: bytes, /) -> bytes: ...


class GroupKey:
    """A group of scheme 4 whose keys are all here: `signing` says which of them sign, by their place in `keys`."""

    def __init__(self, threshold: int, keys: Sequence[PrivateKey | _Member], signing: Sequence[int]) -> None:
        """Raises `BadSignature` for a threshold that no group has."""
        self._threshold = threshold
        self._keys = {compute_address(key) if isinstance(key, PrivateKey) else key.sender: key for key in keys}
        self._signing = [list(self._keys)[place] for place in signing]
        self.sender: Final = multi.compute_sender(threshold, tuple(self._keys))
        """20 bytes."""

    def sign_statement(self, statement: Statement, /) -> bytes:
        """The signature of the members that sign."""
        digest = statement.compute_member_digest(self.sender)
        signatures = {}
        for sender in self._signing:
            key = self._keys[sender]
            raw = sign_digest(key, digest) if isinstance(key, PrivateKey) else key.sign(digest)
            signatures[sender] = canonicalize(raw)
        return multi.encode_group(self._threshold, tuple(self._keys), signatures)
