"""Executing actions: what an STF sees, what its outcomes mean, and `apply_actions`, the one function that runs STFs.

Sequencer, verifier, replay and tests call `apply_actions`; nothing else executes a state transition function.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, Literal

import msgspec
import structlog

from microrollup.action import Action, Event
from microrollup.context import Context, Revert
from microrollup.errors import ImpureStf, LimitExceeded, MicrorollupError
from microrollup.journal import Change, Journal, NetChange
from microrollup.map import ABSENT, Map, StoreFault, collect_changes, set_all
from microrollup.merkle.indexed import compute_tree_key
from microrollup.primitives import MAX_EVENT_BYTES, MAX_EVENTS, MAX_REASON_BYTES, Address
from microrollup.receipt import EXECUTED, FAULTED, REJECTED, Receipt
from microrollup.state import State, StateField

if TYPE_CHECKING:
    from microrollup.rollup import MicroRollup

__all__ = [
    "BlockContext",
    "ChainState",
    "Entry",
    "Interrupted",
    "LimitHit",
    "NonceMismatch",
    "apply_actions",
]

_log = structlog.get_logger(__name__)


class Interrupted(BaseException):
    """The watchdog's way out of an STF that runs too long; no `Exception`, so that an STF cannot swallow it."""


class _Stopped(MicrorollupError):
    """Execution stopped before the entry `seq`; what was executed until then stands in `state` and `receipts`."""

    state: ChainState
    receipts: list[Receipt]

    def __init__(self, seq: int, text: str) -> None:
        super().__init__(text)
        self.seq = seq


class LimitHit(_Stopped, LimitExceeded):
    """One action hit a limit of time, memory or recursion."""

    def __init__(self, seq: int, limit: str) -> None:
        super().__init__(seq, f"the action at seq {seq} hit the limit of {limit}")
        self.limit = limit


class NonceMismatch(_Stopped):
    """A signed entry has another nonce than its sender's next."""

    def __init__(self, seq: int, expected: int, found: int) -> None:
        super().__init__(seq, f"seq {seq}: the sender's next nonce is {expected}, not {found}")
        self.expected = expected
        self.found = found


class Entry(msgspec.Struct, frozen=True, gc=False):
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


class ChainState(msgspec.Struct, frozen=True):
    """All that execution reads and writes: the app's state, the kernel's nonces, forced actions taken so far."""

    app: State
    nonces: Map[Address, int]
    forced_count: int


class BlockContext:
    """What the entries of one block share while they execute."""

    __slots__ = ("audit", "height", "interrupted", "journal", "next_seq", "ticket", "timestamp")

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
        self.interrupted = False
        """Set by a watchdog before it interrupts, so that an STF which swallows `Interrupted` gains nothing."""


_NO_EVENTS: Final[tuple[tuple[str, bytes], ...]] = ()


def apply_actions(
    rollup: MicroRollup, state: ChainState, entries: Sequence[Entry], context: BlockContext
) -> tuple[ChainState, list[Receipt]]:
    """Execute entries in order and return the state after them and a receipt for each.

    Pure but for `context`, whose journal and sequence number move on. Rejected and faulted actions consume their nonce
    and keep the state. Raises `NonceMismatch` before an entry out of order, and `LimitHit` (with what was done until
    then) before an entry that exhausts time, memory or recursion.
    """
    app, chain_nonces, forced_count = state.app, state.nonces, state.forced_count
    stfs, journal, audit = rollup.stf_by_action, context.journal, context.audit
    fields, state_class = rollup.state_type.fields, rollup.state_type.cls
    height, timestamp, seq = context.height, context.timestamp, context.next_seq
    nonces: dict[bytes, int] = {}
    receipts: list[Receipt] = []
    try:
        for entry in entries:
            action, sender, status, reason, events = entry.action, entry.sender, entry.status, "", _NO_EVENTS
            origin: Literal["signed", "l1"] = "l1"
            nonce = entry.nonce
            if nonce >= 0:
                origin = "signed"
                expected = nonces.get(sender)
                if expected is None:
                    expected = chain_nonces.get(sender, 0)
                if nonce != expected:
                    raise NonceMismatch(seq, expected, nonce)
            if action is not None:
                ctx = Context(sender, height, timestamp, origin)
                pre, frozen = app, _freeze(rollup, app) if audit else None
                context.ticket += 1
                try:
                    app = stfs[type(action)](pre, action, ctx)
                    if context.interrupted:
                        raise Interrupted
                    context.ticket += 1
                    if ctx.events:
                        events = _encode_events(rollup, ctx.events)
                    if app is not pre:
                        _take_changes(fields, state_class, journal, pre, app)
                except Revert as revert:
                    context.ticket += context.ticket & 1
                    app, events, (status, reason) = pre, _NO_EVENTS, _read_reason(revert)
                except (RecursionError, MemoryError, Interrupted) as limit:
                    if isinstance(limit, Interrupted) and not context.ticket & 1:
                        raise  # it came too late to tell what of the outcome was taken
                    app = pre
                    context.ticket += context.ticket & 1
                    context.interrupted = False
                    raise LimitHit(seq, _name_limit(limit)) from None
                except (StoreFault, KeyboardInterrupt):
                    context.ticket += context.ticket & 1
                    raise
                except BaseException as error:  # whatever class the STF made up for it
                    context.ticket += context.ticket & 1
                    app, status, events = pre, FAULTED, _NO_EVENTS
                    _report_fault(seq, action, error)
                if context.interrupted:
                    app, context.interrupted = pre, False
                    raise LimitHit(seq, "time")
                if frozen is not None and frozen != _freeze(rollup, pre):
                    raise ImpureStf(f"the STF of {type(action).__name__} changed its pre-state in place (seq {seq})")
            if nonce >= 0:
                nonces[sender] = nonce + 1
            else:
                forced_count += 1
            receipts.append(Receipt(seq, entry.action_hash, status, reason, events))
            seq += 1
    except (LimitHit, NonceMismatch) as stopped:
        stopped.state = _finish(context, app, chain_nonces, nonces, forced_count, seq)
        stopped.receipts = receipts
        raise
    return _finish(context, app, chain_nonces, nonces, forced_count, seq), receipts


def _finish(
    context: BlockContext,
    app: State,
    chain_nonces: Map[Address, int],
    nonces: dict[bytes, int],
    forced_count: int,
    seq: int,
) -> ChainState:
    """The state behind the entries that were executed, their nonces consumed."""
    chain_nonces, olds = set_all(chain_nonces, nonces)
    old_nonces = context.journal.nonces
    for sender, old in olds:
        if sender not in old_nonces:
            old_nonces[sender] = old if isinstance(old, int) else 0
    context.next_seq = seq
    return ChainState(app, chain_nonces, forced_count)


def _name_limit(limit: BaseException) -> str:
    if isinstance(limit, Interrupted):
        return "time"
    return "memory" if isinstance(limit, MemoryError) else "recursion"


def _report_fault(seq: int, action: Action, error: BaseException) -> None:
    """Say it in the log, as far as the exception lets itself be shown."""
    name = type(action).__name__
    try:
        _log.error("stf_faulted", seq=seq, action=name, error=repr(error), exc_info=error)
    except Exception:
        _log.error("stf_faulted", seq=seq, action=name, error=type(error).__name__)


def _read_reason(revert: Revert) -> tuple[int, str]:
    """Rejected with its reason; faulted if the reason is no text that a receipt can hold."""
    try:
        reason = revert.reason
        if type(reason) is str and len(reason.encode()) <= MAX_REASON_BYTES:
            return REJECTED, reason
    except Exception:  # no UTF-8, or a subclass without a reason
        _log.debug("reason_unreadable")
    _log.error("stf_faulted", error="the reason of a rejection is text of at most 256 bytes")
    return FAULTED, ""


class _BadOutcome(Exception):
    """What an STF returned or emitted cannot be taken; the action has faulted."""


def _take_changes(
    fields: tuple[StateField, ...], state_class: type[State], journal: Journal, pre: State, post: State
) -> None:
    """Check the state that an STF returned, and enter its net changes into the journal, all or none.

    Settled changes are entered in the order of (silo, tree key). Anything raised here makes the action faulted.
    """
    if type(post) is not state_class:
        raise _BadOutcome(f"returned {type(post).__name__}, not {state_class.__name__}")
    changes: list[NetChange] = []
    for field in fields:
        name = field.name
        old, new = getattr(pre, name), getattr(post, name)
        if old is new:
            continue
        if field.is_map:
            if type(new) is not Map:
                raise _BadOutcome(f"{field.name} is no Map")
            pairs = collect_changes(old, new)
        else:
            pairs = [(None, old, new)]
        for key, before, after in pairs:
            leaf = b""
            if after is not ABSENT:
                field.check(after)
                if after == before:
                    continue
                leaf = field.encode_leaf(after)
            changes.append((field, field.encode_key(key), key, before, after, leaf))
    if len(changes) > 1:
        changes.sort(key=_leaf_position)
    for field, encoded, key, before, after, leaf in changes:
        touched = journal.fields[field.position]
        known = touched.get(encoded)
        if known is None:
            touched[encoded] = Change(key, before, after, leaf)
            if field.settled:
                journal.order.append((field.position, encoded))
        else:
            known.after = after
            known.leaf = leaf


def _leaf_position(change: NetChange) -> tuple[bool, int, bytes]:
    field, encoded = change[0], change[1]
    return not field.settled, field.number, compute_tree_key(field.number, encoded) if field.settled else encoded


def _encode_events(rollup: MicroRollup, events: list[Event]) -> tuple[tuple[str, bytes], ...]:
    if len(events) > MAX_EVENTS:
        raise _BadOutcome(f"more than {MAX_EVENTS} events")
    if len(events) == 1:
        event = events[0]
        encode = rollup.event_encoders.get(type(event)) or rollup.encode_event
        pair = encode(event)
        if len(pair[0]) + len(pair[1]) <= MAX_EVENT_BYTES:
            return (pair,)
    size, encoded = 0, []
    for event in events:
        pair = rollup.encode_event(event)
        encoded.append(pair)
        size += len(pair[0]) + len(pair[1])
    if size > MAX_EVENT_BYTES:
        raise _BadOutcome(f"more than {MAX_EVENT_BYTES} bytes of events")
    return tuple(encoded)


def _freeze(rollup: MicroRollup, app: State) -> list[bytes]:
    """The encodings of the scalar fields that an STF is handed (stored values are audited at the block's end)."""
    return [field.encode_row(getattr(app, name)) for name, field in rollup.state_fields if not field.is_map]
