"""Votes for proposals: one a guardian and account, movable until a proposal reaches its threshold."""

from __future__ import annotations

from typing import Final

from microrollup import ZERO_BYTES32, Address, Bytes32, Context, Event, Uint8, replace, require

from .authority import find_standing
from .guardians import MAIL, compute_guardian_hash
from .policy import Guardian, RecoveryProposal, Vote
from .proposals import begin_running, get_proposal, is_open, put_proposal, settle_running
from .state import Plus

__all__ = ["OWNER", "RecoverySupported", "cast_vote", "count_supports", "require_open", "withdraw_vote"]

OWNER: Final = 255
"""In place of a guardian's place: the account's own authority."""


class RecoverySupported(Event, frozen=True):
    """A guardian has voted for a proposal."""

    proposal: Bytes32
    guardian: Uint8


def require_open(state: Plus, proposal: bytes, ctx: Context) -> tuple[Plus, RecoveryProposal]:
    """A proposal that takes votes now. Rejects the action if it does not."""
    value = get_proposal(state, proposal)
    state = settle_running(state, value.key, ctx)
    require(is_open(state, value, ctx.timestamp), "proposal is not open")
    require(find_standing(state, value.key).running == ZERO_BYTES32, "another proposal runs")
    return state, value


def cast_vote(state: Plus, proposal: bytes, place: int, sender: Address, ctx: Context) -> Plus:
    """The vote of the guardian at a place, from wherever it stood; the proposal runs if that was the last it needed."""
    value = state.recovery.proposals[proposal]
    guardian = value.guardians[place]
    state = withdraw_vote(state, value.key, guardian)
    value = state.recovery.proposals[proposal]
    value = replace(value, supports=(*value.supports, Vote(place, sender)))
    votes = state.recovery.votes.set((value.key, compute_guardian_hash(guardian)), proposal)
    state = put_proposal(replace(state, recovery=replace(state.recovery, votes=votes)), proposal, value)
    ctx.emit(RecoverySupported(proposal, place))
    if count_supports(value) < value.policy.threshold:
        return state
    return begin_running(state, proposal, value, ctx)


def withdraw_vote(state: Plus, key: bytes, guardian: Guardian) -> Plus:
    """The state without a guardian's vote, wherever it stands. Where it stands, nothing has reached its threshold."""
    place = (key, compute_guardian_hash(guardian))
    proposal = state.recovery.votes.get(place)
    if proposal is None:
        return state
    state = replace(state, recovery=replace(state.recovery, votes=state.recovery.votes.delete(place)))
    value = state.recovery.proposals.get(proposal)
    if value is None:
        return state
    kept = tuple([vote for vote in value.supports if value.guardians[vote.guardian] != guardian])
    return put_proposal(state, proposal, replace(value, supports=kept))


def count_supports(value: RecoveryProposal) -> int:
    """Votes; those by mail count for at most one less than the threshold, since who announces the mail keys could
    invent them.
    """
    mails = len([vote for vote in value.supports if value.guardians[vote.guardian].kind == MAIL])
    return len(value.supports) - mails + min(mails, value.policy.threshold - 1)
