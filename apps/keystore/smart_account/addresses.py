"""Where contracts are before they are deployed: everything by CREATE2, so at the same address on every chain."""

from __future__ import annotations

from typing import Final

from microrollup.crypto.keccak import compute_create2_address, keccak256

from .configuration import load_creation_code

__all__ = [
    "DEPLOYER",
    "ENTRY_POINT",
    "compute_account_address",
    "compute_deployed_address",
    "compute_factory_address",
    "compute_implementation_address",
    "compute_validator_address",
    "encode_factory_creation",
]

DEPLOYER: Final = bytes.fromhex("4e59b44847b379578588920ca78fbf26c0b4956c")
"""The deterministic deployment proxy: a call with `salt(32) || creation code` deploys it with CREATE2.
Source: https://github.com/Arachnid/deterministic-deployment-proxy"""

ENTRY_POINT: Final = bytes.fromhex("4337084d9e255ff0702461cf8895ce9e3b5ff108")
"""ERC-4337's EntryPoint 0.8 on every chain."""

_NO_SALT: Final = bytes(32)

# A minimal proxy (ERC-1167) in front of 32 bytes of arguments, as Solady's LibClone makes it.
_CLONE_HEAD: Final = bytes.fromhex("61004d3d81600a3d39f3363d3d373d3d3d363d73")
_CLONE_TAIL: Final = bytes.fromhex("5af43d82803e903d91602b57fd5bf3")
_CREATION_BYTES: Final = 10
"""Of the head, what is run once and not kept."""
_KEY_BYTES: Final = 32


def compute_deployed_address(creation_code: bytes) -> bytes:
    """Where the deterministic deployment proxy puts a creation code, its arguments included, with salt 0."""
    return compute_create2_address(DEPLOYER, _NO_SALT, keccak256(creation_code))


def is_account_code(code: bytes, factory: bytes) -> bool:
    """Whether the code at an address is that of an account of a factory (20 bytes), whatever its key."""
    head = _CLONE_HEAD[_CREATION_BYTES:] + compute_implementation_address(factory) + _CLONE_TAIL
    return code.startswith(head) and len(code) == len(head) + _KEY_BYTES


def compute_validator_address(code_hash: bytes) -> bytes:
    """Where accounts look for the validator of a `codeHash`."""
    return compute_create2_address(DEPLOYER, _NO_SALT, code_hash)


def encode_factory_creation(roots: bytes, owner: bytes, entry_point: bytes = ENTRY_POINT) -> bytes:
    """The factory's creation code with its arguments: 20-byte addresses of entry point, roots and the stake's owner.

    All accounts' addresses depend on them, so they have to be the same on every chain.
    """
    arguments = b"".join([address.rjust(32, b"\0") for address in (entry_point, roots, owner)])
    return load_creation_code("KeystoreAccountFactory") + arguments


def compute_factory_address(roots: bytes, owner: bytes, entry_point: bytes = ENTRY_POINT) -> bytes:
    """Where the factory with these arguments is, once somebody has sent its creation code to the deployment proxy."""
    return compute_deployed_address(encode_factory_creation(roots, owner, entry_point))


def compute_implementation_address(factory: bytes) -> bytes:
    """The account's implementation: what the factory's constructor creates first (RLP of its address and nonce 1)."""
    return keccak256(b"\xd6\x94" + factory + b"\x01")[12:]


def compute_account_address(factory: bytes, key: bytes) -> bytes:
    """The account of a 32-byte keystore key, deployed or not."""
    creation_code = _CLONE_HEAD + compute_implementation_address(factory) + _CLONE_TAIL + key
    return compute_create2_address(factory, _NO_SALT, keccak256(creation_code))
