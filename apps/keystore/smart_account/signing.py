"""Signatures as the validators take them, over a 32-byte hash: that of an operation, or one nested after ERC-7739."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from microrollup.crypto.bls_points import load_curve, read_point
from microrollup.crypto.ecdsa import PrivateKey, compute_address, sign_digest
from microrollup.crypto.signatures import p256, webauthn
from microrollup.errors import BadSignature, UsageError

__all__ = ["encode_bls", "encode_p256", "encode_webauthn", "sign_ecdsa", "sign_multisig"]

_SCALARS_START: Final = 1 + p256.POINT_BYTES
"""In both of the kernel's P-256 forms, scheme byte and point come first."""
_PARTS_START: Final = _SCALARS_START + 64
_LENGTH_BYTES: Final = 2


def sign_ecdsa(key: PrivateKey, digest: bytes) -> bytes:
    """`r(32) || s(32) || v(1)`, low s, v 27 or 28."""
    return sign_digest(key, digest)


def sign_multisig(keys: Sequence[PrivateKey], digest: bytes) -> bytes:
    """One signature for each key, in the order of their addresses. As many as the threshold says, no more."""
    return b"".join([sign_digest(key, digest) for key in sorted(keys, key=compute_address)])


def encode_bls(signature: bytes) -> bytes:
    """The 192 bytes of a compressed signature, 96 bytes of a point of G2. Raises `UsageError` if it is not one.

    `x0(48) || x1(48) || y0(48) || y1(48)`: a contract would pay more to find y than to verify.
    """
    try:
        point = read_point(load_curve().G2Point, signature, "a BLS signature")
    except BadSignature as error:
        raise UsageError(str(error)) from None
    return bytes(point.to_xy_bytes_be())


def encode_p256(signature: bytes) -> bytes:
    """`r(32) || s(32)` of a P-256 signature in the kernel's form (scheme 1). Raises `UsageError` if it is not one."""
    if len(signature) != p256.SIGNATURE_BYTES or signature[0] != p256.SCHEME:
        raise UsageError("no P-256 signature")
    return signature[_SCALARS_START:]


def encode_webauthn(signature: bytes) -> bytes:
    """An assertion in the kernel's form (scheme 2, `microrollup.crypto.signatures.webauthn`) as the validator takes it.

    Solady's compact form: `length(2) || authenticatorData || clientDataJSON || challengeIndex(2) || typeIndex(2) ||
    r(32) || s(32)`. Raises `UsageError` if it is not an assertion.
    """
    if len(signature) < _PARTS_START + _LENGTH_BYTES or signature[0] != webauthn.SCHEME:
        raise UsageError("no WebAuthn assertion")
    authenticator_data, end = _read_part(signature, _PARTS_START)
    client_data_json, _end = _read_part(signature, end)
    challenge_index, type_index = client_data_json.find(b'"challenge":"'), client_data_json.find(b'"type":"')
    if challenge_index < 0 or type_index < 0:
        raise UsageError("clientDataJSON names no challenge or no type as browsers write them")
    return b"".join(
        (
            len(authenticator_data).to_bytes(_LENGTH_BYTES, "big"),
            authenticator_data,
            client_data_json,
            challenge_index.to_bytes(_LENGTH_BYTES, "big"),
            type_index.to_bytes(_LENGTH_BYTES, "big"),
            signature[_SCALARS_START:_PARTS_START],
        )
    )


def _read_part(signature: bytes, at: int) -> tuple[bytes, int]:
    start = at + _LENGTH_BYTES
    end = start + int.from_bytes(signature[at:start], "big")
    if end > len(signature):
        raise UsageError("the assertion is cut off")
    return signature[start:end], end
