"""What a node says of settling, money and disk, for the person on call."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from microrollup.primitives import Address, Bytes32, Uint64, Uint256

__all__ = [
    "BlobsStatus",
    "PayerAnswer",
    "PendingAnswer",
    "ReplicationStatus",
    "SettlingFailure",
    "SettlingStatus",
]


class PayerAnswer(Struct, frozen=True):
    """Who pays for batches; amounts are in wei."""

    address: Address
    balance: Uint256
    batch_cost: Uint256 | None
    """What a batch as large as the largest of the last eight would cost now; null before the first one."""
    runway: float | None
    """How many such batches L1 takes: it wants the balance to cover what a transaction offers at most."""
    fee_per_gas: Uint256
    fee_per_blob_gas: Uint256
    age: float
    """Seconds since L1 said so."""


class PendingAnswer(Struct, frozen=True):
    """A transaction that was sent and is not known to be included; fees are in wei."""

    transaction_hash: Bytes32
    nonce: Uint64
    age: float
    """Seconds since the first one was sent under its nonce."""
    fee_per_gas: Uint256
    """At most."""
    fee_per_blob_gas: Uint256
    """At most; 0 without blobs."""
    raised: Uint64
    """How often its fee was raised."""


class SettlingFailure(Struct, frozen=True):
    """Why the last attempt to settle failed."""

    kind: str
    """The error's name; `Fault` for a bug."""
    reason: str
    age: float
    """Seconds."""
    count: Uint64
    """Failures since the last batch that was settled."""


class SettlingStatus(Struct, frozen=True):
    """How settling goes."""

    unsettled_age: float
    """Seconds since the block of the oldest action that is not on L1; 0 if all are."""
    quorum_missing: Uint64
    """L1 blocks since a batch that lacks a quorum should have had one."""
    failure: SettlingFailure | None
    """Null once a batch was settled after it."""
    pending: PendingAnswer | None
    payer: PayerAnswer | None
    """Null until L1 has said it, and where settling costs nothing."""
    head_age: float | None
    """Seconds since L1's newest known block; null where L1 is this machine's clock."""


class BlobsStatus(Struct, frozen=True):
    """The blobs of this node's batches in its data directory."""

    count: Uint64
    bytes: Uint64
    unarchived: Uint64
    """Those that no archive has confirmed."""
    oldest_unarchived: float | None
    """Seconds since the oldest of these was written."""


class ReplicationStatus(Struct, frozen=True):
    """A node's place in a replicated log."""

    role: Literal["leader"]
    node: str
    epoch: Uint64
    lease_age: float
    """Seconds since its lease was renewed."""
    lag: Uint64
    """Records that the slowest node lacks."""
