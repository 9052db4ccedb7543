"""Executing actions: what an STF sees, what its outcomes mean, and `apply_actions`, the one function that runs STFs.

Sequencer, verifier, replay and tests call `apply_actions`; nothing else executes a state transition function.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec
import structlog

from microrollup.action import Action, Event
from microrollup.errors import ImpureStf, LimitExceeded, MicrorollupError
from microrollup.map import ABSENT, Map, NotDescended, collect_changes
from microrollup.merkle.indexed import compute_tree_key
from microrollup.primitives import MAX_EVENT_BYTES, MAX_EVENTS, MAX_REASON_BYTES, Address, Bytes32, Uint64
from microrollup.state import State

if TYPE_CHECKING:
    from microrollup.rollup import MicroRollup

__all__ = [
    "EXECUTED",
    "FAULTED",
    "INVALID_FORCED",
    "REJECTED",
    "VOIDED_FORCED",
    "BlockContext",
    "ChainState",
    "Context",
    "Entry",
    "Interrupted",
    "Journal",
    "LimitHit",
    "NonceMismatch",
    "Receipt",
    "Revert",
    "apply_actions",
    "require",
]

EXECUTED: Final = 0
REJECTED: Final = 1
FAULTED: Final = 2
INVALID_FORCED: Final = 3
VOIDED_FORCED: Final = 4

_log = structlog.get_logger(__name__)


class Revert(Exception):
    """Raised by an STF to reject its action; `reason` is constant text that the receipt commits to."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def require(condition: object, reason: str) -> None:
    """Reject the action with `reason` (constant text, at most 256 bytes) unless `condition` holds."""
    if not condition:
        raise Revert(reason)


class Interrupted(BaseException):
    """The watchdog's way out of an STF that runs too long. No `Exception`, so that an STF cannot take it for its own."""


class LimitHit(LimitExceeded):
    """One action hit a limit of time, memory or recursion. What was executed before it stands in `state`, `receipts`."""

    def __init__(self, seq: int, limit: str, state: ChainState, receipts: list[Receipt]) -> None:
        super().__init__(f"the action at seq {seq} hit the limit of {limit}")
        self.seq = seq
        self.limit = limit
        self.state = state
        self.receipts = receipts


class NonceMismatch(MicrorollupError):
    """A signed entry has another nonce than its sender's next."""

    def __init__(self, seq: int, expected: int, found: int) -> None:
        super().__init__(f"seq {seq}: the sender's next nonce is {expected}, not {found}")
        self.seq = seq
        self.expected = expected
        self.found = found


class Context:
    """What an STF may know besides state and action, and the way to emit events."""

    __slots__ = ("events", "height", "origin", "sender", "timestamp")

    def __init__(
        self, sender: bytes, height: int = 1, timestamp: int = 0, origin: Literal["signed", "l1"] = "signed"
    ) -> None:
        self.sender = sender
        """20 bytes: who signed, or who called the inbox on L1."""
        self.height = height
        self.timestamp = timestamp
        """Seconds; the block's."""
        self.origin = origin
        """"signed", or "l1" for an action forced through the inbox."""
        self.events: list[Event] = []

    def emit(self, event: Event) -> None:
        """Record an event; it is kept only if the action executes. At most 64, and 16 KiB, an action."""
        if len(self.events) <= MAX_EVENTS:
            self.events.append(event)


class Entry(msgspec.Struct, frozen=True):
    """An authenticated entry of the log, ready to execute."""

    record: bytes
    sender: bytes
    nonce: int
    """The sender's kernel nonce; -1 for forced actions, which have none."""
    action_hash: bytes
    """32 bytes: keccak256(digest || sender), or the forced action's identity."""
    action: Action | None
    """None for forced actions that do not decode or are voided."""
    status: int = EXECUTED
    """INVALID_FORCED or VOIDED_FORCED: nothing is executed."""


class Receipt(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What became of an action: `[seq, actionHash, status, reason, [[event name, event bytes]...]]`."""

    seq: Uint64
    action_hash: Bytes32
    status: int
    """0 executed, 1 rejected, 2 faulted, 3 invalid forced, 4 voided forced."""
    reason: str
    """Why it was rejected; empty otherwise."""
    events: tuple[tuple[str, bytes], ...]


class ChainState(msgspec.Struct, frozen=True):
    """All that execution reads and writes: the app's state, the kernel's nonces, forced actions taken so far."""

    app: State
    nonces: Map[Address, int]
    forced_count: int


class Journal:
    """The net changes of a block, collected action by action, for tree, set hash, rows and undo.

    `fields[i]` belongs to the state's i-th field: encoded key -> [key, value before the block, value now, leaf bytes
    now]. `order` lists settled keys as (field index, encoded key) in the order in which leaves are appended.
    """

    __slots__ = ("fields", "nonces", "order")

    def __init__(self, field_count: int) -> None:
        self.fields: list[dict[bytes, list[Any]]] = [{} for _ in range(field_count)]
        self.order: list[tuple[int, bytes]] = []
        self.nonces: dict[bytes, int] = {}
        """Sender -> nonce before the block."""


class BlockContext:
    """What the entries of one block share while they execute."""

    __slots__ = ("audit", "height", "journal", "next_seq", "ticket", "timestamp")

    def __init__(self, height: int, timestamp: int, next_seq: int, journal: Journal, *, audit: bool = False) -> None:
        self.height = height
        self.timestamp = timestamp
        self.next_seq = next_seq
        """The sequence number of the next entry."""
        self.journal = journal
        self.audit = audit
        """Check after each action that the STF left its pre-state and its action as they were (verifier)."""
        self.ticket = 0
        """Odd while an STF runs; changes with every action. What a watchdog looks at."""


_NO_EVENTS: Final[tuple[tuple[str, bytes], ...]] = ()


def apply_actions(
    rollup: MicroRollup, state: ChainState, entries: Sequence[Entry], context: BlockContext
) -> tuple[ChainState, list[Receipt]]:
    """Execute entries in order and return the state after them and a receipt for each.

    Pure but for `context`, whose journal and sequence number move on. Rejected and faulted actions consume their nonce
    and keep the state. Raises `NonceMismatch` before an entry out of order, and `LimitHit` (with what was done until
    then) before an entry that exhausts time, memory or recursion.
    """
    app, nonces, forced_count = state.app, state.nonces, state.forced_count
    stfs, old_nonces = rollup.stf_by_action, context.journal.nonces
    height, timestamp = context.height, context.timestamp
    receipts: list[Receipt] = []
    for entry in entries:
        action, sender, seq = entry.action, entry.sender, context.next_seq
        origin: Literal["signed", "l1"] = "signed" if entry.nonce >= 0 else "l1"
        if origin == "signed":
            nonce = nonces.get(sender, 0)
            if nonce != entry.nonce:
                raise NonceMismatch(seq, nonce, entry.nonce)
        status, reason, events = entry.status, "", _NO_EVENTS
        if action is not None:
            ctx = Context(sender, height, timestamp, origin)
            pre, frozen = app, _freeze(rollup, app) if context.audit else None
            context.ticket += 1
            try:
                post = stfs[type(action)](app, action, ctx)
                context.ticket += 1
                changes, events = _collect(rollup, app, post, ctx.events)
            except Revert as revert:
                context.ticket += context.ticket & 1
                status, reason = _read_reason(revert)
            except (RecursionError, MemoryError, Interrupted) as limit:
                context.ticket += context.ticket & 1
                done = ChainState(app, nonces, forced_count)
                raise LimitHit(seq, _LIMIT_NAMES[type(limit)], done, receipts) from None
            except (Exception, SystemExit) as error:
                context.ticket += context.ticket & 1
                status, events = FAULTED, _NO_EVENTS
                _log.error("stf_faulted", seq=seq, action=type(action).__name__, error=repr(error), exc_info=error)
            else:
                if changes:
                    _record(rollup, context.journal, changes)
                app = post
            if frozen is not None and frozen != _freeze(rollup, pre):
                raise ImpureStf(f"the STF of {type(action).__name__} changed its pre-state in place (seq {seq})")
        if origin == "signed":
            nonces = nonces.set(sender, nonce + 1)
            old_nonces.setdefault(sender, nonce)
        else:
            forced_count += 1
        receipts.append(Receipt(seq, entry.action_hash, status, reason, events))
        context.next_seq = seq + 1
    return ChainState(app, nonces, forced_count), receipts


_LIMIT_NAMES: Final[dict[type[BaseException], str]] = {
    RecursionError: "recursion",
    MemoryError: "memory",
    Interrupted: "time",
}


def _read_reason(revert: Revert) -> tuple[int, str]:
    """Rejected with its reason; faulted if the reason is no text that a receipt can hold."""
    reason = revert.reason
    try:
        if type(reason) is str and len(reason.encode()) <= MAX_REASON_BYTES:
            return REJECTED, reason
    except UnicodeEncodeError:
        pass
    _log.error("stf_faulted", error="the reason of a rejection is text of at most 256 bytes")
    return FAULTED, ""


class _BadOutcome(Exception):
    """What an STF returned or emitted cannot be taken; the action has faulted."""


_Change = tuple[int, bytes, Any, Any, Any, bytes]
"""Field index, encoded key, key, old value, new value, leaf bytes (empty for a deleted key)."""


def _collect(
    rollup: MicroRollup, pre: State, post: State, events: list[Event]
) -> tuple[list[_Change], tuple[tuple[str, bytes], ...]]:
    """Check what an STF returned and list its net changes, settled ones in the order of (silo, tree key).

    Anything raised here makes the action faulted.
    """
    changes: list[_Change] = []
    if post is not pre:
        state_type = rollup.state_type
        if type(post) is not state_type.cls:
            raise _BadOutcome(f"returned {type(post).__name__}, not {state_type.cls.__name__}")
        for index, (name, field) in enumerate(rollup.state_fields):
            old, new = getattr(pre, name), getattr(post, name)
            if old is new:
                continue
            if field.is_map:
                if type(new) is not Map:
                    raise _BadOutcome(f"{name} is no Map")
                try:
                    pairs = collect_changes(old, new)
                except NotDescended:
                    raise _BadOutcome(f"{name} was not made from its own pre-state") from None
            else:
                field.check(new)
                pairs = [(None, old, new)] if new != old else []
            for key, before, after in pairs:
                encoded = field.encode_key(key)
                if after is ABSENT:
                    changes.append((index, encoded, key, before, after, b""))
                else:
                    field.check(after)
                    changes.append((index, encoded, key, before, after, field.encode_leaf(after)))
    if len(changes) > 1:
        fields = rollup.state_type.fields
        changes.sort(key=lambda change: _leaf_position(fields[change[0]].number, fields[change[0]].settled, change[1]))
    return changes, _encode_events(rollup, events) if events else _NO_EVENTS


def _leaf_position(number: int, settled: bool, encoded_key: bytes) -> tuple[bool, int, bytes]:
    return (not settled, number, compute_tree_key(number, encoded_key) if settled else encoded_key)


def _encode_events(rollup: MicroRollup, events: list[Event]) -> tuple[tuple[str, bytes], ...]:
    if len(events) > MAX_EVENTS:
        raise _BadOutcome(f"more than {MAX_EVENTS} events")
    encoded = tuple([rollup.encode_event(event) for event in events])
    if sum(len(name) + len(body) for name, body in encoded) > MAX_EVENT_BYTES:
        raise _BadOutcome(f"more than {MAX_EVENT_BYTES} bytes of events")
    return encoded


def _record(rollup: MicroRollup, journal: Journal, changes: list[_Change]) -> None:
    """Add an executed action's net changes to the block's."""
    fields = journal.fields
    for index, encoded, key, before, after, leaf in changes:
        known = fields[index].get(encoded)
        if known is None:
            fields[index][encoded] = [key, before, after, leaf]
            if rollup.state_fields[index][1].settled:
                journal.order.append((index, encoded))
        else:
            known[2], known[3] = after, leaf


def _freeze(rollup: MicroRollup, app: State) -> list[bytes]:
    """The encodings of the scalar fields that an STF is handed (a map's stored values are audited at the block's end)."""
    return [field.encode_row(getattr(app, name)) for name, field in rollup.state_fields if not field.is_map]
