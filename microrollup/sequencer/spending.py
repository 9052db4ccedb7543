"""How long each ticket's action executes: told to a purse, which says whose actions are refused for a while."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, Generic, Protocol, TypeVar

from microrollup.errors import BudgetSpent
from microrollup.execution.block_context import BlockContext
from microrollup.execution.stf import Paused
from microrollup.logs import REQUEST_ID
from microrollup.sequencer.rations import RationedAdmission

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

    def find_request(self, ticket: T_contra) -> str | None:
        """The id of the request in which it came, for the log."""
        ...


class Spending(Generic[T]):
    """Measures for a purse, and lets an app's policy be asked; without them everybody may have everything."""

    def __init__(self) -> None:
        self.purse: Purse[T] | None = None
        self.admission: RationedAdmission | None = None

    def is_spent(self, ticket: T, sender: bytes) -> bool:
        """Whether an action is to be refused now: for its client's share of the time, or its sender's rejections."""
        if self.purse is not None and self.purse.find_wait(ticket) > 0:
            return True
        return self.admission is not None and self.admission.is_spent(sender)

    def require(self, ticket: T, sender: bytes) -> None:
        """Raises `BudgetSpent`, `RejectionsSpent`."""
        wait = 0.0 if self.purse is None else self.purse.find_wait(ticket)
        if wait > 0:
            raise explain_spent(wait)
        if self.admission is not None:
            self.admission.require_ration(sender)

    def is_group(self, count: int) -> bool:
        """Whether so many actions are to be executed before more are made ready."""
        return self.admission is not None and count >= self.admission.stride

    def charge(self, ticket: T, seconds: float) -> None:
        """Something of theirs took so long before it came to be executed."""
        if self.purse is not None:
            self.purse.charge(ticket, seconds)

    @contextmanager
    def watch(self, context: BlockContext, taken: Sequence[tuple[T, object]]) -> Iterator[None]:
        """Have the policy asked while entries execute, those of `taken` in their order; measure, and charge all that
        began. What is logged meanwhile names the request of the entry that executes.

        Time counts as it passes, since waiting for a disk holds others up as well; but all together at most
        `PAUSE_SECONDS` more than the CPU was used: nobody pays for a machine that stood still.
        """
        purse, context.admission = self.purse, self.admission
        if purse is None:
            try:
                yield
            finally:
                context.admission = None
            return
        started, used = time.perf_counter(), time.thread_time()
        context.seconds, context.pause_at = [], started + PAUSE_SECONDS
        before, stopped = REQUEST_ID.set(_name_requests(purse, context, taken)), True
        try:
            yield
            stopped = False
        except Paused:
            stopped = False
            raise
        finally:
            REQUEST_ID.reset(before)
            context.admission = None
            seconds, context.seconds = context.seconds, None
            if stopped and len(seconds) < len(taken):
                seconds.append(time.perf_counter() - started - sum(seconds))
            most = time.thread_time() - used + PAUSE_SECONDS
            share = min(1.0, most / max(sum(seconds), most))
            for (ticket, _), spent in zip(taken, seconds, strict=False):
                purse.charge(ticket, spent * share)

    def name(self, ticket: T) -> dict[str, str]:
        """What the log says of a ticket: the request in which it came, where there was one."""
        found = None if self.purse is None else self.purse.find_request(ticket)
        return {} if found is None else {"request_id": found}


def _name_requests(
    purse: Purse[T], context: BlockContext, taken: Sequence[tuple[T, object]]
) -> Callable[[], str | None]:
    """Found only when something is logged: what executes is told by its sequence number."""
    first_seq = context.next_seq

    def find() -> str | None:
        index = context.next_seq - first_seq
        return purse.find_request(taken[index][0]) if index < len(taken) else None

    return find
