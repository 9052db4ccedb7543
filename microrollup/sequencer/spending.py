"""How long each ticket's action executes: told to a purse, which says whose actions are refused for a while."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final, Generic, Protocol, TypeVar

from microrollup.errors import BudgetSpent
from microrollup.execution.block_context import BlockContext
from microrollup.execution.stf import Paused

__all__ = ["PAUSE_SECONDS", "Purse", "Spending", "explain_spent"]

PAUSE_SECONDS: Final = 0.25
"""After so long execution pauses between two actions, and those that follow are looked at again."""

T = TypeVar("T")
T_contra = TypeVar("T_contra", contravariant=True)


def explain_spent(wait: float) -> BudgetSpent:
    """Why something is refused whose client has `wait` seconds to go."""
    return BudgetSpent(f"this client's share of execution time is spent; try again in {wait:.1f} s")


class Purse(Protocol[T_contra]):
    """Keeps the budgets of those who hand in actions, by ticket. Decides nothing that is committed to."""

    def find_wait(self, ticket: T_contra) -> float:
        """Seconds until something of theirs may be executed again; 0.0 if it may be now."""
        ...

    def charge(self, ticket: T_contra, seconds: float) -> None:
        """Something of theirs executed for so long."""
        ...


class Spending(Generic[T]):
    """Measures for a purse; without one nothing is measured, and everybody may have everything."""

    def __init__(self) -> None:
        self.purse: Purse[T] | None = None

    def is_spent(self, ticket: T) -> bool:
        """Whether an action is to be refused now."""
        return self.purse is not None and self.purse.find_wait(ticket) > 0

    def require(self, ticket: T) -> None:
        """Raises `BudgetSpent`."""
        wait = 0.0 if self.purse is None else self.purse.find_wait(ticket)
        if wait > 0:
            raise explain_spent(wait)

    def charge(self, ticket: T, seconds: float) -> None:
        """Something of theirs took so long before it came to be executed."""
        if self.purse is not None:
            self.purse.charge(ticket, seconds)

    @contextmanager
    def watch(self, context: BlockContext, taken: Sequence[tuple[T, object]]) -> Iterator[None]:
        """Measure while entries execute, those of `taken` in their order; charge all that began."""
        purse = self.purse
        if purse is None:
            yield
            return
        started = time.perf_counter()
        context.seconds, context.pause_at = [], started + PAUSE_SECONDS
        stopped = True
        try:
            yield
            stopped = False
        except Paused:
            stopped = False
            raise
        finally:
            seconds, context.seconds = context.seconds, None
            if stopped and len(seconds) < len(taken):
                seconds.append(time.perf_counter() - started - sum(seconds))
            for (ticket, _), spent in zip(taken, seconds, strict=False):
                purse.charge(ticket, spent)
