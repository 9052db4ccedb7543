"""Signatures as the four verifiers take them, made: over the message of an update or the hash of a user operation.

Ethereum keys sign the message as EIP-191 wraps it. Passkeys take it as their challenge.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from microrollup.codec.abi import compile_arguments_encoder
from microrollup.codec.schema import BytesType, IntegerType, SchemaType, SequenceType, StringType, TupleType
from microrollup.crypto.ecdsa import PrivateKey, compute_address, sign_digest
from microrollup.crypto.keccak import keccak256
from microrollup.crypto.signatures import p256
from microrollup.crypto.signatures.webauthn import encode_assertion
from microrollup.errors import UsageError

from .nodes import THREE_BYTES, UINT8, WORD, encode_proof

__all__ = [
    "SIGNATURES_ONLY_TAG",
    "encode_account_signature",
    "encode_cosigned",
    "encode_multisig",
    "encode_webauthn",
    "sign_ecdsa",
    "sign_multisig",
    "wrap_message",
]

SIGNATURES_ONLY_TAG: Final = b"\xff"
"""Comes before signatures of multisig and cosigned nodes that are not in a user operation."""

_UINT256: Final = IntegerType(256, False)
SIGNERS: Final[tuple[SchemaType, ...]] = (SequenceType(TupleType((UINT8, BytesType())), tuple),)
ASSERTION: Final[tuple[SchemaType, ...]] = (
    TupleType((BytesType(), StringType(), _UINT256, _UINT256, WORD, WORD)),
)  # fmt: skip
COSIGNED: Final[tuple[SchemaType, ...]] = (BytesType(), BytesType())

_encode_signers: Final = compile_arguments_encoder(SIGNERS)
_encode_assertion: Final = compile_arguments_encoder(ASSERTION)
_encode_cosigned: Final = compile_arguments_encoder(COSIGNED)
_encode_three: Final = compile_arguments_encoder(THREE_BYTES)

_PREFIX: Final = b"\x19Ethereum Signed Message:\n32"
_SCALARS_START: Final = 1 + p256.POINT_BYTES


def wrap_message(message: bytes) -> bytes:
    """The 32 bytes that Ethereum keys sign of a message of 32 bytes (EIP-191, `personal_sign`)."""
    return keccak256(_PREFIX + message)


def sign_ecdsa(key: PrivateKey, message: bytes) -> bytes:
    """65 bytes: `r(32) || s(32) || v(1)`."""
    return sign_digest(key, wrap_message(message))


def sign_multisig(keys: Sequence[PrivateKey], owners: Sequence[bytes], message: bytes) -> bytes:
    """Each key's signature, as data outside of a user operation. Raises `UsageError` for a key of no owner."""
    ascending = sorted(owners)
    signatures = {}
    for key in keys:
        address = compute_address(key)
        if address not in ascending:
            raise UsageError(f"0x{address.hex()} is not an owner")
        signatures[ascending.index(address)] = sign_ecdsa(key, message)
    return SIGNATURES_ONLY_TAG + encode_multisig(signatures)


def encode_multisig(signatures: Mapping[int, bytes]) -> bytes:
    """`abi.encode(SignerData[])` of signatures by their owners' places. A user operation takes it without the tag."""
    return _encode_signers((tuple(sorted(signatures.items())),))


def encode_webauthn(point: bytes, authenticator_data: bytes, client_data_json: bytes, signature: bytes) -> bytes:
    """Solady's `abi.encode(WebAuthnAuth)` of what a browser gives; `signature` is ASN.1 DER, `point` the key's.

    Raises `BadSignature`, `WrongLength`, or `UsageError` if clientDataJSON has no challenge or type, or is not UTF-8.
    """
    scalars = encode_assertion(point, authenticator_data, client_data_json, signature)[_SCALARS_START:][:64]
    challenge_index, type_index = client_data_json.find(b'"challenge":"'), client_data_json.find(b'"type":"')
    if challenge_index < 0 or type_index < 0:
        raise UsageError("clientDataJSON names no challenge or no type as browsers write them")
    try:
        text = client_data_json.decode()
    except UnicodeDecodeError:
        raise UsageError("clientDataJSON is not UTF-8") from None
    parts = (authenticator_data, text, challenge_index, type_index, scalars[:32], scalars[32:])
    return _encode_assertion((parts,))


def encode_cosigned(signature: bytes, assertion: bytes) -> bytes:
    """The cosigner's signature and the passkey's encoded assertion, as data outside of a user operation."""
    return SIGNATURES_ONLY_TAG + _encode_cosigned((signature, assertion))


def encode_account_signature(siblings: Sequence[bytes] | None, node: bytes, data: bytes) -> bytes:
    """What an account takes as a user operation's signature, or for ERC-1271.

    With siblings the account registers the node first; without (None), `node` is the hash of a registered one.
    `data` is the verifier's, in a user operation without the tag.
    """
    return _encode_three((b"" if siblings is None else encode_proof(siblings), node, data))
