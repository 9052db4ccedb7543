"""Indexes of the shelf over what a block commits to, and over what came through the inbox's queue."""

from __future__ import annotations

from microrollup import Address, Bytes, Bytes32, Index, IndexBlock, Uint64
from microrollup.crypto.keccak import keccak256
from shelf import Shelf


def words(block: IndexBlock[Shelf], rows: Index[Uint64, tuple[Bytes32, Bytes32, Address]]) -> None:
    """Height -> (the block before, a hash over the roots, the first builder)."""
    header = block.header
    rows.put(
        block.height, (header.parent_hash, keccak256(header.state_root + header.actions_root), block.first_builder)
    )


def queued(block: IndexBlock[Shelf], rows: Index[Uint64, tuple[Uint64, Bytes]]) -> None:
    """Place in the queue -> (sequence number, payload)."""
    for receipt in block.receipts:
        if receipt.queued is not None:
            rows.put(receipt.queued.index, (receipt.seq, receipt.queued.payload))
