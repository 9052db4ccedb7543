"""What the entries of one block share while they execute."""

from __future__ import annotations

from typing import TYPE_CHECKING

from microrollup.execution.budget import Usage
from microrollup.execution.journal import Journal
from microrollup.primitives import ZERO_BYTES32

if TYPE_CHECKING:
    from microrollup.execution.admission import Admission

__all__ = ["BlockContext", "Interrupted"]


class Interrupted(BaseException):
    """The watchdog's way out of an STF that runs too long; no `Exception`, so that an STF cannot swallow it."""


class BlockContext:
    """What the entries of one block share while they execute."""

    __slots__ = (
        "admission", "audit", "ceiling", "changed_bytes", "changed_rows", "height", "interrupted", "journal",
        "next_seq", "pause_at", "rebuilt", "rollup_id", "seconds", "steps", "ticket", "timestamp", "twice",
    )  # fmt: skip

    def __init__(
        self,
        height: int,
        timestamp: int,
        next_seq: int,
        journal: Journal,
        *,
        audit: bool = False,
        twice: bool = False,
        rebuilt: bool = False,
        rollup_id: bytes = ZERO_BYTES32,
    ) -> None:
        self.height = height
        self.timestamp = timestamp
        self.rollup_id = rollup_id
        self.next_seq = next_seq
        """The sequence number of the next entry."""
        self.journal = journal
        self.changed_rows = 0
        self.changed_bytes = 0
        """What the block's entries so far use of its budget, see `microrollup.execution.budget`."""
        self.ceiling: Usage | None = None
        """How much they may use while what a carrier brings is executed; None: the whole budget."""
        self.rebuilt = rebuilt
        """The block's entries are given, as other code may have taken them: what exceeds its budget now has faulted."""
        self.audit = audit
        """Check after each action that the STF left its pre-state and its action as they were (verifier)."""
        self.twice = twice
        """Execute each action twice and compare (verifier): so an STF that keeps something between calls is noticed."""
        self.steps = 0
        """Taken so far by the entries that run metered (see `microrollup.guard.steps`), and counted for signatures that
        came through the queue."""
        self.admission: Admission | None = None
        """Asked before each signed action, by a sequencer while it takes actions; by nobody else."""
        self.seconds: list[float] | None = None
        """What each entry took, where somebody measures it; nothing that is committed to depends on it."""
        self.pause_at = 0.0
        """Where it is measured, the time (`perf_counter`) from which on execution pauses after an entry."""
        self.ticket = 0
        """Odd while an STF runs; changes with every action. What a watchdog looks at."""
        self.interrupted = False
        """Set by a watchdog before it interrupts, so that an STF which swallows `Interrupted` gains nothing."""

    @property
    def usage(self) -> Usage:
        """What the block's entries so far use of its budget."""
        return Usage(self.changed_rows, self.changed_bytes, self.steps)
