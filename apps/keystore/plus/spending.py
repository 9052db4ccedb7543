"""How much may leave an account in a period, and who may loosen that."""

from __future__ import annotations

from typing import Final

from microrollup import (
    ZERO_ADDRESS,
    ZERO_BYTES32,
    Action,
    Address,
    Bytes32,
    Context,
    Event,
    Revert,
    Uint64,
    Uint256,
    replace,
    require,
)

from .acting import begin
from .authority import find_standing, get_account, has_authority, require_unlocked
from .clock import DAY, HOUR, add_seconds
from .money import find_limits, find_rule, get_limits_in_force
from .rules import Limits, Permit, Rule
from .state import Plus

__all__ = [
    "LOOSENING_DELAY",
    "MAX_PERIOD",
    "MAX_RULES",
    "MIN_PERIOD",
    "NO_LIMIT",
    "PermitSpending",
    "RuleSet",
    "SetSpendingRule",
    "SpendingPermitted",
    "find_permitter",
    "find_rule_author",
    "permit_spending",
    "set_spending_rule",
]

LOOSENING_DELAY: Final = 2 * DAY
MIN_PERIOD: Final = HOUR
MAX_PERIOD: Final = 366 * DAY
MAX_RULES: Final = 16
"""Of one account."""
NO_LIMIT: Final = 2**256 - 1


class SetSpendingRule(Action, frozen=True):
    """Let at most `limit` leave in each period."""

    key: Bytes32
    token: Address
    """Zero: ether. 20 bytes of 0xff: every token without a rule of its own."""
    limit: Uint256
    """2^256 - 1: none. Such a rule without a controller makes room for another."""
    period: Uint64
    """Seconds."""
    controller: Bytes32
    """The account that may loosen the rule; zero: none."""


class PermitSpending(Action, frozen=True):
    """The controller lets so much more leave, once."""

    key: Bytes32
    token: Address
    extra: Uint256
    """In place of what is left of the permit before."""
    until: Uint64
    """Last second."""


class RuleSet(Event, frozen=True):
    """A rule holds from this second on."""

    key: Bytes32
    token: Address
    effective: Uint64


class SpendingPermitted(Event, frozen=True):
    """A controller made an exception."""

    key: Bytes32
    token: Address
    extra: Uint256


def set_spending_rule(state: Plus, action: SetSpendingRule, ctx: Context) -> Plus:
    """Tighter by the authority at once; anything else by the controller at once, or without one two days later."""
    now = ctx.timestamp
    require(MIN_PERIOD <= action.period <= MAX_PERIOD, "a period is 1 hour to 366 days")
    if action.controller != ZERO_BYTES32:
        require(action.controller != action.key, "an account does not control itself")
        get_account(state, action.controller)
    require_unlocked(state, action.key)
    present = find_limits(state, action.key, action.token, now)
    author = find_rule_author(state, action, ctx)
    state = begin(state, author, ctx)
    since = now if author != action.key or _is_tighter(action, present) else add_seconds(ctx, LOOSENING_DELAY)
    named = present.named if present is not None and present.controller == action.controller else since
    limits = Limits(action.limit, action.period, action.controller, since, named)
    ctx.emit(RuleSet(action.key, action.token, since))
    return _put_rule(
        state, action.key, _follow(find_rule(state, action.key, action.token), action.token, limits, now), now
    )


def permit_spending(state: Plus, action: PermitSpending, ctx: Context) -> Plus:
    """By the controller of the rule that binds the token now."""
    require_unlocked(state, action.key)
    state = begin(state, find_permitter(state, action, ctx), ctx)
    require(action.until > ctx.timestamp, "it would have ended already")
    place, vault = (action.key, action.token), state.vault
    held = action.key in vault.balances if action.token == ZERO_ADDRESS else (action.token, action.key) in vault.tokens
    require(held, "the account never had this token")
    permit = Permit(action.extra, action.until, find_standing(state, action.key).epoch)
    ctx.emit(SpendingPermitted(action.key, action.token, action.extra))
    return replace(state, spending=replace(state.spending, permits=state.spending.permits.set(place, permit)))


def find_rule_author(state: Plus, action: SetSpendingRule, ctx: Context) -> bytes:
    """The key of the account whose authority a change of a rule takes: the account's own, or its controller's."""
    present = find_limits(state, action.key, action.token, ctx.timestamp)
    if _is_tighter(action, present) and has_authority(get_account(state, action.key), ctx):
        return action.key
    return action.key if present is None or present.controller == ZERO_BYTES32 else present.controller


def find_permitter(state: Plus, action: PermitSpending, ctx: Context) -> bytes:
    """The key of the account whose authority an exception takes. Rejects the action if nobody controls the token."""
    limits = find_limits(state, action.key, action.token, ctx.timestamp)
    if limits is None or limits.controller == ZERO_BYTES32:
        raise Revert("no controller for this token")
    return limits.controller


def _is_tighter(action: SetSpendingRule, present: Limits | None) -> bool:
    """Whether nothing can leave that could not before, and nobody else has a say."""
    if present is None:
        return action.controller == ZERO_BYTES32
    return action.limit <= present.limit and action.period >= present.period and action.controller == present.controller


def _follow(rule: Rule | None, token: bytes, limits: Limits, now: int) -> Rule:
    """The rule with new limits: in place of those in force, or announced after them."""
    present = get_limits_in_force(rule, now)
    if limits.since <= now or present is None:
        return Rule(token, (limits,))
    return Rule(token, (present, limits))


def _put_rule(state: Plus, key: bytes, rule: Rule, now: int) -> Plus:
    """A rule that holds nothing back makes room, so that who fills the places does no lasting harm."""
    others = [each for each in state.spending.rules.get(key, ()) if each.token != rule.token]
    if len(others) >= MAX_RULES:
        idle = [each for each in others if _is_idle(each, now)]
        require(idle, "an account has at most 16 rules")
        others.remove(idle[0])
    rules = state.spending.rules.set(key, (*others, rule))
    return replace(state, spending=replace(state.spending, rules=rules))


def _is_idle(rule: Rule, now: int) -> bool:
    """In force, without a limit or a controller, and with nothing announced: without it the token is bound no less."""
    limits = get_limits_in_force(rule, now)
    return (
        limits is not None
        and limits.limit == NO_LIMIT
        and limits.controller == ZERO_BYTES32
        and limits == rule.limits[-1]
    )
