"""Nodes of a user's tree: `verifier(20) || config`, the configs of the four verifiers, and where accounts are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from microrollup.codec.abi import compile_arguments_encoder
from microrollup.codec.schema import BytesType, FixedBytesType, IntegerType, SchemaType, SequenceType
from microrollup.crypto.keccak import compute_create2_address, keccak256
from microrollup.errors import UsageError

__all__ = [
    "MAX_OWNERS",
    "VERIFIER_BYTES",
    "compute_account_address",
    "configure_cosign",
    "configure_ecdsa",
    "configure_multisig",
    "configure_webauthn",
    "encode_node",
    "encode_proof",
]

VERIFIER_BYTES: Final = 20
MAX_OWNERS: Final = 255

WORD: Final = FixedBytesType(32, "bytes32")
ADDRESS: Final = FixedBytesType(20, "address")
UINT8: Final = IntegerType(8, False)
MULTISIG_CONFIG: Final[tuple[SchemaType, ...]] = (UINT8, SequenceType(ADDRESS, tuple))
WEBAUTHN_CONFIG: Final[tuple[SchemaType, ...]] = (WORD, WORD)
COSIGN_CONFIG: Final[tuple[SchemaType, ...]] = (ADDRESS, WORD, WORD)
PROOF: Final[tuple[SchemaType, ...]] = (SequenceType(WORD, tuple),)
THREE_BYTES: Final[tuple[SchemaType, ...]] = (BytesType(), BytesType(), BytesType())

_encode_multisig: Final = compile_arguments_encoder(MULTISIG_CONFIG)
_encode_cosign: Final = compile_arguments_encoder(COSIGN_CONFIG)
_encode_proof: Final = compile_arguments_encoder(PROOF)

_POINT_BYTES: Final = 64
_CLONE_HEAD: Final = bytes.fromhex("602c3d8160093d39f33d3d3d3d363d3d37363d73")
_CLONE_TAIL: Final = bytes.fromhex("5af43d3d93803e602a57fd5bf3")


def encode_node(verifier: bytes, config: bytes) -> bytes:
    """A node; its leaf is keccak256 of it. Raises `UsageError` unless the verifier has 20 bytes, not all zero."""
    if len(verifier) != VERIFIER_BYTES or not any(verifier):
        raise UsageError("a verifier is an address that is not zero")
    return verifier + config


def configure_ecdsa(owner: bytes) -> bytes:
    """One Ethereum key, by its 20-byte address. Raises `UsageError`."""
    return _check(owner, VERIFIER_BYTES, "an owner")


def configure_multisig(threshold: int, owners: Sequence[bytes]) -> bytes:
    """`threshold` of 1 to 255 owners; they are sorted here. Raises `UsageError` for what the verifier refuses."""
    ascending = tuple(sorted(_check(owner, VERIFIER_BYTES, "an owner") for owner in owners))
    if len(set(ascending)) != len(ascending):
        raise UsageError("an owner comes more than once")
    if not 1 <= threshold <= len(ascending) <= MAX_OWNERS:
        raise UsageError(f"{threshold} of {len(ascending)}: 1 <= threshold <= owners <= {MAX_OWNERS}")
    return _encode_multisig((threshold, ascending))


def configure_webauthn(point: bytes) -> bytes:
    """One passkey, by its point `x(32) || y(32)`. Raises `UsageError`."""
    return _check(point, _POINT_BYTES, "a point")


def configure_cosign(cosigner: bytes, point: bytes) -> bytes:
    """A passkey and an Ethereum key, both of which sign. Raises `UsageError`."""
    _check(cosigner, VERIFIER_BYTES, "a cosigner")
    _check(point, _POINT_BYTES, "a point")
    return _encode_cosign((cosigner, point[:32], point[32:]))


def encode_proof(siblings: Sequence[bytes]) -> bytes:
    """`abi.encode(bytes32[])`, as actions carry a proof; without siblings it is not empty either."""
    return _encode_proof((tuple(siblings),))


def compute_account_address(factory: bytes, implementation: bytes, ref_hash: bytes, salt: int = 0) -> bytes:
    """Where a factory makes the account of a user: CREATE2 of an ERC-1167 clone, salted with both."""
    code_hash = keccak256(_CLONE_HEAD + implementation + _CLONE_TAIL)
    return compute_create2_address(factory, keccak256(ref_hash + salt.to_bytes(32, "big")), code_hash)


def _check(raw: bytes, size: int, what: str) -> bytes:
    if len(raw) != size:
        raise UsageError(f"{what} has {size} bytes, not {len(raw)}")
    return raw
