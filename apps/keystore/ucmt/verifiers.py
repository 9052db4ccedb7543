"""What the four verifiers answer, in Python: the same word, or the same revert, as the contracts.

One form is taken of each encoding, the one that `abi.encode` gives; the contracts follow other offsets too.
"""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType
from typing import Any, Final

import coincurve

from microrollup.codec.abi import compile_arguments_decoder
from microrollup.codec.schema import BytesType, IntegerType, SchemaType, TupleType
from microrollup.crypto.keccak import keccak256
from microrollup.crypto.signatures import p256, webauthn
from microrollup.errors import DecodeError, MicrorollupError, RefusedError

from .nodes import ADDRESS, COSIGN_CONFIG, MAX_OWNERS, MULTISIG_CONFIG, VERIFIER_BYTES, WEBAUTHN_CONFIG, WORD
from .signatures import ASSERTION, COSIGNED, SIGNATURES_ONLY_TAG, SIGNERS, wrap_message

__all__ = ["JUDGES", "ContractReverts", "Judge", "judge_cosign", "judge_ecdsa", "judge_multisig", "judge_webauthn"]

Judge = Callable[[bytes, bytes, bytes], bool]
"""(message, data, config) -> whether the data is a valid signature. Raises `ContractReverts`."""

_UINT256: Final = IntegerType(256, False)
_BYTES: Final = BytesType()
_OPERATION: Final[tuple[SchemaType, ...]] = (
    TupleType((ADDRESS, _UINT256, _BYTES, _BYTES, WORD, _UINT256, WORD, _BYTES, _BYTES)),
)
_decode_operation: Final = compile_arguments_decoder(_OPERATION)
_decode_multisig: Final = compile_arguments_decoder(MULTISIG_CONFIG)
_decode_webauthn: Final = compile_arguments_decoder(WEBAUTHN_CONFIG)
_decode_cosign: Final = compile_arguments_decoder(COSIGN_CONFIG)
_decode_signers: Final = compile_arguments_decoder(SIGNERS)
_decode_assertion: Final = compile_arguments_decoder(ASSERTION)
_decode_cosigned: Final = compile_arguments_decoder(COSIGNED)

_MAX_RAW_BYTES: Final = 65
_FLAGS_AT: Final = 32
_FLAGS: Final = webauthn.USER_PRESENT | webauthn.USER_VERIFIED
_TYPE: Final = b'"type":"webauthn.get"'
_ASSERTION_HEAD: Final = (0x20).to_bytes(32, "big") + (0xC0).to_bytes(32, "big")


class ContractReverts(MicrorollupError):
    """A contract would revert; `reason` is the name of its error, empty if it has none."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}" if reason else detail)
        self.reason = reason


def judge_ecdsa(message: bytes, data: bytes, config: bytes) -> bool:
    """One Ethereum key."""
    signature = data if len(data) <= _MAX_RAW_BYTES else _get_operation_signature(data)
    return _recover(message, signature) == config[:VERIFIER_BYTES]


def judge_multisig(message: bytes, data: bytes, config: bytes) -> bool:
    """Several of many Ethereum keys; each owner counts once."""
    threshold, owners = _decode(_decode_multisig, config)
    if threshold == 0:
        raise ContractReverts("ZeroThresholdNotAllowed", "nobody would have to sign")
    if not threshold <= len(owners) <= MAX_OWNERS:
        raise ContractReverts("InvalidNumberOfOwners", f"{threshold} of {len(owners)}")
    if list(owners) != sorted(set(owners)):
        raise ContractReverts("OwnersUnsortedOrHasDuplicates", "owners ascend")
    (signatures,) = _decode(_decode_signers, _get_signatures(data))
    if len(signatures) > MAX_OWNERS:
        raise ContractReverts("MaxSignaturesExceeded", f"{len(signatures)} signatures")
    signed = set()
    for index, signature in signatures:
        if index >= len(owners):
            raise ContractReverts("", f"there is no owner {index}")
        if _recover(message, signature) == owners[index]:
            signed.add(index)
    return bool(len(signed) >= threshold)


def judge_webauthn(message: bytes, data: bytes, config: bytes) -> bool:
    """One passkey."""
    x, y = _decode(_decode_webauthn, config)
    is_assertion = len(data) >= 0xE0 and data[: len(_ASSERTION_HEAD)] == _ASSERTION_HEAD
    return _is_asserted(message, data if is_assertion else _get_operation_signature(data), x + y)


def judge_cosign(message: bytes, data: bytes, config: bytes) -> bool:
    """One passkey and one Ethereum key."""
    cosigner, x, y = _decode(_decode_cosign, config)
    signature, assertion = _decode(_decode_cosigned, _get_signatures(data))
    return _recover(message, signature) == cosigner and _is_asserted(message, assertion, x + y)


JUDGES: Final = MappingProxyType(
    {"ecdsa": judge_ecdsa, "multisig": judge_multisig, "webauthn": judge_webauthn, "cosign": judge_cosign}
)
"""Kind of verifier -> its judge."""


def _decode(decode: Callable[[bytes], list[Any]], raw: bytes) -> list[Any]:
    try:
        return decode(raw)
    except DecodeError as error:
        raise ContractReverts("", str(error)) from None


def _get_operation_signature(data: bytes) -> bytes:
    """The field `signature` of an encoded PackedUserOperation."""
    signature: bytes = _decode(_decode_operation, data)[0][-1]
    return signature


def _get_signatures(data: bytes) -> bytes:
    if data[:1] == SIGNATURES_ONLY_TAG:
        return data[1:]
    return _get_operation_signature(data)


def _recover(message: bytes, signature: bytes) -> bytes:
    """The address that signed; as `ecrecover`, either s is taken."""
    if len(signature) == 65:
        compact, recovery_id = signature[:64], signature[64] - 27
    elif len(signature) == 64:
        compact = signature[:32] + bytes((signature[32] & 0x7F,)) + signature[33:]
        recovery_id = signature[32] >> 7
    else:
        raise ContractReverts("InvalidSignature", f"{len(signature)} bytes are not a signature of 64 or 65")
    if recovery_id not in (0, 1):
        raise ContractReverts("InvalidSignature", f"v is {signature[64]}, not 27 or 28")
    try:
        key = coincurve.PublicKey.from_signature_and_message(
            compact + bytes((recovery_id,)), wrap_message(message), hasher=None
        )
    except Exception as error:  # coincurve raises bare Exception and ValueError alike
        raise ContractReverts("InvalidSignature", "no key can have made this signature") from error
    return keccak256(key.format(compressed=False)[1:])[12:]


def _is_asserted(message: bytes, encoded: bytes, point: bytes) -> bool:
    """Whether the passkey of a point answered the challenge, with its user verified."""
    try:
        ((authenticator_data, text, challenge_index, type_index, r, s),) = _decode_assertion(encoded)
    except DecodeError:
        return False
    client_data = text.encode()
    challenge = b'"challenge":"' + webauthn.compute_challenge(message).encode() + b'"'
    found = client_data[type_index:].startswith(_TYPE) and client_data[challenge_index:].startswith(challenge)
    if not found or len(authenticator_data) <= _FLAGS_AT or authenticator_data[_FLAGS_AT] & _FLAGS != _FLAGS:
        return False
    part = point + r + s
    try:
        if part != p256.normalize_point_and_scalars(part):
            return False
        p256.verify(webauthn.compute_signed_hash(authenticator_data, client_data), part)
    except RefusedError:
        return False
    return True
