"""How accounts, rules and recoveries are shown to who asks: what holds at a second, in words."""

from __future__ import annotations

from typing import Final

from microrollup import ZERO_ADDRESS, ZERO_BYTES32

from ..accounts import Account
from .answers import (
    AccountAnswer,
    DelegateAnswer,
    IntentAnswer,
    PolicyAnswer,
    ProposalAnswer,
    RuleAnswer,
    SponsorshipAnswer,
)
from .authority import compute_owner_hash, find_standing
from .clock import MAX_TIME
from .money import EVERY_TOKEN, find_permit, find_spent, get_limits_in_force
from .policy import Policy, RecoveryProposal
from .proposals import FINISH_WINDOW, LOCK, OPEN_TIME, is_open
from .rules import Rule
from .state import Intent, KeyDelegate, Plus, Sponsorship
from .votes import count_supports

__all__ = [
    "ACTIVE",
    "GUARDIAN_KINDS",
    "IN_FORCE",
    "describe_bound",
    "describe_state",
    "show_account",
    "show_delegate",
    "show_intent",
    "show_policy",
    "show_proposal",
    "show_rule",
    "show_sponsorship",
]

ACTIVE: Final = "active"
IN_FORCE: Final = "in force"
GUARDIAN_KINDS: Final = ("sender", "account", "e-mail")
_MODES: Final = ("veto", "lock")


def describe_state(state: Plus, key: bytes, now: int) -> str:
    """`active`, `recovering` or `locked`. A recovery whose time to be finished is over counts as ended."""
    running = _find_running(state, key, now)
    if running is None:
        return ACTIVE
    return "locked" if running.policy.mode == LOCK else "recovering"


def _find_running(state: Plus, key: bytes, now: int) -> RecoveryProposal | None:
    proposal = find_standing(state, key).running
    value = None if proposal == ZERO_BYTES32 else state.recovery.proposals.get(proposal)
    if value is None or now > value.reached + value.policy.delay + FINISH_WINDOW:
        return None
    return value


def show_account(state: Plus, key: bytes, account: Account, name: str, now: int) -> AccountAnswer:
    """An account at a second."""
    standing, recovery = find_standing(state, key), state.recovery
    careful = recovery.careful.get(key, 0)
    is_careful = now < careful
    waiting = recovery.updates.get(key)
    held = state.exits.exits.get(key)
    leaves = ZERO_ADDRESS if held is None else held.next if now >= held.effective else held.previous
    lock = recovery.locks.get(key)
    data = account.data if lock is None else lock.data
    return AccountAnswer(
        key,
        name,
        account.vk,
        data[:32],
        data[32:],
        describe_state(state, key, now),
        standing.running if _find_running(state, key, now) is not None else ZERO_BYTES32,
        is_careful,
        careful if is_careful and careful != MAX_TIME else 0,
        b"" if waiting is None else waiting.vk,
        state.fees.fee_tokens.get(key, ZERO_ADDRESS),
        leaves,
        standing.finished,
    )


def show_rule(state: Plus, key: bytes, rule: Rule, now: int) -> list[RuleAnswer]:
    """A rule's limits in force, and those that are announced."""
    present, shown = get_limits_in_force(rule, now), []
    counts = rule.token != EVERY_TOKEN
    for limits in rule.limits:
        holds = limits == present
        if not holds and limits.since <= now:
            continue
        spent = find_spent(state, key, rule.token, limits, now)
        shown.append(
            RuleAnswer(
                rule.token,
                IN_FORCE if holds else "announced",
                limits.limit,
                spent.amount if holds and counts else 0,
                find_permit(state, key, rule.token, now) if holds and counts else 0,
                limits.period,
                spent.ends if holds else 0,
                limits.since,
                limits.controller,
            )
        )
    return shown


def show_policy(policy: Policy, effective: int, now: int) -> PolicyAnswer:
    """A policy; `effective` is 0 if it is not known when it came into force."""
    return PolicyAnswer(
        IN_FORCE if effective <= now else "announced",
        policy.threshold,
        policy.count,
        _MODES[policy.mode],
        policy.delay,
        effective,
        policy.number,
        policy.guardians_hash,
    )


def show_proposal(state: Plus, proposal: bytes, value: RecoveryProposal, name: str, now: int) -> ProposalAnswer:
    """A proposal at a second; `name` is the account's."""
    policy = value.policy
    stage, until = _judge(state, value, now)
    locks = policy.mode == LOCK
    return ProposalAnswer(
        proposal,
        value.key,
        name,
        stage,
        count_supports(value),
        policy.threshold,
        policy.count,
        len(value.cancels),
        (policy.count + 2) // 2 if locks else 1,
        _MODES[policy.mode],
        value.started,
        until,
        value.vk,
        value.code_hash,
        value.config_hash,
    )


def _judge(state: Plus, value: RecoveryProposal, now: int) -> tuple[str, int]:
    """In which state a proposal is, and until when if nobody does anything."""
    if value.reached == 0:
        return ("open" if is_open(state, value, now) else "lapsed"), value.started + OPEN_TIME
    ready = value.reached + value.policy.delay
    if now < ready:
        return "waiting", ready
    return ("ready" if now <= ready + FINISH_WINDOW else "lapsed"), ready + FINISH_WINDOW


def describe_bound(state: Plus, key: bytes, owner_hash: bytes, valid_until: int, now: int) -> str:
    """Of an intent or a delegate: `in force`, `expired`, or `void` because the account is another since."""
    account = state.keystore.accounts.get(key)
    if account is None or compute_owner_hash(account) != owner_hash:
        return "void"
    return IN_FORCE if now <= valid_until else "expired"


def show_delegate(state: Plus, key: bytes, chain_id: int, each: KeyDelegate, now: int) -> DelegateAnswer:
    """A second configuration of an account at a second."""
    bound = describe_bound(state, key, each.owner_hash, each.valid_until, now)
    if each.code_hash == ZERO_BYTES32:
        bound = "nobody"
    return DelegateAnswer(chain_id, bound, each.code_hash, each.config_hash, each.valid_until)


def show_intent(state: Plus, key: bytes, slot: int, each: Intent, now: int) -> IntentAnswer:
    """An operation that an account lets pass, at a second."""
    bound = describe_bound(state, key, each.owner_hash, each.valid_until, now)
    return IntentAnswer(slot, bound, each.chain_id, each.account, each.user_op_hash, each.valid_after, each.valid_until)


def show_sponsorship(state: Plus, sponsor: bytes, each: Sponsorship, now: int) -> SponsorshipAnswer:
    """What an account pays for another, at a second."""
    bound = IN_FORCE if now <= each.until else "expired"
    if find_standing(state, sponsor).epoch != each.epoch:
        bound = "void"
    return SponsorshipAnswer(sponsor, each.token, each.budget, each.until, bound)
