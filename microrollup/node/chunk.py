"""Lines that were authenticated together, as the writer takes them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import NoReturn

import structlog

from microrollup.errors import MicrorollupError, WorkerDied
from microrollup.execution.authentication import Authenticated
from microrollup.execution.authentication_pool import Started
from microrollup.execution.envelope import Enveloped
from microrollup.node.errors import NodeFault
from microrollup.node.submission import Ticket

__all__ = ["Chunk"]

_log = structlog.get_logger(__name__)


class Chunk:
    """Lines whose authentication has begun."""

    __slots__ = ("_end", "_outcomes", "_started", "tickets")

    def __init__(
        self,
        tickets: Sequence[Ticket],
        start: Callable[[], Started],
        end: Callable[[WorkerDied | None], None] = lambda _: None,
    ) -> None:
        """Calls `start`, and `end` when the outcomes have been collected, with what went wrong."""
        self.tickets = tickets
        self._end = end
        self._outcomes: Sequence[Authenticated | Enveloped | MicrorollupError] | None = None
        try:
            self._started = start()
        except Exception as error:
            self._started = Started(partial(_raise, error), lambda: True, lambda call: call())

    @property
    def is_ready(self) -> bool:
        """Whether `wait` returns at once."""
        return self._started.is_done()

    def when_ready(self, call: Callable[[], None]) -> None:
        """Call this, from any thread, once `wait` returns at once; now if it does."""
        self._started.when_done(call)

    def wait(self) -> Sequence[Authenticated | Enveloped | MicrorollupError]:
        """The outcomes in order, for one thread at a time; nothing that goes wrong here may end the writer's."""
        if self._outcomes is None:
            self._outcomes = self._collect()
        return self._outcomes

    def _collect(self) -> Sequence[Authenticated | Enveloped | MicrorollupError]:
        failure: WorkerDied | None = None
        try:
            return self._started.collect()
        except WorkerDied as error:
            failure = error
            return [error] * len(self.tickets)
        except Exception:
            _log.exception("authentication_failed")
            return [NodeFault("the signatures could not be checked")] * len(self.tickets)
        finally:
            self._end(failure)


def _raise(error: Exception) -> NoReturn:
    raise error
