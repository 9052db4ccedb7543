"""What an STF sees besides state and action: its context, and the way to reject an action."""

from __future__ import annotations

import msgspec

from microrollup.declaration.action import Event
from microrollup.primitives import MAX_EVENTS, ZERO_ADDRESS, ZERO_BYTES32

__all__ = ["Context", "Revert", "require"]


class Context(msgspec.Struct, gc=False):
    """What an STF may know besides state and action, and the way to emit events."""

    sender: bytes
    """20 bytes: who signed, or for the origin "l1" who called the inbox; zero in a block hook, and for what came in an
    envelope."""
    height: int = 1
    timestamp: int = 0
    """Seconds; the block's."""
    origin: str = "signed"
    """"signed", "l1" for an L1 account's own action, forced through the inbox, "block" in a block hook,
    "upgrade" in a migration, or the name of the envelope in which the action came."""
    rollup_id: bytes = ZERO_BYTES32
    """32 bytes."""
    forced: bool = False
    """Whether it came through the inbox, signed or not: nobody could have refused it."""
    l1_sender: bytes = ZERO_ADDRESS
    """20 bytes: who put it into the inbox; zero unless `forced`."""
    scheme: int = 0
    """The scheme by which `sender` signed, the first byte of its signature, such as 7 of a Winternitz key; 0 for an
    Ethereum key, and for what nobody signed."""
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
