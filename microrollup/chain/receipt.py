"""Receipts: what became of an action, as the receipts root commits to it."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias, get_args

import msgspec

from microrollup.primitives import Bytes32, Uint64

__all__ = [
    "EXECUTED",
    "FAULTED",
    "INVALID_FORCED",
    "REJECTED",
    "STATUS_NAMES",
    "VOIDED_FORCED",
    "Receipt",
    "ReceiptStatus",
]

EXECUTED: Final = 0
REJECTED: Final = 1
FAULTED: Final = 2
INVALID_FORCED: Final = 3
VOIDED_FORCED: Final = 4

ReceiptStatus: TypeAlias = Literal["executed", "rejected", "faulted", "invalid forced", "voided forced"]

STATUS_NAMES: Final[tuple[ReceiptStatus, ...]] = get_args(ReceiptStatus)
"""Words for people, by status."""


class Receipt(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """What became of an action: `[seq, actionHash, status, reason, [[event name, event bytes]...]]`."""

    seq: Uint64
    action_hash: Bytes32
    status: int
    """0 executed, 1 rejected, 2 faulted, 3 invalid forced, 4 voided forced."""
    reason: str
    """Why it was rejected; empty otherwise."""
    events: tuple[tuple[str, bytes], ...]
