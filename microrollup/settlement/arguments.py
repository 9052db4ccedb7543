"""What callers of a backend may get wrong about the sizes of its arguments."""

from __future__ import annotations

from typing import Final

from microrollup.errors import UsageError

__all__ = ["check_address", "check_index", "check_stf_id"]

_MAX_UINT256: Final = (1 << 256) - 1


def check_address(address: bytes) -> None:
    """Raise `UsageError` unless an address has 20 bytes."""
    if len(address) != 20:
        raise UsageError(f"an address has 20 bytes, not {len(address)}")


def check_index(index: int) -> None:
    """Raise `UsageError` unless an index of the queue is a uint256."""
    if not 0 <= index <= _MAX_UINT256:
        raise UsageError(f"an index is a uint256, not {index}")


def check_stf_id(stf_id: bytes) -> None:
    """Raise `UsageError` unless the id of a code has 32 bytes."""
    if len(stf_id) != 32:
        raise UsageError(f"an stfId has 32 bytes, not {len(stf_id)}")
