"""The schemes by which an action may be signed, told apart by length and first byte.

    64 or 65 bytes      secp256k1, as Ethereum's wallets sign      (`microrollup.crypto.ecdsa`)
    1 || ...            P-256 over the digest                      (`p256`)
    2 || ...            a WebAuthn assertion, made by a passkey    (`webauthn`)
    3 || ...            Ed25519 over the digest                    (`ed25519`)
    4 || ...            m of n senders of the schemes above        (`multi`)
    5 || ...            BLS12-381, all n keys of a group    (`bls`)
    6 || ...            ML-DSA-44, post-quantum                    (`mldsa`)
    7 || ...            Winternitz, one-time, hashes alone         (`winternitz`)

Every scheme gives a 20-byte sender, has one stored form of a signature, and costs nothing to those who never see it:
their libraries are loaded with their first signature. A scheme is a row of the table here and a module.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

import msgspec

from microrollup.crypto.ecdsa import canonicalize_signature, recover_address
from microrollup.crypto.signatures import bls, ed25519, mldsa, multi, p256, webauthn, winternitz
from microrollup.crypto.signatures.statement import Statement
from microrollup.errors import UnknownScheme, WrongLength

__all__ = [
    "MAX_SIGNATURE_BYTES",
    "MIN_SIGNATURE_BYTES",
    "canonicalize",
    "get_scheme",
    "recover_sender",
    "to_wallet_form",
]

MIN_SIGNATURE_BYTES: Final = 65
"""The shortest stored signature: `r(32) || s(32) || recovery id(1)` of secp256k1."""

MAX_SIGNATURE_BYTES: Final = multi.MAX_BYTES
"""The longest signature of any scheme, its scheme byte included."""

_SECP256K1_LENGTHS: Final = frozenset({64, 65})
_SECP256K1_STORED_BYTES: Final = 65


class _Scheme(msgspec.Struct, frozen=True):
    """A scheme of those that begin with a byte of their own; lengths include it."""

    min_bytes: int
    max_bytes: int
    canonicalize: Callable[[bytes], bytes]
    recover_sender: Callable[[Statement, bytes], bytes]


def _over_digest(recover: Callable[[bytes, bytes], bytes]) -> Callable[[Statement, bytes], bytes]:
    return lambda statement, signature: recover(statement.digest, signature)


_BASIC: Final = {
    p256.SCHEME: _Scheme(
        p256.SIGNATURE_BYTES, p256.SIGNATURE_BYTES, p256.canonicalize, _over_digest(p256.recover_sender)
    ),
    webauthn.SCHEME: _Scheme(
        webauthn.MIN_BYTES, webauthn.MAX_BYTES, webauthn.canonicalize, _over_digest(webauthn.recover_sender)
    ),
    ed25519.SCHEME: _Scheme(
        ed25519.SIGNATURE_BYTES, ed25519.SIGNATURE_BYTES, ed25519.canonicalize, ed25519.recover_sender
    ),
}
"""What members of a group may use too, besides secp256k1."""


class _Members:
    """The schemes of a group's members, as `multi` takes them."""

    @staticmethod
    def canonicalize(signature: bytes) -> bytes:
        return _canonicalize(signature, _BASIC)

    @staticmethod
    def recover_sender(statement: Statement, signature: bytes) -> bytes:
        return _recover_sender(statement, signature, _BASIC)


_SCHEMES: Final = _BASIC | {
    multi.SCHEME: _Scheme(
        multi.MIN_BYTES,
        multi.MAX_BYTES,
        partial(multi.canonicalize, inner=_Members()),
        partial(multi.recover_sender, inner=_Members()),
    ),
    bls.SCHEME: _Scheme(bls.MIN_BYTES, bls.MAX_BYTES, bls.canonicalize, bls.recover_sender),
    mldsa.SCHEME: _Scheme(mldsa.SIGNATURE_BYTES, mldsa.SIGNATURE_BYTES, mldsa.canonicalize, mldsa.recover_sender),
    winternitz.SCHEME: _Scheme(
        winternitz.SIGNATURE_BYTES, winternitz.SIGNATURE_BYTES, winternitz.canonicalize, winternitz.recover_sender
    ),
}


def canonicalize(signature: bytes) -> bytes:
    """The one form that the log stores, of a signature in any form that a wallet gives.

    secp256k1: 65 bytes with recovery id 0 or 1; P-256 and WebAuthn: the same bytes with the low s; a group's: each
    member's in that form. Raises `WrongLength`, `UnknownScheme`, `BadSignature`, or `HighS` for secp256k1: wallets
    normalise, authenticators do not.
    """
    return _canonicalize(signature, _SCHEMES)


def recover_sender(statement: Statement, signature: bytes) -> bytes:
    """The 20-byte sender who made a canonical signature over a statement.

    Raises `BadSignature` if nobody did, and what its scheme refuses: `BadClientData`, `WrongChallenge`,
    `UserNotVerified`, `WrongLength`, `UnknownScheme`.
    """
    return _recover_sender(statement, signature, _SCHEMES)


def get_scheme(signature: bytes) -> int:
    """The scheme of a canonical signature: its first byte; 0 for secp256k1."""
    return 0 if len(signature) in _SECP256K1_LENGTHS else signature[0]


def _canonicalize(signature: bytes, schemes: dict[int, _Scheme]) -> bytes:
    if len(signature) in _SECP256K1_LENGTHS:
        return canonicalize_signature(signature)
    return _get_scheme(signature, schemes).canonicalize(signature)


def _recover_sender(statement: Statement, signature: bytes, schemes: dict[int, _Scheme]) -> bytes:
    if len(signature) == _SECP256K1_STORED_BYTES:
        return recover_address(statement.digest, signature)
    return _get_scheme(signature, schemes).recover_sender(statement, signature)


def to_wallet_form(signature: bytes) -> bytes:
    """A canonical signature as it is shown: secp256k1 with v 27 or 28, as wallets write it, all others as stored."""
    if len(signature) == _SECP256K1_STORED_BYTES:
        return signature[:64] + bytes((27 + signature[64],))
    return signature


def _get_scheme(signature: bytes, schemes: dict[int, _Scheme]) -> _Scheme:
    """The scheme of a signature that is not secp256k1's, whose bounds it keeps."""
    length = len(signature)
    if not multi.MIN_BYTES <= length <= MAX_SIGNATURE_BYTES:  # a shorter one is rather a damaged one of secp256k1
        raise WrongLength(f"a signature has 64 or 65 bytes, or 91 to 8,192 with a scheme byte; not {length}")
    scheme = schemes.get(signature[0])
    if scheme is None:
        raise UnknownScheme(f"no signature scheme here has the first byte {signature[0]}; there are {sorted(schemes)}")
    if not scheme.min_bytes <= length <= scheme.max_bytes:
        raise WrongLength(
            f"a signature of scheme {signature[0]} has {scheme.min_bytes} to {scheme.max_bytes} bytes, not {length}"
        )
    return scheme
