"""Executing entries: `apply_actions`, the one function by which state transition functions run.

Sequencer, verifier, replay and tests call `apply_actions`; nothing else executes a state transition function.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import msgspec

from microrollup.chain.block_entry import BlockBegin
from microrollup.chain.receipt import EXECUTED, FAULTED, INVALID_FORCED, STATUS_NAMES, Receipt
from microrollup.declaration.action import Action
from microrollup.declaration.map import Map, set_all
from microrollup.declaration.state import State
from microrollup.errors import ImpureStf, LimitExceeded, MicrorollupError, RefusedError
from microrollup.execution.admission import Admission, find_refusal
from microrollup.execution.attempt import Attempt, HitLimit, make_context, run_action
from microrollup.execution.block_context import BlockContext
from microrollup.execution.budget import (
    NONCE_BYTES,
    Excess,
    Usage,
    find_block_excess,
    find_entry_excess,
    fits_block,
    fits_entry,
)
from microrollup.guard.stack import with_room
from microrollup.primitives import ZERO_ADDRESS, Address

if TYPE_CHECKING:
    from microrollup.declaration.rollup import MicroRollup

__all__ = [
    "CarriedCandidate",
    "ChainState",
    "Entry",
    "EntryKind",
    "LimitHit",
    "NonceMismatch",
    "NotExecuted",
    "NotTaken",
    "OverBudget",
    "Paused",
    "Stopped",
    "apply_actions",
]


class Stopped(MicrorollupError):
    """Execution stopped before the entry `seq`; what was executed until then is in `state` and `receipts`."""

    state: ChainState
    receipts: list[Receipt]
    entries: list[Entry]
    """Those with a receipt, among them what was taken of carriers."""

    def __init__(self, seq: int, text: str) -> None:
        super().__init__(text)
        self.seq = seq


class LimitHit(Stopped, LimitExceeded):
    """One action hit a limit of time, memory or recursion."""

    def __init__(self, seq: int, limit: str) -> None:
        super().__init__(seq, f"the action at seq {seq} hit the limit of {limit}")
        self.limit = limit


class Paused(Stopped):
    """Execution has gone on for long; it goes on with the entry `seq` whenever its caller likes."""

    def __init__(self, seq: int) -> None:
        super().__init__(seq, f"paused before seq {seq}")


class OverBudget(Stopped):
    """One entry changes more than it may: alone, or together with what its block has changed before it.

    The same on every machine: a block that holds such an entry is wrong.
    """

    def __init__(self, seq: int, excess: Excess, *, alone: bool) -> None:
        share = "one entry may" if alone else "its block has room for"
        super().__init__(seq, f"the entry at seq {seq} changes more {excess.limit} than {share}")
        self.excess = excess
        """Of the entry alone, or of the block with the entry."""
        self.alone = alone
        """Whether no block has room for it."""


class NonceMismatch(Stopped):
    """A signed entry has another nonce than its sender's next."""

    def __init__(self, seq: int, expected: int, found: int) -> None:
        super().__init__(seq, f"seq {seq}: the sender's next nonce is {expected}, not {found}")
        self.expected = expected
        self.found = found


class NotExecuted(Stopped):
    """An entry that is taken only if it executes was rejected, or has faulted."""

    def __init__(self, seq: int, status: int, reason: str) -> None:
        super().__init__(seq, f"the entry at seq {seq} does not execute: {reason or STATUS_NAMES[status]}")
        self.status = status
        self.reason = reason


class NotTaken(Stopped):
    """The node does not take a signed action that it was asked to execute: `refusal` says why."""

    def __init__(self, seq: int, refusal: RefusedError) -> None:
        super().__init__(seq, f"the action at seq {seq} is not taken: {refusal}")
        self.refusal = refusal


EntryKind = Literal["signed", "envelope", "forced", "carried", "block", "upgrade"]
"""A record that an account signed, what came in an envelope of the app's own, an entry of the settlement's queue,
one of the signed records that such an entry brings, the block's own entry, or one of an upgrade."""


class Entry(msgspec.Struct, frozen=True, gc=False):
    """An authenticated entry of the log, ready to execute."""

    record: bytes
    sender: bytes
    nonce: int | None
    """The sender's kernel nonce, which the entry consumes; None: it has none."""
    action_hash: bytes
    """32 bytes: keccak256(digest || sender), or the identity of the envelope, the forced action or the block's own
    entry."""
    action: Action | BlockBegin | None
    """None for forced actions that do not decode or are voided."""
    status: int = EXECUTED
    """INVALID_FORCED or VOIDED_FORCED: nothing is executed."""
    kind: EntryKind = "signed"
    """What its record is: where it may be in a block, and whether anybody could have refused it."""
    origin: str = "signed"
    """What the STF reads as `ctx.origin`."""
    l1_sender: bytes = ZERO_ADDRESS
    """20 bytes: who put it into the queue; zero for all other entries."""
    signed_hash: bytes | None = None
    """The identity as a signed action, or as an envelope, of what somebody carried through the queue."""
    scheme: int = 0
    """What the STF reads as `ctx.scheme`."""
    must_execute: bool = False
    """It is taken only if it executes: an envelope that the sequencer executes for the first time."""
    candidates: tuple[CarriedCandidate, ...] | None = None
    """What a carrier brings, see `microrollup.execution.carrier`; None for any other entry."""
    opening_steps: int = 0
    """What checking the signature that it brought through the queue counts as, or opening the envelope."""

    @property
    def is_given(self) -> bool:
        """Whether nobody could have refused it: it runs metered, and what changes too much has faulted."""
        return self.kind in ("forced", "carried", "block")


class CarriedCandidate(msgspec.Struct, frozen=True, gc=False):
    """One of the records that a carrier brings."""

    entry: Entry | None
    """None for what is not an authentic signed action of the rollup: never taken."""
    signature_steps: int
    """Counted whether or not it is taken."""


class ChainState(msgspec.Struct, frozen=True):
    """All that execution reads and writes: the app's state, the kernel's nonces, forced actions taken so far."""

    app: State
    nonces: Map[Address, int]
    forced_count: int


@with_room
def apply_actions(
    rollup: MicroRollup, state: ChainState, entries: Sequence[Entry], context: BlockContext
) -> tuple[ChainState, list[Receipt]]:
    """Execute entries in order and return the state after them and a receipt for each.

    Pure but for `context`, whose journal, budget and sequence number move on. Rejected and faulted actions consume
    their nonce and keep the state; so does a forced action that changes more than one entry may, and in a rebuilt block
    whatever exceeds the budget. A carried action whose nonce is not its sender's next is invalid, and consumes none.
    Raises a `Stopped` (with what was done until then): `NonceMismatch` before an entry out of order, `LimitHit` before
    an entry that exhausts time, memory or recursion, `OverBudget`, `NotExecuted`, `Paused` where `context.seconds` are
    measured, and `NotTaken` where `context.admission` is asked.
    """
    app, chain_nonces, forced_count = state.app, state.nonces, state.forced_count
    nonces: dict[bytes, int] = {}
    receipts: list[Receipt] = []
    run = _run_checked if context.audit or context.twice else run_action
    policy, enter = context.admission, context.journal.enter
    seconds, began = context.seconds, time.perf_counter()
    try:
        for entry in entries:
            sender, nonce, kind, seq = entry.sender, entry.nonce, entry.kind, context.next_seq
            action, status = entry.action, entry.status
            if nonce is not None:
                expected = nonces.get(sender)
                if expected is None:
                    expected = chain_nonces.get(sender, 0)
                if nonce != expected:
                    if kind != "forced":
                        raise NonceMismatch(seq, expected, nonce)
                    action, status, nonce = None, INVALID_FORCED, None
            steps, admission = context.steps, None
            if kind != "signed":
                context.steps += entry.opening_steps
                if entry.candidates is not None:
                    raise ValueError("a carrier is executed by `apply_entries`")
            elif policy is not None and isinstance(action, Action):
                admission = policy
                _require_admitted(admission, app, entry, action, context)
            attempt = Attempt(app, status) if action is None else run(rollup, app, entry, action, context)
            if not fits_entry(len(attempt.changes) + 1, attempt.share_bytes + NONCE_BYTES):
                attempt = _limit_entry(attempt, app, entry, context)
            if entry.must_execute and attempt.status != EXECUTED:
                raise NotExecuted(seq, attempt.status, attempt.reason)
            rows, size = context.changed_rows + attempt.new_rows, context.changed_bytes + attempt.growth_bytes
            if nonce is not None:
                rows, size = rows + 1, size + NONCE_BYTES
            if context.ceiling is None and fits_block(rows, size, context.steps):
                context.changed_rows, context.changed_bytes = rows, size
            else:
                excess = _charge(context, Usage(rows, size, context.steps), steps)
                if excess is not None:
                    attempt = _make_fault(app, excess)
            if attempt.changes:
                enter(attempt.changes)
                app = attempt.app
            if nonce is not None:
                nonces[sender] = nonce + 1
            if kind == "forced":
                forced_count += 1
            receipts.append(Receipt(seq, entry.action_hash, attempt.status, attempt.reason, attempt.events))
            context.next_seq = seq + 1
            if admission is not None:
                admission.note(sender, attempt.status)
            if seconds is not None:
                now = time.perf_counter()
                seconds.append(now - began)
                if now >= context.pause_at and len(receipts) < len(entries):
                    raise Paused(seq + 1)
                began = now
    except (Stopped, HitLimit) as error:
        # In a variable it would hold this frame, and what the action has made, until garbage is collected.
        raise _stop(error, context, _finish(context, app, chain_nonces, nonces, forced_count), receipts) from None
    return _finish(context, app, chain_nonces, nonces, forced_count), receipts


def _require_admitted(admission: Admission, pre: State, entry: Entry, action: Action, context: BlockContext) -> None:
    """Raises `NotTaken`, `HitLimit`."""
    refusal = find_refusal(admission, pre, action, make_context(entry, context), context)
    if refusal is not None:
        raise NotTaken(context.next_seq, refusal)


def _run_checked(
    rollup: MicroRollup, pre: State, entry: Entry, action: Action | BlockBegin, context: BlockContext
) -> Attempt:
    """`run_action` with the checks of a verifier's `context`."""
    frozen = _freeze(rollup, pre) if context.audit else None
    attempt = run_action(rollup, pre, entry, action, context)
    if context.twice:
        steps = context.steps
        again = run_action(rollup, pre, entry, action, context)
        context.steps = steps
        if _outline(attempt) != _outline(again):
            name = type(action).__name__
            raise ImpureStf(
                f"the STF of {name} gives another outcome when it is executed again (seq {context.next_seq})"
            )
    if frozen is not None and frozen != _freeze(rollup, pre):
        name = type(action).__name__
        raise ImpureStf(f"the STF of {name} changed its pre-state in place (seq {context.next_seq})")
    return attempt


def _limit_entry(attempt: Attempt, pre: State, entry: Entry, context: BlockContext) -> Attempt:
    """The attempt if it may be in any block; a given one that changes too much has faulted. Raises `OverBudget`."""
    rows, size = len(attempt.changes), attempt.share_bytes
    if entry.nonce is not None:
        rows, size = rows + 1, size + NONCE_BYTES
    excess = find_entry_excess(rows, size)
    if excess is None:
        return attempt
    if not entry.is_given and not context.rebuilt:
        raise OverBudget(context.next_seq, excess, alone=True)
    return _make_fault(pre, excess)


def _outline(attempt: Attempt) -> tuple[object, ...]:
    """All of an attempt that a block commits to."""
    changes = [(change.field.position, change.encoded, change.leaf, change.row) for change in attempt.changes]
    return attempt.status, attempt.reason, attempt.events, changes


def _make_fault(app: State, excess: Excess) -> Attempt:
    return Attempt(app, FAULTED, f"limit: {excess.limit}")


def _charge(context: BlockContext, used: Usage, steps: int) -> Excess | None:
    """Count what the block's entries would use with one more; what they would have too much of if there is no room.
    `steps` are those before the entry.

    Then nothing is counted, and unless the block's entries are given, raises `OverBudget`; so it does for what a
    carrier brings beyond its share.
    """
    excess = find_block_excess(used, context.ceiling)
    if excess is None:
        context.changed_rows, context.changed_bytes = used.rows, used.size
    elif not context.rebuilt or context.ceiling is not None:
        context.steps = steps
        raise OverBudget(context.next_seq, excess, alone=False)
    return excess


def _stop(error: Stopped | HitLimit, context: BlockContext, state: ChainState, receipts: list[Receipt]) -> Stopped:
    """What is raised for an entry that was not executed, with what the entries before it came to."""
    stopped = LimitHit(context.next_seq, error.limit) if isinstance(error, HitLimit) else error
    stopped.state = state
    stopped.receipts = receipts
    return stopped


def _finish(
    context: BlockContext,
    app: State,
    chain_nonces: Map[Address, int],
    nonces: dict[bytes, int],
    forced_count: int,
) -> ChainState:
    """The state after the entries that were executed, their nonces consumed."""
    chain_nonces, olds = set_all(chain_nonces, nonces)
    old_nonces = context.journal.nonces
    for sender, old in olds.items():
        if sender not in old_nonces:
            old_nonces[sender] = old if isinstance(old, int) else 0
    return ChainState(app, chain_nonces, forced_count)


def _freeze(rollup: MicroRollup, app: State) -> list[bytes]:
    """The encodings of the scalar fields that an STF is handed (stored values are audited at the block's end)."""
    return [field.encode_row(field.read(app)) for field in rollup.state_type.fields if not field.is_map]
