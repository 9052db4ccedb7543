"""Why a validator says no: what it was given is read as it reads it, and it is asked about other hashes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from msgspec import Struct

from microrollup.codec.json import hex0x
from microrollup.crypto.ecdsa import canonicalize_signature, recover_address
from microrollup.crypto.keccak import keccak256
from microrollup.crypto.signatures.p256 import POINT_BYTES
from microrollup.crypto.signatures.webauthn import USER_VERIFIED, compute_challenge
from microrollup.errors import MicrorollupError

from .configuration import Configuration, load_code_hash

__all__ = ["Explanation", "judge_signature"]

_ECDSA_BYTES: Final = 65
_ADDRESS_BYTES: Final = 20
_FLAGS_AT: Final = 32
_P256_HALF_ORDER: Final = 0x7FFFFFFF800000007FFFFFFFFFFFFFFFDE737D56D38BCF4279DCE5617E3192A8
_TAIL_BYTES: Final = 68
_SIGN_AGAIN: Final = "sign this operation, unchanged, with what is configured"


class Explanation(Struct, frozen=True):
    """Why a signature is not taken, and what to do."""

    cause: str
    """A name of `CAUSES`."""
    what: str
    """The same in words, with what was found."""
    remedy: str
    """What to do next."""


def judge_signature(
    configuration: Configuration,
    signature: bytes,
    chain_id: int,
    hashes: Mapping[int, bytes],
    ask: Callable[[bytes], bool],
) -> Explanation:
    """Why the validator of an opened configuration says no.

    `hashes` are those of the operation by chain, `ask` says whether the validator takes the signature over a hash.
    """
    digest = hashes[chain_id]
    if ask(digest):
        return Explanation("taken", "the validator takes the signature", "nothing; look at the times (AA22)")
    form = _find_wrong_form(configuration, signature)
    if form:
        return Explanation("signature_form", form, "encode what the key has signed anew")
    text = keccak256(b"\x19Ethereum Signed Message:\n32" + digest)
    if ask(text):
        return Explanation("signed_as_text", "the hash was signed as a text (EIP-191)", "sign the 32 bytes themselves")
    for other, hashed in hashes.items():
        if other != chain_id and ask(hashed):
            return Explanation(
                "other_chain", f"it is signed for chain {other}, not {chain_id}", "sign it for this chain"
            )
    code_hash = configuration.code_hash
    if code_hash in (load_code_hash("WebAuthnValidator"), load_code_hash("WebAuthnSolidityValidator")):
        return _judge_assertion(signature, digest)
    if code_hash in (load_code_hash("ECDSAValidator"), load_code_hash("MultisigValidator")):
        return _judge_signers(configuration, signature, digest)
    return Explanation("wrong_key", "another key signed, or another operation", _SIGN_AGAIN)


def _find_wrong_form(configuration: Configuration, signature: bytes) -> str:
    """What about its form the validator does not take; empty if it may be right."""
    code_hash, config = configuration.code_hash, configuration.config
    if code_hash == load_code_hash("ECDSAValidator"):
        return _find_wrong_ecdsa(signature, 1)
    if code_hash == load_code_hash("MultisigValidator"):
        return _find_wrong_ecdsa(signature, config[0] if config else 0)
    if code_hash in (load_code_hash("P256Validator"), load_code_hash("P256SolidityValidator")):
        if len(signature) != POINT_BYTES:
            return f"a P-256 signature has 64 bytes, not {len(signature)}"
        return "s is above half of the order" if _is_high(signature) else ""
    if code_hash in (load_code_hash("WebAuthnValidator"), load_code_hash("WebAuthnSolidityValidator")):
        if len(signature) < _TAIL_BYTES + 2 or _read_assertion(signature)[0] is None:
            return "the assertion is cut off"
        return "s is above half of the order" if _is_high(signature) else ""
    return ""


def _is_high(signature: bytes) -> bool:
    return int.from_bytes(signature[-32:], "big") > _P256_HALF_ORDER


def _find_wrong_ecdsa(signature: bytes, count: int) -> str:
    if len(signature) != _ECDSA_BYTES * count:
        return f"{count} signatures of 65 bytes each are due, not {len(signature)} bytes"
    for number, part in enumerate(_split(signature)):
        if part[64] not in (27, 28):
            return f"signature {number} ends in v = {part[64]}, not 27 or 28"
        try:
            canonicalize_signature(part)
        except MicrorollupError as error:
            return f"signature {number}: {error}"
    return ""


def _split(signature: bytes) -> list[bytes]:
    return [signature[start : start + _ECDSA_BYTES] for start in range(0, len(signature), _ECDSA_BYTES)]


def _judge_signers(configuration: Configuration, signature: bytes, digest: bytes) -> Explanation:
    """Whose signatures they are."""
    owners = configuration.config
    if configuration.code_hash == load_code_hash("MultisigValidator"):
        owners = owners[1:]
    known = {owners[start : start + _ADDRESS_BYTES] for start in range(0, len(owners), _ADDRESS_BYTES)}
    signers: Sequence[bytes] = [_recover(digest, part) for part in _split(signature)]
    foreign = [hex0x(signer) for signer in signers if signer not in known]
    if foreign:
        return Explanation(
            "wrong_key",
            f"{', '.join(foreign)} signed, of whom the configuration does not know; or another operation was signed",
            _SIGN_AGAIN,
        )
    return Explanation(
        "signer_order", "the signers do not ascend by address, or one comes twice", "sort them: sign_multisig does"
    )


def _recover(digest: bytes, signature: bytes) -> bytes:
    try:
        return recover_address(digest, canonicalize_signature(signature))
    except MicrorollupError:
        return bytes(_ADDRESS_BYTES)


def _read_assertion(signature: bytes) -> tuple[bytes | None, bytes]:
    """AuthenticatorData and clientDataJSON; none if it is cut off."""
    size = int.from_bytes(signature[:2], "big")
    end = len(signature) - _TAIL_BYTES
    data = signature[2 : 2 + size]
    if 2 + size > end or len(data) <= _FLAGS_AT + 4:
        return None, b""
    return data, signature[2 + size : end]


def _judge_assertion(signature: bytes, digest: bytes) -> Explanation:
    data, client_data = _read_assertion(signature)
    if f'"challenge":"{compute_challenge(digest)}"'.encode() not in client_data:
        return Explanation(
            "other_challenge",
            "the passkey answered another challenge than this operation's hash",
            "ask it again: limits and fees are signed too",
        )
    if data is not None and not data[_FLAGS_AT] & USER_VERIFIED:
        what = "the passkey did not verify its user"
        return Explanation("user_not_verified", what, 'ask with userVerification "required"')
    return Explanation("wrong_key", "another passkey signed", _SIGN_AGAIN)
