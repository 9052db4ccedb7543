"""Where a ledger's records go before they become durable here, if they are to outlive this machine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

__all__ = ["RemoteLog"]


class RemoteLog(Protocol):
    """A log elsewhere that holds every record before the ledger's own does (`microrollup.replication`)."""

    def append(self, number: int, chain: bytes, records: Sequence[bytes], header: bytes | None = None) -> None:
        """Make records durable there, numbered from `number` on, after the 32-byte `chain`; all or nothing.

        `header` is the canonical header of the block that the last record closes. Whatever it raises, the ledger
        commits nothing, and what it executed since its last commit is void.
        """
