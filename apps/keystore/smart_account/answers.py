"""What the entry point says: an account's next nonce, and why it does not take an operation."""

from __future__ import annotations

from typing import Final

from eth_abi.abi import decode as abi_decode
from eth_abi.abi import encode as abi_encode
from eth_abi.exceptions import DecodingError
from msgspec import Struct

from microrollup.crypto.keccak import keccak256
from microrollup.errors import DecodeError

__all__ = ["FailedOperation", "decode_failed_operation", "encode_get_nonce"]

_FAILED: Final = keccak256(b"FailedOp(uint256,string)")[:4]
_FAILED_WITH_REVERT: Final = keccak256(b"FailedOpWithRevert(uint256,string,bytes)")[:4]
_MAX_BYTES: Final = 64 * 1024
"""The entry point copies at most 2 KiB of what reverted."""


class FailedOperation(Struct, frozen=True):
    """Why the entry point refuses to handle operations."""

    index: int
    """Of the operation, among those of the call."""
    reason: str
    """Of the entry point, by the number of its rule: `AA24 signature error` where an account does not take a signature,
    `AA22 expired or not due` where the root that it was shown with is too old."""
    inner: bytes
    """What factory or account reverted with, if they did."""


def encode_get_nonce(account: bytes, nonce_key: int = 0) -> bytes:
    """The call to the entry point that tells an account's next nonce, a uint256, also before the account is made."""
    return keccak256(b"getNonce(address,uint192)")[:4] + abi_encode(["address", "uint192"], [account, nonce_key])


def decode_failed_operation(data: bytes) -> FailedOperation:
    """What `handleOps` reverted with. Raises `DecodeError` if that is not about an operation."""
    if len(data) > _MAX_BYTES or data[:4] not in (_FAILED, _FAILED_WITH_REVERT):
        raise DecodeError("failed operation", f"the entry point reverts with 0x{data[:36].hex()}")
    types = ["uint256", "string"] if data[:4] == _FAILED else ["uint256", "string", "bytes"]
    try:
        index, reason, *inner = abi_decode(types, data[4:])
    except (DecodingError, UnicodeDecodeError, OverflowError) as error:
        raise DecodeError("failed operation", str(error)) from None
    return FailedOperation(index, reason, b"".join(inner))
