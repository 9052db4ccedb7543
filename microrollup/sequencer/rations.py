"""Admission with rations: an app's policy, and how many actions of each sender may be rejected.

A rejected action is logged and pays nobody. Where an app has a policy, those that may be rejected are few: a bucket for
each sender, in a table that is bounded itself. Nothing here is committed to.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final

from microrollup.chain.receipt import EXECUTED
from microrollup.errors import RejectionsSpent

__all__ = ["MAX_RATIONED_SENDERS", "MAX_REJECTIONS", "MAX_STRIDE", "REJECTION_SECONDS", "RationedAdmission"]

MAX_REJECTIONS: Final = 16
"""Actions of one sender that may be rejected, or fault, at once; where the app declares an admission policy."""

REJECTION_SECONDS: Final = 30.0
"""After so long one more may be."""

MAX_RATIONED_SENDERS: Final = 10_000
"""Senders that are remembered; the one whose last rejection is longest ago is forgotten, and has its ration again."""


MAX_STRIDE: Final = 1_000
"""Actions that are executed together where an app has an admission policy."""


class RationedAdmission:
    """What the app's policy takes, of senders that have something left of their ration; in the writer's thread."""

    def __init__(self, admit: Callable[[Any, Any, Any], object], clock: Callable[[], float] = time.monotonic) -> None:
        self._admit = admit
        self._clock = clock
        self.stride = MAX_STRIDE
        """Actions to execute together. Those after a refused one have to be made ready again, so after a refusal the
        next goes alone, and then more with each that is taken: refusing costs its own time, however many come."""
        self._buckets: OrderedDict[bytes, tuple[float, float]] = OrderedDict()
        """Sender -> rejections left at a time; the one whose last rejection is longest ago comes first."""

    def __len__(self) -> int:
        """Senders that are remembered."""
        return len(self._buckets)

    def is_spent(self, sender: bytes) -> bool:
        """Whether a sender's ration is used up now."""
        return sender in self._buckets and self._fill(sender, self._clock()) < 1

    def require_ration(self, sender: bytes) -> None:
        """Raises `RejectionsSpent`."""
        if self.is_spent(sender):
            wait = (1 - self._fill(sender, self._clock())) * REJECTION_SECONDS
            raise RejectionsSpent(f"actions of this sender were rejected too often; try again in {wait:.1f} s")

    def require(self, state: Any, action: Any, ctx: Any) -> None:
        """Raises `RejectionsSpent`, and what the policy raises."""
        stride, self.stride = self.stride, 1
        self.require_ration(ctx.sender)
        self._admit(state, action, ctx)
        self.stride = stride

    def note(self, sender: bytes, status: int) -> None:
        """Take one from the ration unless the action was executed."""
        self.stride = min(MAX_STRIDE, self.stride + 1)
        if status == EXECUTED:
            return
        now = self._clock()
        self._buckets[sender] = (self._fill(sender, now) - 1, now)
        self._buckets.move_to_end(sender)
        if len(self._buckets) > MAX_RATIONED_SENDERS:
            self._buckets.popitem(last=False)

    def _fill(self, sender: bytes, now: float) -> float:
        left, then = self._buckets.get(sender, (float(MAX_REJECTIONS), now))
        return min(float(MAX_REJECTIONS), left + (now - then) / REJECTION_SECONDS)
