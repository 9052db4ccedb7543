"""What an STF sees besides state and action: its context, and the way to reject an action."""

from __future__ import annotations

from typing import Literal

import msgspec

from microrollup.action import Event
from microrollup.primitives import MAX_EVENTS

__all__ = ["Context", "Revert", "require"]


class Context(msgspec.Struct, gc=False):
    """What an STF may know besides state and action, and the way to emit events."""

    sender: bytes
    """20 bytes: who signed, or who called the inbox on L1."""
    height: int = 1
    timestamp: int = 0
    """Seconds; the block's."""
    origin: Literal["signed", "l1"] = "signed"
    """"signed", or "l1" for an action forced through the inbox."""
    events: list[Event] = []

    def emit(self, event: Event) -> None:
        """Record an event; it is kept only if the action executes. At most 64, and 16 KiB, an action."""
        if len(self.events) <= MAX_EVENTS:
            self.events.append(event)


class Revert(Exception):
    """Raised by an STF to reject its action; `reason` is constant text that the receipt commits to."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def require(condition: object, reason: str) -> None:
    """Reject the action with `reason` (constant text, at most 256 bytes) unless `condition` holds."""
    if not condition:
        raise Revert(reason)
