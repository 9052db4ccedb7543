"""The block's own entry, with which each block of an app with a block hook begins: its record and its identity."""

from __future__ import annotations

from typing import Final

import msgspec

from microrollup.codec.canonical import encode_canonical
from microrollup.crypto.keccak import keccak256

__all__ = ["BLOCK_RECORD", "BlockBegin", "compute_block_entry_id", "is_block_record"]


class BlockBegin(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag="block"):
    """The block begins, and the app's hook runs; all that the hook sees is in the block's opening."""


BLOCK_RECORD: Final = encode_canonical(BlockBegin())
"""`["block"]`, the record of each such entry."""


def is_block_record(record: bytes) -> bool:
    """Whether a record is the block's own entry."""
    return record == BLOCK_RECORD


def compute_block_entry_id(rollup_id: bytes, height: int) -> bytes:
    """The identity (action hash) of the own entry of the block at `height`: `keccak256("block" || rollupId || height)`,
    the height as 32 bytes.
    """
    return keccak256(b"block" + rollup_id + height.to_bytes(32, "big"))
