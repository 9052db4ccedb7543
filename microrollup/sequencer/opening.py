"""Opening a block: on what L1 says now, with the block's own entry and the forced actions that are due as its first."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final, Literal

from microrollup.chain.record import Forced, Open
from microrollup.crypto.ecdsa import SigningKey, compute_address
from microrollup.errors import LimitExceeded, UsageError
from microrollup.execution.entry import make_block_entry, make_forced_entry
from microrollup.execution.stf import LimitHit, OverBudget
from microrollup.execution.watchdog import Watchdog
from microrollup.ledger.ledger import Ledger
from microrollup.ledger.open_block import OpenBlock
from microrollup.limits import VERIFIER_FACTOR, relaxed_limits
from microrollup.primitives import MAX_CLOCK_LEAD_SECONDS
from microrollup.settlement.protocol import L1Look

__all__ = ["CLOCKS", "BuilderClock", "choose_time", "open_block", "require_builder"]

BuilderClock = Literal["own", "l1"]
"""Where a builder takes its blocks' timestamps from: from its machine's clock, or each from the block's L1 origin."""

CLOCKS: Final[dict[BuilderClock, Callable[[], float]]] = {"own": time.time, "l1": lambda: 0.0}
"""What each tells, in seconds. That of L1 stands still: so `choose_time` takes the earliest time that is allowed."""


def require_builder(key: SigningKey, expected: bytes, l1_origin: int) -> None:
    """Raises `UsageError` unless the key is that of the builder, a 20-byte address, at an L1 origin."""
    address = compute_address(key)
    if address != expected:
        raise UsageError(
            f"the key of 0x{address.hex()} is not the rollup's builder 0x{expected.hex()} of L1 block {l1_origin}"
        )


def choose_time(ledger: Ledger, look: L1Look, now: int) -> int:
    """The timestamp of a block that opens now, by the builder's clock in seconds: between the origin's time and an hour
    later, not before the parent's, and not after L1's own.

    A slow clock gives the origin's time, or the parent's where that is later already.
    """
    latest = min(look.now, look.time + MAX_CLOCK_LEAD_SECONDS)
    return max(ledger.header.timestamp, look.time, min(now, latest))


def open_block(ledger: Ledger, l1_origin: int, look: L1Look, now: int, watchdog: Watchdog) -> OpenBlock:
    """Open the next block and execute what is due. `now` is the builder's own clock in seconds.

    The block is `cut` if it has no room for all of it. Raises `LimitExceeded` for a forced action that hits the
    verifier's limits: then the ledger's memory is of no more use.
    """
    timestamp = choose_time(ledger, look, now)
    block = ledger.begin(Open(ledger.header.height + 1, timestamp, l1_origin, ledger.rollup.stf_id))
    try:
        _execute_due(ledger, look.forced, watchdog)
    except OverBudget:
        block.cut = True
    return block


def _execute_due(ledger: Ledger, forced: Sequence[Forced], watchdog: Watchdog) -> None:
    """Nobody can refuse them: only what exceeds ten times the limits of other actions stops everything."""
    own = [make_block_entry(ledger.rollup_id, ledger.checkpoint.height + 1)] if ledger.rollup.on_block else []
    entries = own + [make_forced_entry(ledger.rollup, ledger.rollup_id, each, ledger.authenticator) for each in forced]
    try:
        with relaxed_limits(), watchdog.patient(VERIFIER_FACTOR):
            ledger.execute(entries)
    except LimitHit as hit:
        if len(hit.entries) < len(own):
            raise LimitExceeded(
                f"the block hook hits the limit of {hit.limit}, ten times that of an action: no block can be built"
            ) from None
        index = forced[sum([entry.kind == "forced" for entry in hit.entries])].index
        raise LimitExceeded(
            f"the forced action {index} hits the limit of {hit.limit}, ten times that of other actions: no block can be"
            " built until the rollup's owner has voided it on L1"
        ) from None
