"""How an inbox on an Ethereum L1 is reached and used."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from microrollup.primitives import ZERO_ADDRESS

__all__ = ["EthereumOptions"]

GWEI = 10**9


class EthereumOptions(msgspec.Struct, frozen=True):
    """Everything but the keys. The defaults fit Ethereum's mainnet and its test networks."""

    url: str
    """Of an execution node's JSON-RPC (http or https). It is never shown whole, because it may hold a key."""
    inbox: bytes = ZERO_ADDRESS
    """The inbox's 20-byte address; only `deploy_inbox` does without."""
    da: Literal["blobs", "calldata"] = "blobs"
    """Where batches are published. Reading takes both."""
    depth: int = 12
    """The buffer against reorgs: blocks bind to L1 blocks that have at least so many on top of them."""
    blob_sources: tuple[str, ...] = ()
    """Where blobs are read, in order: URLs (a beacon node's API, or an archive), or directories."""
    archive: Path | None = None
    """A directory into which blobs are written before they are sent; it is also the first source."""
    poll_seconds: float = 1.0
    """How often the head is asked for, by a task of its own; 0: at every call, for tests."""
    timeout_seconds: float = 10.0
    """For one HTTP answer."""
    retries: int = 3
    """HTTP tries in all, with doubling pauses from an eighth of a second."""
    settle_seconds: float = 180.0
    """After this time a call gives up waiting for its transaction (`TransactionPending`)."""
    bump_seconds: float = 36.0
    """A transaction that is not included for so long is sent again with a higher fee: three slots."""
    max_fee_per_gas: int = 500 * GWEI
    """Wei, tip included."""
    max_priority_fee_per_gas: int = 20 * GWEI
    max_fee_per_blob_gas: int = 1000 * GWEI
    seconds_per_block: int = 12
    """L1's slot."""
    log_range: int = 10_000
    """Blocks asked for at a time when events are read; halved where a node says that it is too many."""
