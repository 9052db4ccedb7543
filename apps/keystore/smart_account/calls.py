"""Call data of account, factory and deployment proxy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from eth_abi.abi import encode as abi_encode
from msgspec import Struct

from microrollup.crypto.keccak import keccak256

__all__ = [
    "Call",
    "encode_deployment",
    "encode_execute",
    "encode_execute_batch",
    "encode_init_code",
    "encode_push_root",
]

_NO_SALT: Final = bytes(32)


class Call(Struct, frozen=True):
    """What an account calls."""

    target: bytes
    """20 bytes."""
    value: int = 0
    """Wei."""
    data: bytes = b""


def _select(signature: str) -> bytes:
    return keccak256(signature.encode())[:4]


def encode_execute(call: Call) -> bytes:
    """An operation's call data for one call."""
    arguments = abi_encode(["address", "uint256", "bytes"], [call.target, call.value, call.data])
    return _select("execute(address,uint256,bytes)") + arguments


def encode_execute_batch(calls: Sequence[Call]) -> bytes:
    """An operation's call data for calls that are done in order, all or none."""
    packed = [(call.target, call.value, call.data) for call in calls]
    return _select("executeBatch((address,uint256,bytes)[])") + abi_encode(["(address,uint256,bytes)[]"], [packed])


def encode_push_root() -> bytes:
    """The call to an account that renews its copy of the keystore's root; anybody may send it."""
    return _select("pushRoot()")


def encode_init_code(factory: bytes, key: bytes, root: bytes) -> bytes:
    """An operation's `initCode`: the factory makes the account of the 32-byte key.

    `root` is the 32-byte root of the opening that the operation is signed with (`Opening.root`). If the chain replaces
    it before the operation arrives, the new account believes it for the grace that an account which existed would give.
    """
    return factory + _select("createAccount(bytes32,bytes32)") + key + root


def encode_deployment(creation_code: bytes) -> bytes:
    """The call to the deployment proxy that deploys a creation code, its arguments included, with salt 0."""
    return _NO_SALT + creation_code
