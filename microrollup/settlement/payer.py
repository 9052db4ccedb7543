"""What settling costs, as an operator sees it: who pays has so much left, and a transaction of his waits."""

from __future__ import annotations

from typing import Protocol

import msgspec

__all__ = ["PayerStatus", "Payments", "PendingTransaction"]


class PayerStatus(msgspec.Struct, frozen=True):
    """Who pays for batches, at one moment; all amounts in wei."""

    address: bytes
    """20 bytes."""
    balance: int
    fee_per_gas: int
    """Base fee and tip."""
    fee_per_blob_gas: int
    """0 where batches are not in blobs."""
    batch_cost: int | None
    """What a batch as large as the largest of the last ones would cost now; None before the first one."""

    needed: int
    """What the balance has to cover for L1 to take the next one: all gas that it allows, at its highest fee."""

    @property
    def runway(self) -> float | None:
        """How many more such batches L1 takes at these fees, 0 if not even one; None before the first batch."""
        if self.batch_cost is None:
            return None
        return 0.0 if self.balance < self.needed else 1 + (self.balance - self.needed) / max(1, self.batch_cost)


class PendingTransaction(msgspec.Struct, frozen=True):
    """A transaction that was sent and is not known to be included."""

    hash: bytes
    """32 bytes, of the newest of those that were sent under its nonce."""
    nonce: int
    since: float
    """`time.monotonic` of the first of them."""
    cap: int
    """Wei a gas at most."""
    blob_cap: int
    """Wei a unit of blob gas at most; 0 without blobs."""
    raised: int
    """How often it was replaced by one that offers more."""


class Payments(Protocol):
    """What a backend knows of paying for batches; any thread may ask."""

    def ask(self, payer: bytes, seconds: float) -> PayerStatus:
        """What a 20-byte payer of batches has, and what they cost now.

        Asks L1, for so many seconds at most. Raises `L1Error`s.
        """
        ...

    def get_pending(self, payer: bytes) -> PendingTransaction | None:
        """The payer's transaction that this backend sent and does not know to be included. Asks nobody."""
        ...

    def get_head_age(self) -> float:
        """Seconds since L1's newest known block was made, by its time or since it was seen, whichever is longer.

        Asks nobody.
        """
        ...
