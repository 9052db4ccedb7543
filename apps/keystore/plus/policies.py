"""Who may recover an account: set privately, changed slowly."""

from __future__ import annotations

from typing import Final

from microrollup import (
    Action,
    Bytes32,
    Context,
    Event,
    Revert,
    Uint8,
    Uint64,
    replace,
    require,
)
from microrollup.primitives import ZERO_BYTES32

from .authority import find_standing, put_standing, require_authority
from .clock import DAY, add_seconds
from .pending import settle_policy
from .policy import PendingPolicy, Policy
from .proposals import LOCK, VETO, settle_running
from .state import Plus

__all__ = [
    "FIRST_DELAY",
    "MAX_GUARDIANS",
    "DropPending",
    "PolicyDropped",
    "PolicySet",
    "SetRecovery",
    "drop_pending_policy",
    "set_recovery",
]

FIRST_DELAY: Final = 2 * DAY
MAX_GUARDIANS: Final = 32
_LONGEST: Final = 365 * DAY
_LONGEST_LOCK: Final = 30 * DAY


class SetRecovery(Action, frozen=True):
    """Name guardians by the hash of their list, and how they recover the account."""

    key: Bytes32
    guardians_hash: Bytes32
    """`keccak256(abi.encode(bytes32 salt, Guardian[]))`."""
    count: Uint8
    threshold: Uint8
    delay: Uint64
    """Seconds: 1 to 365 days, in mode 1 to 30."""
    mode: Uint8
    """0: the owner may veto. 1: the account is locked."""


class DropPending(Action, frozen=True):
    """Take back a policy that is not in force yet."""

    key: Bytes32


class PolicySet(Event, frozen=True):
    """An account has another policy from this second on."""

    key: Bytes32
    number: Uint64
    effective: Uint64


class PolicyDropped(Event, frozen=True):
    """An announced policy is gone."""

    key: Bytes32


def set_recovery(state: Plus, action: SetRecovery, ctx: Context) -> Plus:
    """The first policy takes two days, a change the delay of the present one: a thief cannot rotate guardians away."""
    state = settle_running(state, action.key, ctx)
    require_authority(state, action.key, ctx)
    require(find_standing(state, action.key).running == ZERO_BYTES32, "a recovery is running")
    require(1 <= action.count <= MAX_GUARDIANS, "1 to 32 guardians")
    require(1 <= action.threshold <= action.count, "a threshold is 1 to the number of guardians")
    require(action.mode in (VETO, LOCK), "mode 0 or 1")
    longest = _LONGEST if action.mode == VETO else _LONGEST_LOCK
    require(DAY <= action.delay <= longest, "a delay is 1 to 365 days, or to 30 where it locks")
    require(action.mode == VETO or 2 * action.threshold >= action.count, "half of the guardians lock an account")
    recovery = settle_policy(state.recovery, action.key, ctx.timestamp)
    standing = find_standing(state, action.key)
    number = standing.policies + 1
    policy = Policy(action.guardians_hash, action.count, action.threshold, action.delay, action.mode, number)
    present = recovery.policies.get(action.key)
    effective = add_seconds(ctx, FIRST_DELAY if present is None else present.delay)
    pending = recovery.pending_policies.set(action.key, PendingPolicy(policy, effective))
    ctx.emit(PolicySet(action.key, number, effective))
    state = replace(state, recovery=replace(recovery, pending_policies=pending))
    return put_standing(state, action.key, replace(standing, policies=number))


def drop_pending_policy(state: Plus, action: DropPending, ctx: Context) -> Plus:
    """By the authority, before it is in force."""
    require_authority(state, action.key, ctx)
    recovery = settle_policy(state.recovery, action.key, ctx.timestamp)
    if action.key not in recovery.pending_policies:
        raise Revert("no policy is announced")
    ctx.emit(PolicyDropped(action.key))
    kept = recovery.pending_policies.delete(action.key)
    return replace(state, recovery=replace(recovery, pending_policies=kept))
