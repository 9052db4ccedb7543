"""Scheme 2: a WebAuthn assertion (W3C Web Authentication Level 2, section 7.2), so that a passkey signs actions.

    offset      bytes   what
    0           1       0x02
    1           32      x of the credential's P-256 public key, big-endian
    33          32      y
    65          32      r
    97          32      s, the low one
    129         2       a = length of authenticatorData, big-endian, at least 37
    131         a       authenticatorData: rpIdHash(32) || flags(1) || signCount(4) || extensions
    131 + a     2       c = length of clientDataJSON, big-endian
    133 + a     c       clientDataJSON, UTF-8
    133 + a + c         the end; at most 2,048 bytes in all

The signature is over `sha256(authenticatorData || sha256(clientDataJSON))`; the sender is
`keccak256(0x02 || x || y)[12:]`. Every byte but s is under the signature or in the sender, and of the two s the low one
is stored, so an assertion has one form.

What is checked: `type` is "webauthn.get" (not the making of a credential); `challenge` is the action's digest; the user
was present (flag 0x01) and verified, by PIN or biometry (flag 0x04).

What is not: `rpIdHash`, `origin` and `crossOrigin`. A rollup serves many wallets and belongs to no web site, so there
is nothing to compare them with. What must be bound is bound by the digest: rollup, chain, inbox, action and nonce
(EIP-712). Which pages may ask a passkey for a signature is the browser's business, by the relying party id under which
the wallet made it: a wallet's passkey should serve actions and nothing else, for a site that also logs its users in
with it could ask for a login and be given an action. The signature counter and the backup flags are not looked at
either: synchronised passkeys do not count, and the kernel nonce is what refuses a replay.
"""

from __future__ import annotations

import hashlib
import importlib
from base64 import urlsafe_b64encode
from collections.abc import Callable
from typing import Any, Final

from microrollup.codec.json_text import parse_json
from microrollup.crypto.signatures import p256
from microrollup.errors import BadClientData, BadSignature, RefusedError, UserNotVerified, WrongChallenge, WrongLength

__all__ = [
    "MAX_BYTES",
    "MIN_AUTHENTICATOR_DATA_BYTES",
    "MIN_BYTES",
    "SCHEME",
    "USER_PRESENT",
    "USER_VERIFIED",
    "canonicalize",
    "compute_challenge",
    "compute_signed_hash",
    "encode_assertion",
    "recover_sender",
]

SCHEME: Final = 2
"""The first byte of a signature."""

MIN_AUTHENTICATOR_DATA_BYTES: Final = 37
"""rpIdHash(32), flags(1) and signCount(4)."""

USER_PRESENT: Final = 0x01
"""Flag UP of authenticatorData: somebody touched the authenticator."""

USER_VERIFIED: Final = 0x04
"""Flag UV: it was the credential's owner, by PIN or biometry."""

_FLAGS_AT: Final = 32
_HEAD_END: Final = 129
_LENGTH_BYTES: Final = 2

MIN_BYTES: Final = _HEAD_END + _LENGTH_BYTES + MIN_AUTHENTICATOR_DATA_BYTES + _LENGTH_BYTES
MAX_BYTES: Final = 2_048
"""The longest assertion that is taken: browsers give some 400 bytes."""

_MAX_PART_BYTES: Final = 0xFFFF


def canonicalize(signature: bytes) -> bytes:
    """The assertion with the low s. Raises `WrongLength` unless its lengths add up, or `BadSignature` for r or s."""
    _split(signature)
    return signature[:1] + p256.normalize_point_and_scalars(signature[1:_HEAD_END]) + signature[_HEAD_END:]


def recover_sender(digest: bytes, signature: bytes) -> bytes:
    """The sender of a canonical assertion whose challenge is a 32-byte digest.

    Raises `BadClientData`, `WrongChallenge`, `UserNotVerified`, `WrongLength` or `BadSignature`.
    """
    authenticator_data, client_data_json = _split(signature)
    _check_client_data(client_data_json, digest)
    flags = authenticator_data[_FLAGS_AT]
    if not flags & USER_PRESENT or not flags & USER_VERIFIED:
        raise UserNotVerified(f"the authenticator's flags are 0x{flags:02x}: the user was not present, or not verified")
    p256.verify(compute_signed_hash(authenticator_data, client_data_json), signature[1:_HEAD_END])
    return p256.compute_sender(SCHEME, signature[1:65])


def compute_challenge(digest: bytes) -> str:
    """The challenge in clientDataJSON for a 32-byte digest: base64url without padding, 43 characters."""
    return urlsafe_b64encode(digest).rstrip(b"=").decode()


def compute_signed_hash(authenticator_data: bytes, client_data_json: bytes) -> bytes:
    """The 32 bytes that an authenticator signs."""
    return hashlib.sha256(authenticator_data + hashlib.sha256(client_data_json).digest()).digest()


def encode_assertion(point: bytes, authenticator_data: bytes, client_data_json: bytes, signature: bytes) -> bytes:
    """The canonical signature of what a browser gives: `signature` is ASN.1 DER, `point` the key's `x(32) || y(32)`.

    Raises `WrongLength` or `BadSignature`; nothing is verified.
    """
    if len(point) != p256.POINT_BYTES:
        raise WrongLength(f"a public key has {p256.POINT_BYTES} bytes, not {len(point)}")
    if max(len(authenticator_data), len(client_data_json)) > _MAX_PART_BYTES:
        raise WrongLength(f"an assertion's parts have at most {_MAX_PART_BYTES} bytes")
    try:
        scalars = b"".join([scalar.to_bytes(32, "big") for scalar in _load_decode_der()(signature)])
    except OverflowError:
        raise BadSignature("r and s lie between 0 and the curve's order") from None
    parts = [len(part).to_bytes(_LENGTH_BYTES, "big") + part for part in (authenticator_data, client_data_json)]
    return canonicalize(bytes((SCHEME,)) + point + scalars + b"".join(parts))


def _load_decode_der() -> Callable[[bytes], tuple[int, int]]:
    openssl = importlib.import_module("microrollup.crypto.signatures.openssl")
    decode_der: Callable[[bytes], tuple[int, int]] = openssl.decode_der
    return decode_der


def _split(signature: bytes) -> tuple[bytes, bytes]:
    """The authenticatorData and clientDataJSON. Raises `WrongLength` unless the lengths fill the signature exactly."""
    authenticator_data, at = _read_part(signature, _HEAD_END, "authenticatorData")
    client_data_json, end = _read_part(signature, at, "clientDataJSON")
    if end != len(signature):
        raise WrongLength(f"{len(signature) - end} bytes follow clientDataJSON")
    if len(authenticator_data) < MIN_AUTHENTICATOR_DATA_BYTES:
        raise WrongLength(
            f"authenticatorData has at least {MIN_AUTHENTICATOR_DATA_BYTES} bytes, not {len(authenticator_data)}"
        )
    return authenticator_data, client_data_json


def _read_part(signature: bytes, at: int, name: str) -> tuple[bytes, int]:
    """The part whose length is at `at`, and where it ends."""
    start = at + _LENGTH_BYTES
    end = start + int.from_bytes(signature[at:start], "big")
    if end > len(signature):
        raise WrongLength(f"{name} is cut off")
    return signature[start:end], end


def _check_client_data(raw: bytes, digest: bytes) -> None:
    """Check the members that count; others, which browsers may add, are under the signature and mean nothing here."""
    try:
        client_data: Any = parse_json(raw)
    except RefusedError as error:
        raise BadClientData(f"clientDataJSON: {error.detail}") from None
    if type(client_data) is not dict:
        raise BadClientData("clientDataJSON is not an object")
    if client_data.get("type") != "webauthn.get":
        raise BadClientData('the type in clientDataJSON is not "webauthn.get"')
    if client_data.get("challenge") != compute_challenge(digest):
        raise WrongChallenge("the challenge is not this action's digest: another domain, message or nonce was signed")
