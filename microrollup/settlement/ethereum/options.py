"""How an inbox on an Ethereum L1 is reached and used."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal, TypeAlias, get_args

import msgspec

from microrollup.errors import UsageError
from microrollup.primitives import ZERO_ADDRESS

__all__ = ["DA_TAGS", "MAX_DEPTH", "DaTag", "EthereumOptions", "check_depth", "check_options"]

DaTag: TypeAlias = Literal["blobs", "calldata"]
"""Where batches are published (`da.DaKind`)."""

DA_TAGS: Final[tuple[DaTag, ...]] = get_args(DaTag)
"""All of them; the first is the default."""

MAX_DEPTH: Final = 10_000
"""L1 blocks; all of them are kept in memory."""

GWEI = 10**9


def check_depth(depth: int) -> None:
    """Raise `UsageError` unless a view of L1 may stay so many blocks behind its head."""
    if depth == 0:
        raise UsageError(
            "depth 0 binds blocks to L1's newest block, and the next reorg of a single block takes it back: give 1 on a"
            " chain for development, 12 (the default) on a public one"
        )
    if not 0 < depth <= MAX_DEPTH:
        raise UsageError(f"the depth is 1 to {MAX_DEPTH} L1 blocks, not {depth}")


class EthereumOptions(msgspec.Struct, frozen=True):
    """Everything but the keys. The defaults fit Ethereum's mainnet and its test networks."""

    url: str
    """Of an execution node's JSON-RPC (http or https). It is never shown whole, because it may hold a key."""
    headers: tuple[str, ...] = ()
    """Sent with each request to the first node, as `Name: value`; never shown, because they may hold a key."""
    inbox: bytes = ZERO_ADDRESS
    """The inbox's 20-byte address; only `deploy_inbox` does without."""
    da: DaTag = "blobs"
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
    patience_seconds: float = 30.0
    """How long one call goes on with a node that says that it is asked too often, its own pauses included."""
    settle_seconds: float = 180.0
    """After this time a call gives up waiting for its transaction (`TransactionPending`)."""
    bump_seconds: float = 36.0
    """A transaction that is not included for so long is sent again with a higher fee: three slots."""
    max_fee_per_gas: int = 500 * GWEI
    """Wei, tip included."""
    max_priority_fee_per_gas: int = 20 * GWEI
    """Wei; the most that is offered as a tip."""
    max_fee_per_blob_gas: int = 1000 * GWEI
    """Wei; the most that is offered for a unit of blob gas."""
    seconds_per_block: int = 12
    """L1's slot."""
    log_range: int = 10_000
    """Blocks asked for at a time when events are read; halved where a node says that it is too many."""
    fallbacks: tuple[str, ...] = ()
    """JSON-RPC of other nodes, asked in this order while those before them fail."""
    answer_bytes: int = 64 * 1024 * 1024
    """The longest HTTP answer: a range of full forced queues, with room; longer ones are cut off."""


def check_options(options: EthereumOptions) -> None:
    """Raise `UsageError` unless an inbox can be opened with these."""
    if len(options.inbox) != 20 or options.inbox == ZERO_ADDRESS:
        raise UsageError("an Ethereum settlement needs the inbox's address; `deploy_inbox` gives one")
    if not options.url.startswith(("http://", "https://")):
        raise UsageError("the L1 is reached by http:// or https://")
    from microrollup.settlement.ethereum.http import name_place  # noqa: PLC0415  # loads asyncio, 60 ms

    name_place(options.url)
    check_depth(options.depth)
    if options.log_range < 1 or options.seconds_per_block < 1:
        raise UsageError("log_range and seconds_per_block count upwards")
