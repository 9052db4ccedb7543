"""What is handed in together, and what became of each action of it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeAlias

from microrollup.errors import MicrorollupError
from microrollup.logs import find_request_id
from microrollup.sequencer.sequencer import Sequenced

__all__ = ["Result", "Submission", "Ticket"]

Result: TypeAlias = Sequenced | MicrorollupError
"""An acknowledgement is durable; an error is a `RefusedError`, or says why nothing could be decided."""


class Submission:
    """Actions handed in together. `future` has the results, in order, once all of them are decided.

    Only the writer's thread decides.
    """

    __slots__ = ("_left", "client", "future", "request_id", "results")

    def __init__(self, count: int, client: str | None = None) -> None:
        """`client` is whose execution time it counts against; None for nobody's."""
        self.client = client
        self.request_id = find_request_id()
        """Of the request in which it came; None for none."""
        self.future: Future[list[Result]] = Future()
        self.results: list[Result | None] = [None] * count
        self._left = count
        if count == 0:
            self.future.set_result([])

    def decide(self, index: int, result: Result) -> None:
        """Note what became of one action."""
        if self.results[index] is not None:
            return
        self.results[index] = result
        self._left -= 1
        if self._left == 0 and not self.future.cancelled():
            self.future.set_result([result for result in self.results if result is not None])


class Ticket:
    """By which the writer knows a submitter's action again."""

    __slots__ = ("followed_by", "index", "is_envelope", "size", "submission")

    def __init__(self, submission: Submission, index: int, size: int, *, is_envelope: bool = False) -> None:
        self.submission = submission
        self.index = index
        self.size = size
        """Bytes of the line, which count against what may be in flight."""
        self.is_envelope = is_envelope
        """Whether the line may be an envelope's."""
        self.followed_by: Callable[[], None] | None = None
        """Sends what follows in its submission, once the action is with the writer."""

    def decide(self, result: Result) -> None:
        """Note what became of the action."""
        self.submission.decide(self.index, result)
