"""How a node works, as `run` was asked."""

from __future__ import annotations

import msgspec

from microrollup.node.batch_timing import SettleOptions
from microrollup.node.writer import WriterOptions
from microrollup.sequencer.opening import BuilderClock
from microrollup.sequencer.sequencer import DEFAULT_BLOCK_SIZE
from microrollup.settlement.proofs import ProofSource

__all__ = ["NodeOptions"]


class NodeOptions(msgspec.Struct, frozen=True):
    """How a node works."""

    block_size: int = DEFAULT_BLOCK_SIZE
    """Actions after which a block is closed."""
    timing: WriterOptions = WriterOptions()
    """When blocks are closed, and how long actions wait."""
    workers: int = 0
    """Processes that check signatures; 0: a thread does."""
    readers: int = 1
    """Processes that run the app's queries, if it has any."""
    upgrade: bool = False
    """Build upgrades that are announced; else intake stops where one is due."""
    clock: BuilderClock = "own"
    """Where blocks have their timestamps from."""
    settling: SettleOptions = SettleOptions()
    """When batches are settled."""
    proofs: tuple[ProofSource, ...] = ()
    """Where the proofs are that contracts want besides the verifiers' signatures."""
    methods: tuple[str, ...] = ()
    """Sets of methods that are served besides, by the names under which the app declares them."""
