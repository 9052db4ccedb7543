"""What `execute` gives: outcomes with typed events, the state at the end, and the blocks on the way there."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from microrollup.chain.receipt import STATUS_NAMES, Receipt
from microrollup.codec.schema import describe_struct
from microrollup.codec.values import compile_codec
from microrollup.declaration.action import Event
from microrollup.declaration.rollup import MicroRollup
from microrollup.execution.journal import Journal
from microrollup.execution.stf import Entry

__all__ = ["EventDecoder", "ExecutedBlock", "Execution", "ExecutionOutcome"]


class ExecutionOutcome(msgspec.Struct, frozen=True):
    """What became of one action, as its receipt says."""

    seq: int
    height: int
    status: str
    """"executed", "rejected" or "faulted"; "invalid forced" for an envelope that was carried and does not open."""
    reason: str
    """Why it was rejected."""
    events: tuple[Event, ...]


class ExecutedBlock(msgspec.Struct, frozen=True):
    """A block of a run, as the kernel has executed it."""

    height: int
    timestamp: int
    entries: tuple[Entry, ...]
    receipts: tuple[Receipt, ...]
    journal: Journal
    state: Any
    """After the block."""


class Execution(msgspec.Struct, frozen=True):
    """Where a rollup stands after some steps."""

    state: Any
    """Of the app's own state class."""
    outcomes: tuple[ExecutionOutcome, ...]
    """One per action, in order."""
    height: int
    """Of the open block."""
    timestamp: int
    hooks: tuple[ExecutionOutcome, ...] = ()
    """One per block, in order, where the app has a block hook: what became of the block's own entry."""
    upgrades: tuple[ExecutionOutcome, ...] = ()
    """One per version on the way of each `upgrade`; a faulted one leaves state and code as they were."""
    begins: int = 0
    """Height of the newest upgrade; 0 without one."""
    start: Any = None
    """The state at that height."""
    blocks: tuple[ExecutedBlock, ...] = ()
    """Those above it, the open one included: what indexes are filled from."""


class EventDecoder:
    """From a receipt's events to instances of the app's own classes."""

    def __init__(self, app: MicroRollup) -> None:
        self._app = app
        self._decoders: dict[str, Any] = {}

    def to_outcome(self, receipt: Receipt, height: int) -> ExecutionOutcome:
        """The outcome of a receipt."""
        events = self.decode_all(receipt.events)
        return ExecutionOutcome(receipt.seq, height, STATUS_NAMES[receipt.status], receipt.reason, events)

    def decode_all(self, events: Iterable[tuple[str, bytes]]) -> tuple[Event, ...]:
        """The events of a receipt."""
        return tuple([self._decode(name, raw) for name, raw in events])

    def _decode(self, name: str, raw: bytes) -> Event:
        if name not in self._decoders:
            cls = next(cls for cls in self._app.event_encoders if cls.__name__ == name)
            self._decoders[name] = compile_codec(describe_struct(cls, where="event")).decode
        event: Event = self._decoders[name](raw)
        return event
