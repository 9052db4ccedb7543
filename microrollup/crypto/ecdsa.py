"""secp256k1 signatures and Ethereum addresses, on libsecp256k1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol, TypeAlias

import coincurve
from coincurve._libsecp256k1 import ffi, lib  # type: ignore[import-not-found]  # a compiled module
from coincurve.context import GLOBAL_CONTEXT
from coincurve.flags import EC_UNCOMPRESSED

from microrollup._native.choice import get_library
from microrollup.crypto.keccak import keccak256
from microrollup.errors import BadSignature, HighS, IntakeStopped, MicrorollupError, WrongLength

__all__ = [
    "NO_KEY",
    "MessageSigner",
    "PrivateKey",
    "SignerUnavailable",
    "SigningKey",
    "canonicalize_signature",
    "compute_address",
    "load_private_key",
    "recover_address",
    "recover_addresses",
    "sign_digest",
    "sign_message",
    "sign_messages",
]

_HALF_ORDER: Final = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0
_HALF_ORDER_BYTES: Final = _HALF_ORDER.to_bytes(32, "big")
_RECOVERY_IDS: Final = {0: 0, 1: 1, 27: 0, 28: 1}

_DIGEST_BYTES: Final = 32
_SIGNATURE_BYTES: Final = 65
_POINT_BYTES: Final = 65
_MAX_RECOVERY_ID: Final = 3

_MIN_NATIVE: Final = 4
"""Signatures from which on the native helper is faster."""

_PARSE: Final = lib.secp256k1_ecdsa_recoverable_signature_parse_compact
_SERIALIZE: Final = lib.secp256k1_ec_pubkey_serialize

NO_KEY: Final = "no key can have made this signature"
"""What `BadSignature` says where a signature recovers to no key."""

PrivateKey = coincurve.PrivateKey


class SignerUnavailable(IntakeStopped):
    """A signer in another process does not sign now; what waits for its signature is not made, and can be again."""


class MessageSigner(Protocol):
    """A key that somebody else holds: it signs whole messages, of which it takes the hash itself."""

    @property
    def address(self) -> bytes:
        """The 20-byte address of the key."""
        ...

    @property
    def failure(self) -> str | None:
        """Why it did not sign the last time; None if it did."""
        ...

    def sign_messages(self, messages: Sequence[bytes]) -> list[bytes | MicrorollupError]:
        """For each message its signature over `keccak256(message)`, as `sign_digest` makes it, or why there is none."""
        ...


SigningKey: TypeAlias = PrivateKey | MessageSigner
"""What signs as builder or verifier: a key in this process, or a signer elsewhere."""


def load_private_key(secret: bytes) -> coincurve.PrivateKey:
    """The secp256k1 private key of 32 bytes.

    Raises `ValueError` unless the bytes are a scalar of the curve.
    """
    return coincurve.PrivateKey(secret)


def compute_address(key: SigningKey) -> bytes:
    """The 20-byte Ethereum address of a key."""
    if not isinstance(key, coincurve.PrivateKey):
        return key.address
    return keccak256(key.public_key.format(compressed=False)[1:])[12:]


def sign_digest(key: coincurve.PrivateKey, digest: bytes) -> bytes:
    """Sign a 32-byte digest: `r(32) || s(32) || v(1)`, low s, v 27 or 28 (RFC 6979, so the same bytes each time)."""
    signature = key.sign_recoverable(digest, hasher=None)
    return signature[:64] + bytes((signature[64] + 27,))


def sign_message(key: SigningKey, message: bytes) -> bytes:
    """Sign `keccak256(message)`, as `sign_digest` does. Raises `SignerUnavailable` for a signer elsewhere."""
    (signature,) = sign_messages(key, [message])
    if isinstance(signature, MicrorollupError):
        raise signature
    return signature


def sign_messages(key: SigningKey, messages: Sequence[bytes]) -> list[bytes | MicrorollupError]:
    """Sign several messages; a signer elsewhere gets them together, and may sign some of them only."""
    if isinstance(key, coincurve.PrivateKey):
        return [sign_digest(key, keccak256(message)) for message in messages]
    return key.sign_messages(messages)


def canonicalize_signature(signature: bytes) -> bytes:
    """The one form that the log stores: 65 bytes `r || s || recovery id (0 or 1)`.

    Accepts 65 bytes with v in {0, 1, 27, 28} and EIP-2098's 64 bytes (`r || yParity and s`).
    Raises `WrongLength`, `BadSignature` (unknown v) or `HighS` (EIP-2: only the low s is one signature).
    """
    if len(signature) == 65:
        recovery_id = _RECOVERY_IDS.get(signature[64])
        if recovery_id is None:
            raise BadSignature(f"v is {signature[64]}, not 0, 1, 27 or 28")
        compact = signature[:64]
    elif len(signature) == 64:
        recovery_id = signature[32] >> 7
        compact = signature[:32] + bytes((signature[32] & 0x7F,)) + signature[33:]
    else:
        raise WrongLength(f"a secp256k1 signature has 64 or 65 bytes, not {len(signature)}")
    if compact[32:] > _HALF_ORDER_BYTES:
        raise HighS("s lies in the upper half of the curve's order; use the low s")
    return compact + bytes((recovery_id,))


def recover_address(digest: bytes, signature: bytes) -> bytes:
    """The 20-byte address whose key made a canonical signature (65 bytes, recovery id 0 or 1) over a 32-byte digest.

    Raises `BadSignature` if no key can have made it.
    """
    (address,) = recover_addresses((digest,), (signature,))
    if address is None:
        raise BadSignature(NO_KEY)
    return address


def recover_addresses(digests: Sequence[bytes], signatures: Sequence[bytes]) -> list[bytes | None]:
    """`recover_address` of many, in order: an address, or None where no key can have made the signature.

    Raises `ValueError` unless there are as many signatures as digests.
    """
    library = get_library()
    if library is not None and len(digests) >= _MIN_NATIVE and _have_lengths(digests, signatures):
        return library.recover_addresses(digests, signatures)
    return _recover_each(digests, signatures)


def _have_lengths(digests: Sequence[bytes], signatures: Sequence[bytes]) -> bool:
    """Whether there are as many signatures as digests, all as long as they have to be."""
    lengths = {*map(len, digests)} <= {_DIGEST_BYTES} and {*map(len, signatures)} <= {_SIGNATURE_BYTES}
    return len(digests) == len(signatures) and lengths


def _recover_each(digests: Sequence[bytes], signatures: Sequence[bytes]) -> list[bytes | None]:
    """One loop over libsecp256k1's own functions, with buffers that are used again."""
    context, parse, recover, serialize = GLOBAL_CONTEXT.ctx, _PARSE, lib.secp256k1_ecdsa_recover, _SERIALIZE
    parsed, key = ffi.new("secp256k1_ecdsa_recoverable_signature *"), ffi.new("secp256k1_pubkey *")
    point, size = ffi.new("unsigned char[]", _POINT_BYTES), ffi.new("size_t *", _POINT_BYTES)
    view = ffi.buffer(point)
    addresses: list[bytes | None] = []
    for digest, signature in zip(digests, signatures, strict=True):
        # libsecp256k1 reads so many bytes whatever it is given, and aborts the process for other recovery ids
        if (
            len(digest) == _DIGEST_BYTES
            and len(signature) == _SIGNATURE_BYTES
            and signature[64] <= _MAX_RECOVERY_ID
            and parse(context, parsed, signature, signature[64])
            and recover(context, key, parsed, digest)
        ):
            serialize(context, point, size, key, EC_UNCOMPRESSED)
            addresses.append(keccak256(view[1:])[12:])
        else:
            addresses.append(None)
    return addresses
