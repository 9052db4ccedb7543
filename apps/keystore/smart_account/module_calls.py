"""Calls of an account that exists (ERC-7579) and lives by the keystore through `KeystoreModule`."""

from __future__ import annotations

from typing import Final

from eth_abi.abi import encode as abi_encode

from microrollup.crypto.keccak import keccak256
from microrollup.errors import UsageError

__all__ = [
    "compute_kernel_nonce_key",
    "compute_module_nonce_key",
    "compute_nexus_nonce_key",
    "encode_install",
    "encode_kernel_install",
    "encode_module_signature",
    "encode_push_root_of",
]

_VALIDATOR: Final = 1
_ADDRESS_BYTES: Final = 20
_KEY_BITS: Final = 32
_KERNEL_NO_HOOK: Final = b"\1".rjust(_ADDRESS_BYTES, b"\0")
_KERNEL_VALIDATOR: Final = b"\0\1"
"""Of the nonce: the mode in which nothing is enabled, and a validator that is not the root."""
_EXECUTE: Final = keccak256(b"execute(bytes32,bytes)")[:4]


def encode_install(module: bytes, key: bytes) -> bytes:
    """The account's own call that installs the module with its 32-byte key on the keystore.

    `key` is of an account there that need not be registered. Raises `UsageError` for other lengths.
    """
    return _encode_install(module, key, key)


def encode_kernel_install(module: bytes, key: bytes) -> bytes:
    """The same for Kernel (version 3), which takes a hook, here none, and the selector that the validator may call.

    It may call `execute` of ERC-7579. Raises `UsageError` for other lengths.
    """
    return _encode_install(module, key, _KERNEL_NO_HOOK + abi_encode(["bytes", "bytes", "bytes"], [key, b"", _EXECUTE]))


def _encode_install(module: bytes, key: bytes, data: bytes) -> bytes:
    if len(module) != _ADDRESS_BYTES or len(key) != 32:
        raise UsageError("a module has 20 bytes, a key 32")
    arguments = abi_encode(["uint256", "address", "bytes"], [_VALIDATOR, module, data])
    return keccak256(b"installModule(uint256,address,bytes)")[:4] + arguments


def encode_push_root_of(account: bytes) -> bytes:
    """The call to the module that copies this chain's newest root for a 20-byte account; anybody may send it."""
    return keccak256(b"pushRoot(address)")[:4] + abi_encode(["address"], [account])


def compute_module_nonce_key(module: bytes) -> int:
    """The 192-bit key of the entry point's nonce by which an account finds the module.

    So do OpenZeppelin's account, Safe's adapter and the reference implementation; Nexus and Kernel have other ways.
    """
    return int.from_bytes(module, "big") << _KEY_BITS


def compute_nexus_nonce_key(module: bytes) -> int:
    """The same for Nexus: the address comes last, after a byte of mode, which is 0."""
    return int.from_bytes(module, "big")


def compute_kernel_nonce_key(module: bytes) -> int:
    """The same for Kernel (version 3): mode and kind, the address, and two bytes that the wallet chooses, here 0."""
    return int.from_bytes(_KERNEL_VALIDATOR + module + bytes(2), "big")


def encode_module_signature(module: bytes, signature: bytes) -> bytes:
    """What such an account takes as an ERC-1271 signature: `module(20) || signature`."""
    return module + signature
