"""The schemes by which an action may be signed, told apart by length and first byte.

    64 or 65 bytes      secp256k1, as Ethereum's wallets sign      (`microrollup.crypto`)
    1 || ...            P-256 over the digest                      (`p256`)
    2 || ...            a WebAuthn assertion, made by a passkey    (`webauthn`)

Every scheme gives a 20-byte sender, has one stored form of a signature, and costs nothing to those who never see it:
the library behind schemes 1 and 2 is loaded with their first signature.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from microrollup.crypto import canonicalize_signature, recover_address
from microrollup.errors import UnknownScheme, WrongLength
from microrollup.signatures import p256, webauthn

__all__ = ["MAX_SIGNATURE_BYTES", "MIN_SIGNATURE_BYTES", "canonicalize", "recover_sender", "to_wallet_form"]

MIN_SIGNATURE_BYTES: Final = 65
"""The shortest stored signature: `r(32) || s(32) || recovery id(1)` of secp256k1."""

MAX_SIGNATURE_BYTES: Final = 2_048
"""The longest signature, its scheme byte included."""

_SECP256K1_LENGTHS: Final = frozenset({64, 65})
_SECP256K1_STORED_BYTES: Final = 65


class _Scheme(msgspec.Struct, frozen=True):
    """A scheme of those that begin with a byte of their own."""

    canonicalize: Callable[[bytes], bytes]
    recover_sender: Callable[[bytes, bytes], bytes]


_SCHEMES: Final = {
    p256.SCHEME: _Scheme(p256.canonicalize, p256.recover_sender),
    webauthn.SCHEME: _Scheme(webauthn.canonicalize, webauthn.recover_sender),
}


def canonicalize(signature: bytes) -> bytes:
    """The one form that the log stores, of a signature in any form that a wallet gives.

    secp256k1: 65 bytes with recovery id 0 or 1; P-256 and WebAuthn: the same bytes with the low s. Raises
    `WrongLength`, `UnknownScheme`, `BadSignature`, or `HighS` for secp256k1: wallets normalise, authenticators do not.
    """
    if len(signature) in _SECP256K1_LENGTHS:
        return canonicalize_signature(signature)
    return _get_scheme(signature).canonicalize(signature)


def recover_sender(digest: bytes, signature: bytes) -> bytes:
    """The 20-byte sender who made a canonical signature over a 32-byte digest.

    Raises `BadSignature` if nobody did, and what its scheme refuses: `BadClientData`, `WrongChallenge`,
    `UserNotVerified`, `WrongLength`, `UnknownScheme`.
    """
    if len(signature) == _SECP256K1_STORED_BYTES:
        return recover_address(digest, signature)
    return _get_scheme(signature).recover_sender(digest, signature)


def to_wallet_form(signature: bytes) -> bytes:
    """A canonical signature as it is shown: secp256k1 with v 27 or 28, as wallets write it, all others as stored."""
    if len(signature) == _SECP256K1_STORED_BYTES:
        return signature[:64] + bytes((27 + signature[64],))
    return signature


def _get_scheme(signature: bytes) -> _Scheme:
    """The scheme of a signature that is not secp256k1's."""
    length = len(signature)
    if length > MAX_SIGNATURE_BYTES:
        raise WrongLength(f"a signature has at most {MAX_SIGNATURE_BYTES} bytes, not {length}")
    if length < p256.SIGNATURE_BYTES:  # no scheme is shorter: this is rather a damaged one of secp256k1
        raise WrongLength(f"a signature has 64 or 65 bytes, or a scheme byte and at least 128; not {length}")
    scheme = _SCHEMES.get(signature[0])
    if scheme is None:
        raise UnknownScheme(f"no signature scheme has the first byte {signature[0]}; 1 is P-256, 2 is WebAuthn")
    return scheme
