"""What is handed in together, and what became of each action of it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeAlias

from microrollup.errors import MicrorollupError
from microrollup.logs import find_request_id
from microrollup.sequencer.sequencer import Sequenced

__all__ = ["Result", "Submission", "Tell", "Ticket", "make_future"]

Result: TypeAlias = Sequenced | MicrorollupError
"""An acknowledgement is durable; an error is a `RefusedError`, or says why nothing could be decided."""

Tell: TypeAlias = Callable[[list[Result]], None]
"""Is told what became of all that was handed in together; in any thread, and must not block."""


class Submission:
    """Actions handed in together; somebody is told the results, in order, once all of them are decided.

    Only the writer's thread decides.
    """

    __slots__ = ("_left", "_tell", "client", "request_id", "results")

    def __init__(self, count: int, client: str | None = None, tell: Tell = lambda _: None) -> None:
        """`client` is whose execution time it counts against; None for nobody's."""
        self.client = client
        self.request_id = find_request_id()
        """Of the request in which it came; None for none."""
        self._tell = tell
        self.results: list[Result | None] = [None] * count
        self._left = count
        if count == 0:
            tell([])

    def decide(self, index: int, result: Result) -> None:
        """Note what became of one action."""
        if self.results[index] is not None:
            return
        self.results[index] = result
        self._left -= 1
        if self._left == 0:
            self._tell([result for result in self.results if result is not None])


def make_future(hand_in: Callable[[Tell], None]) -> Future[list[Result]]:
    """Hand something in, with the results as a future. Raises what `hand_in` raises."""
    future: Future[list[Result]] = Future()

    def tell(results: list[Result]) -> None:
        if not future.cancelled():
            future.set_result(results)

    hand_in(tell)
    return future


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
