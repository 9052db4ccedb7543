"""Keccak-256, on pysha3 through eth-hash; of many at once on the native helper, where it is.

The backend is named here and not chosen by eth-hash, whose own choice depends on what else is installed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from eth_hash.backends.pysha3 import keccak256

from microrollup._native.choice import get_library

__all__ = ["EMPTY_HASH", "compute_create2_address", "keccak256", "keccak256_many"]

EMPTY_HASH: Final = keccak256(b"")
"""keccak256 of no bytes: the value hash of a deleted key and of the dummy leaf."""


def compute_create2_address(deployer: bytes, salt: bytes, code_hash: bytes) -> bytes:
    """The 20-byte address that `deployer` gives to the init code of a 32-byte hash (EIP-1014)."""
    return keccak256(b"\xff" + deployer + salt + code_hash)[12:]


def keccak256_many(items: Sequence[bytes]) -> list[bytes]:
    """`keccak256` of each item, in order."""
    library = get_library()
    return [keccak256(item) for item in items] if library is None else library.hash_items(items)
