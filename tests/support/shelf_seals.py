"""An index of the shelf over what a block commits to, and who sealed it."""

from __future__ import annotations

from microrollup import Address, Bytes32, Index, IndexBlock, Uint64
from microrollup.crypto.keccak import keccak256
from shelf import Shelf


def seals(block: IndexBlock[Shelf], rows: Index[Uint64, tuple[Bytes32, Bytes32, Address]]) -> None:
    """Height -> (the block before, a hash over the roots, who sealed it)."""
    header = block.header
    rows.put(block.height, (header.parent_hash, keccak256(header.state_root + header.actions_root), block.builder))
