"""The entries of an upgrade block, one per version on the way from the code in force to the announced one: the record
and its identity.
"""

from __future__ import annotations

from typing import Final

import msgspec

from microrollup.chain.record import encode_record
from microrollup.codec.canonical import decode_canonical
from microrollup.crypto.keccak import keccak256
from microrollup.primitives import Bytes32

__all__ = ["MAX_UPGRADE_LINKS", "UpgradeStep", "compute_upgrade_id", "decode_upgrade", "is_upgrade_record"]

MAX_UPGRADE_LINKS: Final = 64
"""Versions that one block may go over; an announcement further away has no path."""

_PREFIX: Final = b"\x93\xa7upgrade"
_RECORD_BYTES: Final = len(_PREFIX) + 2 * 34


class UpgradeStep(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag="upgrade"):
    """From the code with one stfId to the code with another, 32 bytes each."""

    old: Bytes32
    new: Bytes32

    @property
    def record(self) -> bytes:
        """`["upgrade", old, new]`."""
        return encode_record(self)


_DECODER: Final = msgspec.msgpack.Decoder(UpgradeStep)


def is_upgrade_record(record: bytes) -> bool:
    """Whether a record is an upgrade entry's (by its tag; it may still be malformed)."""
    return record.startswith(_PREFIX)


def decode_upgrade(record: bytes) -> UpgradeStep:
    """The upgrade entry of its canonical record. Raises `DecodeError`."""
    return decode_canonical(_DECODER, record, what="upgrade record", limit=_RECORD_BYTES)


def compute_upgrade_id(rollup_id: bytes, height: int, index: int) -> bytes:
    """The identity (action hash) of an upgrade entry: `keccak256("upgrade" || rollupId || height || index)`, both
    numbers as 32 bytes; `index` is its place in the block, from 0.
    """
    return keccak256(b"upgrade" + rollup_id + height.to_bytes(32, "big") + index.to_bytes(32, "big"))
