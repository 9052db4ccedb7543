"""Running one action: what its STF returned or raised, as an outcome that can be taken or dropped."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec
import structlog

from microrollup.chain.block_entry import BlockBegin
from microrollup.chain.receipt import EXECUTED, FAULTED, REJECTED
from microrollup.crypto.merkle.indexed import compute_tree_key
from microrollup.declaration.action import Action, Event
from microrollup.declaration.context import Context, Revert
from microrollup.declaration.map import ABSENT, Map, StoreFault, collect_changes
from microrollup.declaration.state import State
from microrollup.declaration.state_part import StatePart
from microrollup.execution.block_context import BlockContext, Interrupted
from microrollup.execution.faults import is_showable
from microrollup.execution.journal import Journal, KeyChange
from microrollup.execution.metering import Metered, get_metered
from microrollup.guard.steps import LimitReached
from microrollup.primitives import MAX_EVENT_BYTES, MAX_EVENTS, MAX_REASON_BYTES

if TYPE_CHECKING:
    from microrollup.declaration.rollup import MicroRollup
    from microrollup.execution.stf import Entry

__all__ = ["Attempt", "HitLimit", "encode_events", "make_context", "name_limit", "read_reason", "run_action"]

_log = structlog.get_logger(__name__)

_NO_EVENTS: Final[tuple[tuple[str, bytes], ...]] = ()
_NO_CHANGES: Final[tuple[KeyChange, ...]] = ()

_BEYOND_STF: Final = (StoreFault, Interrupted, KeyboardInterrupt, MemoryError, RecursionError)
"""What tells nothing of the STF."""

_ROW_PREFIX_BYTES: Final = 2


class HitLimit(Exception):
    """The action took more than the process allows: "time", "memory" or "recursion"."""

    def __init__(self, limit: str) -> None:
        super().__init__(limit)
        self.limit = limit


class Attempt(msgspec.Struct, gc=False):
    """What an action does to the state that it was given. Nothing is taken over yet."""

    app: State
    status: int = EXECUTED
    reason: str = ""
    events: tuple[tuple[str, bytes], ...] = _NO_EVENTS
    changes: Sequence[KeyChange] = _NO_CHANGES
    share_bytes: int = 0
    """Bytes of its events and changes, by themselves."""
    new_rows: int = 0
    """Keys that no entry of the block has changed before."""
    growth_bytes: int = 0
    """By how much the block's changes and events grow."""


def make_context(entry: Entry, context: BlockContext) -> Context:
    """What the STF of an entry sees of it and of its block; fresh for each run, since it keeps the events."""
    forced = entry.kind in ("forced", "carried")
    return Context(
        entry.sender, context.height, context.timestamp, entry.origin, context.rollup_id, forced, entry.l1_sender,
        entry.scheme,
    )  # fmt: skip


def run_action(
    rollup: MicroRollup, pre: State, entry: Entry, action: Action | BlockBegin, context: BlockContext
) -> Attempt:
    """Run the STF of an entry's action, or the block hook, on `pre`. Neither state nor journal change.

    What nobody could have refused runs in the metered form, in which an action that reaches a limit has faulted.
    Raises `HitLimit`; `StoreFault` if the store failed meanwhile; `Interrupted` if a watchdog came too late to tell
    whether the action ran over its time.
    """
    form = get_metered(rollup) if entry.kind != "signed" and entry.is_given else None
    ctx = make_context(entry, context)
    attempt, hit = None, "time"
    context.ticket += 1
    try:
        if form is None:
            part = rollup.part_by_entry[type(action)]
            own = part.read(pre) if part.path else pre
            result = rollup.stf_by_entry[type(action)](own, action, ctx)
            if context.interrupted:
                raise Interrupted
            context.ticket += 1
            attempt = _take(rollup, pre, part, context.journal, own, result, ctx.events, None)
        else:
            attempt = _run_metered(rollup, form, pre, action, ctx, context)
    except Revert as revert:
        status, reason = read_reason(revert)
        attempt = Attempt(pre, status, reason)
    except (RecursionError, MemoryError, Interrupted) as limit:
        if isinstance(limit, Interrupted) and not context.ticket & 1:
            raise
        context.interrupted = False
        attempt, hit = None, name_limit(limit)
    except (StoreFault, KeyboardInterrupt):
        raise
    except BaseException as error:  # whatever class the STF made up for it
        _report_fault(context.next_seq, action, error)
        attempt = Attempt(pre, FAULTED)
    finally:
        if context.ticket & 1:
            context.ticket += 1
    if attempt is None or context.interrupted:  # raised only here: the limit's own traceback holds what the STF held
        context.interrupted = False
        raise HitLimit(hit)
    return attempt


def _run_metered(
    rollup: MicroRollup, metered: Metered, pre: State, action: Action | BlockBegin, ctx: Context, context: BlockContext
) -> Attempt:
    """The same with its steps counted; faulted once a limit is reached, whatever the STF has made of it."""
    meter, limit, attempt = metered.meter, None, None
    metered.settle(pre)
    try:
        with meter:
            try:
                part = rollup.part_by_entry[type(action)]
                own = part.read(pre) if part.path else pre
                result = metered.stfs[type(action)](own, action, ctx)
                if context.interrupted:
                    raise Interrupted
                context.ticket += 1
                attempt = _take(rollup, pre, part, context.journal, own, result, ctx.events, metered.leaves)
            finally:
                limit = meter.limit
                context.steps += meter.count_taken()
    except LimitReached as reached:
        limit = reached.limit
    except _BEYOND_STF:
        raise
    except BaseException:  # raised instead of the limit, by an STF that has caught it
        if limit is None:
            raise
    if attempt is None or limit is not None:
        _log.warning("limit_reached", seq=context.next_seq, action=type(action).__name__, limit=limit)
        return Attempt(pre, FAULTED, f"limit: {limit}")
    return attempt


def name_limit(limit: BaseException) -> str:
    """Which limit a MemoryError, a RecursionError or an `Interrupted` is about."""
    if isinstance(limit, Interrupted):
        return "time"
    return "memory" if isinstance(limit, MemoryError) else "recursion"


def _report_fault(seq: int, action: Action | BlockBegin, error: BaseException) -> None:
    """Say it in the log, as far as the exception lets itself be shown."""
    name = type(action).__name__
    shown = is_showable(error)
    try:
        _log.error(
            "stf_faulted",
            seq=seq,
            action=name,
            error=repr(error) if shown else type(error).__name__,
            exc_info=error if shown else None,
        )
    except Exception:
        _log.error("stf_faulted", seq=seq, action=name, error=type(error).__name__)


def read_reason(revert: Revert) -> tuple[int, str]:
    """The status and reason of a rejection; faulted, without one, if it is not a text that a receipt can hold."""
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


def _take(
    rollup: MicroRollup,
    pre: State,
    part: StatePart,
    journal: Journal,
    own: State,
    result: Any,
    events: list[Event],
    leaves: Mapping[int, Callable[[Any], bytes]] | None,
) -> Attempt:
    """What an STF returned for its own part of the state `pre`, checked, with the encoded events and the net changes,
    settled ones in the order of (silo, tree key). `leaves` has the leaf functions by field position, where they are not
    the fields' own.

    Anything raised here makes the action faulted.
    """
    encoded_events, share = encode_events(rollup, events) if events else (_NO_EVENTS, 0)
    if result is own:
        return Attempt(pre, EXECUTED, "", encoded_events, _NO_CHANGES, share, 0, share)
    growth, new_rows = share, 0
    changes: list[KeyChange] = []
    compared = [(part, own, result)]
    for inner, before_state, after_state in compared:  # grows by the inner parts that differ
        if type(after_state) is not inner.cls:
            raise _BadOutcome(f"returned {type(after_state).__name__}, not {inner.cls.__name__}")
        for name, field in inner.members:
            old, new = getattr(before_state, name), getattr(after_state, name)
            if old is new:
                continue
            if type(field) is StatePart:  # `isinstance` of a Struct takes as long as the rest of the loop
                compared.append((field, old, new))
                continue
            if field.is_map:
                if type(new) is not Map:
                    raise _BadOutcome(f"{field.name} is not a Map")
                pairs = collect_changes(old, new)
            else:
                pairs = [(None, old, new)]
            touched = journal.fields[field.position]
            encode_leaf = field.encode_leaf if leaves is None else leaves.get(field.position, field.encode_leaf)
            for key, before, after in pairs:
                if after is ABSENT:
                    leaf, row, size = b"", None, 0
                else:
                    field.check(after)
                    if before is not ABSENT and after == before:
                        continue
                    leaf, row = encode_leaf(after), field.encode_row(after)
                    size = len(row)
                encoded = field.encode_key(key)
                known = touched.get(encoded)
                if known is None:
                    row_before, new_rows = None, new_rows + 1
                    size += _ROW_PREFIX_BYTES + len(encoded)
                    if before is not ABSENT:
                        row_before = field.encode_row(before)
                        size += len(row_before)
                    changes.append(KeyChange(field, encoded, key, before, after, leaf, row_before, row))
                    share += size
                    growth += size
                else:
                    changes.append(
                        KeyChange(field, encoded, key, known.before, after, leaf, known.row_before, row, False)
                    )
                    size_before = len(known.row or b"")
                    share += _ROW_PREFIX_BYTES + len(encoded) + size_before + size
                    growth += size - size_before
    if len(changes) > 1:
        changes.sort(key=_leaf_position)
    app = part.put(pre, result) if part.path else result
    return Attempt(app, EXECUTED, "", encoded_events, changes, share, new_rows, growth)


def _leaf_position(change: KeyChange) -> tuple[bool, int, bytes]:
    field, encoded = change.field, change.encoded
    return not field.settled, field.number, compute_tree_key(field.number, encoded) if field.settled else encoded


def encode_events(rollup: MicroRollup, events: list[Event]) -> tuple[tuple[tuple[str, bytes], ...], int]:
    """Names and bodies, and how many bytes they have together. Raises for events that no receipt may hold."""
    if len(events) > MAX_EVENTS:
        raise _BadOutcome(f"more than {MAX_EVENTS} events")
    encoders, encoded, size = rollup.event_encoders, [], 0
    for event in events:
        name, body = pair = (encoders.get(type(event)) or rollup.encode_event)(event)
        encoded.append(pair)
        size += len(name) + len(body)
    if size > MAX_EVENT_BYTES:
        raise _BadOutcome(f"more than {MAX_EVENT_BYTES} bytes of events")
    return tuple(encoded), size
