"""Recovery by guardians: they propose, support and cancel; the next vk finishes."""

from __future__ import annotations

from typing import Final

from microrollup import Action, Bytes, Bytes32, Context, Event, Revert, Uint8, replace, require
from microrollup.crypto.keccak import keccak256

from ..accounts import Account, is_known_vk
from .authority import find_standing, get_account, has_authority, put_standing, require_code, require_lasting
from .clock import DAY
from .guardians import compute_guardian_hash, compute_guardians_hash, find_place, require_guardian, require_list
from .pending import drop_rules, drop_young_controllers, settle_policy
from .policy import Guardian, Policy, RecoveryProposal, Vote
from .proposals import (
    FINISH_WINDOW,
    LOCK,
    VETO,
    end_running,
    get_proposal,
    give_up_running,
    is_open,
    put_proposal,
    remove_proposal,
    settle_running,
)
from .state import Plus
from .updates import succeed
from .votes import OWNER, cast_vote, require_open, withdraw_vote
from .words import encode_word

__all__ = [
    "CancelRecovery",
    "FinishRecovery",
    "RecoveryFinished",
    "RecoveryStarted",
    "StartRecovery",
    "SupportRecovery",
    "cancel_recovery",
    "compute_proposal_id",
    "finish_recovery",
    "start_recovery",
    "support_recovery",
]

YOUNG_CONTROLLER: Final = 30 * DAY
"""A controller that was named later than so long before a recovery was proposed falls with it, however slow it is."""


class StartRecovery(Action, frozen=True):
    """A guardian proposes what the account should be, and shows the list of guardians."""

    key: Bytes32
    code_hash: Bytes32
    config_hash: Bytes32
    vk: Bytes
    salt: Bytes32
    guardians: list[Guardian]


class SupportRecovery(Action, frozen=True):
    """A guardian votes for a proposal."""

    proposal: Bytes32
    guardian: Uint8
    """Place in the list."""


class CancelRecovery(Action, frozen=True):
    """A guardian takes a vote back, or votes against a running proposal; the owner does what the policy allows."""

    proposal: Bytes32
    guardian: Uint8
    """Place in the list; 255: the owner."""


class FinishRecovery(Action, frozen=True):
    """The proposal's own vk takes the account."""

    proposal: Bytes32


class RecoveryStarted(Event, frozen=True):
    """There is a proposal."""

    key: Bytes32
    proposal: Bytes32


class RecoveryFinished(Event, frozen=True):
    """The account has changed hands."""

    key: Bytes32
    proposal: Bytes32


def compute_proposal_id(rollup_id: bytes, action: StartRecovery, policy: Policy, number: int) -> bytes:
    """keccak256 of eight ABI words; `number` counts the proposals for this key from 0."""
    vk_hash, words = keccak256(action.vk), encode_word(policy.number) + encode_word(number)
    account = action.key + action.code_hash + action.config_hash + vk_hash
    return keccak256(rollup_id + account + policy.guardians_hash + words)


def start_recovery(state: Plus, action: StartRecovery, ctx: Context) -> Plus:
    """By a guardian of the policy in force; each has one proposal at a time, so that they stay few."""
    key = action.key
    get_account(state, key)
    state = settle_running(state, key, ctx)
    state = replace(state, recovery=settle_policy(state.recovery, key, ctx.timestamp))
    policy = state.recovery.policies.get(key)
    if policy is None:
        raise Revert("account has no guardians")
    require(is_known_vk(action.vk), "vk of no known kind")
    require_code(action.code_hash)
    require(len(action.guardians) == policy.count, "not the guardians of the policy")
    require_list(key, action.guardians)
    require(
        compute_guardians_hash(action.salt, action.guardians) == policy.guardians_hash,
        "not the guardians of the policy",
    )
    place = find_place(state, action.guardians, ctx)
    require(place >= 0, "sender is not a guardian")
    standing = find_standing(state, key)
    proposal = compute_proposal_id(ctx.rollup_id, action, policy, standing.proposals)
    state = _replace_start(state, key, action.guardians[place], proposal, ctx)
    value = RecoveryProposal(
        key, action.code_hash, action.config_hash, action.vk, policy, tuple(action.guardians), ctx.timestamp, 0,
        standing.finished, (), (),
    )  # fmt: skip
    ctx.emit(RecoveryStarted(key, proposal))
    state = put_standing(state, key, replace(standing, proposals=standing.proposals + 1))
    return put_proposal(state, proposal, value)


def support_recovery(state: Plus, action: SupportRecovery, ctx: Context) -> Plus:
    """One vote a guardian and account, movable until a proposal reaches its threshold."""
    state, value = require_open(state, action.proposal, ctx)
    require(action.guardian < len(value.guardians), "no such guardian")
    guardian = value.guardians[action.guardian]
    require_guardian(state, guardian, ctx)
    require(not has_authority(get_account(state, value.key), ctx), "the owner does not vote")
    others = [vote for vote in value.supports if value.guardians[vote.guardian] != guardian]
    require(all(vote.sender != ctx.sender for vote in others), "sender has voted as another guardian")
    return cast_vote(state, action.proposal, action.guardian, ctx.sender, ctx)


def cancel_recovery(state: Plus, action: CancelRecovery, ctx: Context) -> Plus:
    """Before the threshold: a vote is taken back; after it: the owner's veto in mode 0, a majority's vote in mode 1."""
    value = get_proposal(state, action.proposal)
    _require_voice(state, value, action.guardian, ctx)
    state = settle_running(state, value.key, ctx)
    if action.proposal not in state.recovery.proposals:
        return state  # it had lapsed: that the account is as it was is all that was asked for
    is_owner, vetoes = action.guardian == OWNER, value.policy.mode == VETO
    if value.reached == 0:
        if is_owner:
            require(vetoes, "the owner alone cancels nothing where guardians lock")
            return remove_proposal(state, action.proposal)
        require(is_open(state, value, ctx.timestamp), "proposal is not open")
        require(any(vote.guardian == action.guardian for vote in value.supports), "no vote to take back")
        return withdraw_vote(state, value.key, value.guardians[action.guardian])
    if vetoes:
        require(is_owner, "only the owner cancels here")
        return give_up_running(state, action.proposal, value.key, ctx)
    kept = [vote for vote in value.cancels if vote.guardian != action.guardian]
    require(all(vote.sender != ctx.sender for vote in kept), "sender has voted as another guardian")
    cancels = (*kept, Vote(action.guardian, ctx.sender))
    if 2 * len(cancels) >= value.policy.count + 1:
        return give_up_running(state, action.proposal, value.key, ctx)
    return put_proposal(state, action.proposal, replace(value, cancels=cancels))


def finish_recovery(state: Plus, action: FinishRecovery, ctx: Context) -> Plus:
    """After the delay, by the proposal's own vk: so nobody gets an account that he has no key for."""
    value, now = get_proposal(state, action.proposal), ctx.timestamp
    require(value.vk == ctx.sender, "sender is not the proposal's vk")
    require_lasting(ctx)
    require(value.reached > 0, "proposal does not run")
    require(now >= value.reached + value.policy.delay, "the delay is not over")
    require(now <= value.reached + value.policy.delay + FINISH_WINDOW, "proposal has lapsed")
    if value.policy.mode == LOCK:  # what was announced would have come into force under the lock
        state = drop_rules(state, value.key, value.reached)
    state = end_running(state, action.proposal, value.key)
    state = succeed(state, value.key, Account(value.code_hash + value.config_hash, value.vk), ctx)
    state = drop_young_controllers(state, value.key, max(0, value.started - YOUNG_CONTROLLER))
    standing = find_standing(state, value.key)
    ctx.emit(RecoveryFinished(value.key, action.proposal))
    return put_standing(state, value.key, replace(standing, finished=standing.finished + 1))


def _replace_start(state: Plus, key: bytes, guardian: Guardian, proposal: bytes, ctx: Context) -> Plus:
    """A guardian's earlier proposal goes. Rejects the action while others support it, or while it runs."""
    place = (key, compute_guardian_hash(guardian))
    earlier = state.recovery.starts.get(place)
    value = None if earlier is None else state.recovery.proposals.get(earlier)
    if earlier is not None and value is not None:
        require(value.reached == 0, "the guardian's proposal runs")
        alone = all(value.guardians[vote.guardian] == guardian for vote in value.supports)
        require(alone or not is_open(state, value, ctx.timestamp), "others support the guardian's proposal")
        state = remove_proposal(state, earlier)
    starts = state.recovery.starts.set(place, proposal)
    return replace(state, recovery=replace(state.recovery, starts=starts))


def _require_voice(state: Plus, value: RecoveryProposal, place: int, ctx: Context) -> None:
    """Reject the action unless the sender is the owner, or the guardian at this place."""
    if place == OWNER:
        require(has_authority(get_account(state, value.key), ctx), "sender is not the owner")
        return
    require(place < len(value.guardians), "no such guardian")
    require_guardian(state, value.guardians[place], ctx)
