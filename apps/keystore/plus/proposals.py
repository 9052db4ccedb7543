"""Where a proposal stands: open, running, lapsed; and how an account is locked while one runs."""

from __future__ import annotations

from typing import Final

from microrollup import ZERO_BYTES32, Bytes32, Context, Event, Revert, replace
from microrollup.crypto.keccak import keccak256

from ..accounts import Account
from .authority import find_standing, get_account, put_account, put_standing
from .clock import DAY
from .pending import drop_policy
from .policy import Lock, RecoveryProposal
from .state import Plus

__all__ = [
    "FINISH_WINDOW",
    "LOCK",
    "OPEN_TIME",
    "VETO",
    "RecoveryEnded",
    "RecoveryReached",
    "begin_running",
    "end_running",
    "give_up_running",
    "get_proposal",
    "is_open",
    "put_proposal",
    "remove_proposal",
    "settle_running",
]

VETO: Final = 0
LOCK: Final = 1

OPEN_TIME: Final = 7 * DAY
"""In which a proposal reaches its threshold, or lapses."""
FINISH_WINDOW: Final = 30 * DAY
"""After the delay: in which a proposal is finished, or lapses."""


class RecoveryReached(Event, frozen=True):
    """A proposal has reached its threshold and runs."""

    key: Bytes32
    proposal: Bytes32


class RecoveryEnded(Event, frozen=True):
    """A running proposal was cancelled, or has lapsed; the account is as it was."""

    key: Bytes32
    proposal: Bytes32


def get_proposal(state: Plus, proposal: bytes) -> RecoveryProposal:
    """Rejects the action if there is no such proposal, or no longer."""
    found = state.recovery.proposals.get(proposal)
    if found is None:
        raise Revert("no such proposal")
    return found


def put_proposal(state: Plus, proposal: bytes, value: RecoveryProposal) -> Plus:
    """The state with this proposal."""
    proposals = state.recovery.proposals.set(proposal, value)
    return replace(state, recovery=replace(state.recovery, proposals=proposals))


def remove_proposal(state: Plus, proposal: bytes) -> Plus:
    """The state without it. Its id never comes again."""
    proposals = state.recovery.proposals.delete(proposal)
    return replace(state, recovery=replace(state.recovery, proposals=proposals))


def is_open(state: Plus, value: RecoveryProposal, now: int) -> bool:
    """Whether it may still be supported: below its threshold, not lapsed, and no recovery finished since it began."""
    return (
        value.reached == 0
        and now <= value.started + OPEN_TIME
        and value.generation == find_standing(state, value.key).finished
    )


def begin_running(state: Plus, proposal: bytes, value: RecoveryProposal, ctx: Context) -> Plus:
    """The threshold is reached: the proposal runs alone, under its own policy, and in mode 1 the account is locked."""
    key, policy = value.key, value.policy
    state = put_proposal(state, proposal, replace(value, reached=max(ctx.timestamp, 1)))
    state = put_standing(state, key, replace(find_standing(state, key), running=proposal))
    recovery = drop_policy(state.recovery, key, ctx.timestamp)
    state = replace(state, recovery=replace(recovery, policies=recovery.policies.set(key, policy)))
    ctx.emit(RecoveryReached(key, proposal))
    if policy.mode != LOCK:
        return state
    account = get_account(state, key)
    locks = state.recovery.locks.set(key, Lock(proposal, account.data))
    state = replace(state, recovery=replace(state.recovery, locks=locks))
    return put_account(state, key, Account(ZERO_BYTES32 + keccak256(value.vk), account.vk))


def end_running(state: Plus, proposal: bytes, key: bytes) -> Plus:
    """The running proposal is gone, and a lock with it: the account has its data again."""
    lock = state.recovery.locks.get(key)
    if lock is not None:
        state = replace(state, recovery=replace(state.recovery, locks=state.recovery.locks.delete(key)))
        state = put_account(state, key, Account(lock.data, get_account(state, key).vk))
    state = put_standing(state, key, replace(find_standing(state, key), running=ZERO_BYTES32))
    return remove_proposal(state, proposal)


def give_up_running(state: Plus, proposal: bytes, key: bytes, ctx: Context) -> Plus:
    """The same, where nothing follows."""
    ctx.emit(RecoveryEnded(key, proposal))
    return end_running(state, proposal, key)


def settle_running(state: Plus, key: bytes, ctx: Context) -> Plus:
    """The state without a running proposal of this key whose time to be finished is over."""
    running = find_standing(state, key).running
    if running == ZERO_BYTES32:
        return state
    value = state.recovery.proposals[running]
    if ctx.timestamp <= value.reached + value.policy.delay + FINISH_WINDOW:
        return state
    return give_up_running(state, running, key, ctx)
