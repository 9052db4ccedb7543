"""Calls of the keystore contract: to bytes, answers back, and the names of its errors."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from microrollup.codec.abi import compile_arguments_encoder
from microrollup.codec.schema import BytesType, IntegerType, TupleType
from microrollup.crypto.keccak import keccak256
from microrollup.settlement.ethereum.errors import clip

from ..nodes import ADDRESS, WORD, encode_proof
from .updates import Place

__all__ = ["encode_get_nonce", "encode_get_root", "encode_validate", "name_revert"]

_BYTES: Final = BytesType()
_encode_root: Final = compile_arguments_encoder((WORD, ADDRESS))
_encode_nonce: Final = compile_arguments_encoder((WORD, ADDRESS, IntegerType(192, False)))
_encode_validate: Final = compile_arguments_encoder((TupleType((WORD, WORD, _BYTES, _BYTES, _BYTES)),))

_GET_ROOT: Final = keccak256(b"getRootHash(bytes32,address)")[:4]
_GET_NONCE: Final = keccak256(b"getNonce(bytes32,address,uint192)")[:4]
_VALIDATE: Final = keccak256(b"validate((bytes32,bytes32,bytes,bytes,bytes))")[:4]

_ERRORS: Final = MappingProxyType(
    {
        keccak256(f"{name}()".encode())[:4]: name
        for name in (
            "InvalidNonce", "InvalidProof", "InvalidNextProof", "UnregisteredProof", "InvalidNode", "InvalidVerifier",
            "InvalidSignature", "NotFromKeystore", "ZeroThresholdNotAllowed", "InvalidNumberOfOwners",
            "OwnersUnsortedOrHasDuplicates", "MaxSignaturesExceeded", "Reentrancy",
        )
    }
)  # fmt: skip
_SHOWN: Final = 36
_SHOWN_CHARACTERS: Final = 80


def encode_get_root(place: Place) -> bytes:
    """Calldata of `getRootHash`."""
    return _GET_ROOT + _encode_root(place)


def encode_get_nonce(place: Place, key: int) -> bytes:
    """Calldata of `getNonce`."""
    return _GET_NONCE + _encode_nonce((*place, key))


def encode_validate(root: bytes, message: bytes, proof: tuple[bytes, ...], node: bytes, data: bytes) -> bytes:
    """Calldata of `validate`, for a caller whose root is `root` itself."""
    return _VALIDATE + _encode_validate(((root, message, encode_proof(proof), node, data),))


def name_revert(data: bytes | None, message: str) -> str:
    """The name of the error that a call reverted with; its bytes, or the node's words, if it is not the contract's."""
    if not data:
        return f"reverts: {clip(message[:_SHOWN_CHARACTERS])}" if message else "reverts"
    return _ERRORS.get(data[:4], f"reverts with 0x{data[:_SHOWN].hex()}")
