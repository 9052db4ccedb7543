"""Balances: the one place where money enters or leaves an account, and where rules and locks stop it."""

from __future__ import annotations

from typing import Final

from microrollup import ZERO_ADDRESS, Revert, replace

from .authority import find_standing
from .clock import compute_period_end
from .rules import Limits, Permit, Rule, Spent
from .state import Plus

__all__ = [
    "EVERY_TOKEN",
    "credit",
    "find_limits",
    "find_obstacle",
    "find_permit",
    "find_rule",
    "get_balance",
    "get_limits_in_force",
    "spend",
]

EVERY_TOKEN: Final = b"\xff" * 20
"""In a rule: every token without a rule of its own."""


def get_balance(state: Plus, key: bytes, token: bytes) -> int:
    """What an account has of a token; of ether for the zero address."""
    if token == ZERO_ADDRESS:
        return state.vault.balances.get(key, 0)
    return state.vault.tokens.get((token, key), 0)


def _put_balance(state: Plus, key: bytes, token: bytes, amount: int) -> Plus:
    if token == ZERO_ADDRESS:
        return replace(state, vault=replace(state.vault, balances=state.vault.balances.set(key, amount)))
    return replace(state, vault=replace(state.vault, tokens=state.vault.tokens.set((token, key), amount)))


def credit(state: Plus, key: bytes, token: bytes, amount: int) -> Plus:
    """Add to a balance. All balances of a token together fit in 256 bits, since all deposits do."""
    return _put_balance(state, key, token, get_balance(state, key, token) + amount)


def find_rule(state: Plus, key: bytes, token: bytes) -> Rule | None:
    """An account's rule for exactly this token, in force or announced."""
    for rule in state.spending.rules.get(key, ()):
        if rule.token == token:
            return rule
    return None


def get_limits_in_force(rule: Rule | None, now: int) -> Limits | None:
    """The newest limits of a rule that hold at a second."""
    found = None
    for limits in () if rule is None else rule.limits:
        if limits.since <= now:
            found = limits
    return found


def find_limits(state: Plus, key: bytes, token: bytes, now: int) -> Limits | None:
    """The limits that bind a token: its own rule's, else those for every token, else none."""
    own = get_limits_in_force(find_rule(state, key, token), now)
    return own if own is not None else get_limits_in_force(find_rule(state, key, EVERY_TOKEN), now)


def find_spent(state: Plus, key: bytes, token: bytes, limits: Limits, now: int) -> Spent:
    """What counts as spent at a second. A count goes on over a change of limits until both grids have turned."""
    spent = state.spending.spent.get((key, token), Spent(0, 0))
    ends = max(spent.ends, compute_period_end(limits.since, limits.period))
    if spent.ends <= limits.since or ends <= now:
        return Spent(0, compute_period_end(now, limits.period))
    return Spent(spent.amount, ends)


def find_permit(state: Plus, key: bytes, token: bytes, now: int) -> int:
    """What a controller lets leave beyond the limit now."""
    permit = state.spending.permits.get((key, token))
    if permit is None or now > permit.until or permit.epoch != find_standing(state, key).epoch:
        return 0
    return permit.extra


def find_obstacle(state: Plus, key: bytes, token: bytes, amount: int, now: int) -> str:
    """Why so much cannot leave an account now; an empty text if it can."""
    if key in state.recovery.locks:
        return "account is locked"
    if amount > get_balance(state, key, token):
        return "balance too low"
    limits = find_limits(state, key, token, now)
    if limits is None:
        return ""
    room = max(0, limits.limit - find_spent(state, key, token, limits, now).amount)
    return "" if amount <= room + find_permit(state, key, token, now) else "more than the spending rule allows"


def spend(state: Plus, key: bytes, token: bytes, amount: int, now: int) -> Plus:
    """Take from a balance whatever leaves an account: transfers, withdrawals, fees, an account's own or others'.

    Rejects the action if the account is locked, has too little, or has a rule against it.
    """
    reason = find_obstacle(state, key, token, amount, now)
    if reason:
        raise Revert(reason)
    limits = find_limits(state, key, token, now)
    if limits is not None:
        state = _count_spending(state, key, token, amount, now, limits)
    return _put_balance(state, key, token, get_balance(state, key, token) - amount)


def _count_spending(state: Plus, key: bytes, token: bytes, amount: int, now: int, limits: Limits) -> Plus:
    """The period's count first, then the permit."""
    spending = state.spending
    spent = find_spent(state, key, token, limits, now)
    within = min(amount, max(0, limits.limit - spent.amount))
    count = Spent(spent.amount + within, spent.ends)
    spending = replace(spending, spent=spending.spent.set((key, token), count))
    if within < amount:
        permit = spending.permits[key, token]
        left = Permit(permit.extra - (amount - within), permit.until, permit.epoch)
        spending = replace(spending, permits=spending.permits.set((key, token), left))
    return replace(state, spending=spending)
