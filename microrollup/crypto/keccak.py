"""Keccak-256, by pysha3; of many at once by the native helper, where it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sha3 import keccak_256

from microrollup._native.choice import get_library

__all__ = ["EMPTY_HASH", "compute_create2_address", "keccak256", "keccak256_many"]


def keccak256(data: bytes) -> bytes:
    """The 32 bytes of Keccak-256, with the padding of Ethereum and not that of SHA-3."""
    digest: bytes = keccak_256(data).digest()
    return digest


FEW: Final = 8
"""So few items are hashed sooner one by one than handed to the native helper, which takes 5 us."""

EMPTY_HASH: Final = keccak256(b"")
"""keccak256 of no bytes: the value hash of a deleted key and of the dummy leaf."""


def compute_create2_address(deployer: bytes, salt: bytes, code_hash: bytes) -> bytes:
    """The 20-byte address that `deployer` gives to the init code of a 32-byte hash (EIP-1014)."""
    return keccak256(b"\xff" + deployer + salt + code_hash)[12:]


def keccak256_many(items: Sequence[bytes]) -> list[bytes]:
    """`keccak256` of each item, in order."""
    library = get_library() if len(items) > FEW else None
    return [keccak256(item) for item in items] if library is None else library.hash_items(items)
