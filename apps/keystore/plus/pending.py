"""What an account's authority has under way, and how it falls when another takes over."""

from __future__ import annotations

from microrollup import ZERO_BYTES32, replace

from .clock import MAX_TIME
from .money import get_limits_in_force
from .rules import Rule
from .state import Plus, Recovery

__all__ = ["drop_pending", "drop_policy", "drop_rules", "drop_young_controllers", "settle_policy"]


def settle_policy(recovery: Recovery, key: bytes, now: int) -> Recovery:
    """Policies with the announced one in force, if its time has come."""
    pending = recovery.pending_policies.get(key)
    if pending is None or now < pending.effective:
        return recovery
    return replace(
        recovery,
        policies=recovery.policies.set(key, pending.policy),
        pending_policies=recovery.pending_policies.delete(key),
    )


def drop_policy(recovery: Recovery, key: bytes, now: int) -> Recovery:
    """Policies without an announced one. One whose time has come is in force already and stays."""
    recovery = settle_policy(recovery, key, now)
    if key in recovery.pending_policies:
        recovery = replace(recovery, pending_policies=recovery.pending_policies.delete(key))
    return recovery


def drop_pending(state: Plus, key: bytes, now: int, keeps_exit: bool) -> Plus:
    """Without the account's waiting update, announced policy and rules, and what was to make it less careful; without
    its exit, unless the same authority stays. What counts epochs (permits, sponsorships) ends by the next epoch.
    """
    recovery = drop_policy(state.recovery, key, now)
    if key in recovery.updates:
        recovery = replace(recovery, updates=recovery.updates.delete(key))
    if now < recovery.careful.get(key, 0):
        recovery = replace(recovery, careful=recovery.careful.set(key, MAX_TIME))
    state = replace(state, recovery=recovery)
    state = drop_rules(state, key, now)
    if not keeps_exit and key in state.exits.exits:
        state = replace(state, exits=replace(state.exits, exits=state.exits.exits.delete(key)))
    return state


def drop_rules(state: Plus, key: bytes, now: int) -> Plus:
    """Without what is announced of the account's rules at a second."""
    if key not in state.spending.rules:
        return state
    rules = _drop_announced(state.spending.rules[key], now)
    return replace(state, spending=replace(state.spending, rules=state.spending.rules.set(key, rules)))


def _drop_announced(rules: tuple[Rule, ...], now: int) -> tuple[Rule, ...]:
    """The rules that are in force, each with those limits only."""
    kept = []
    for rule in rules:
        limits = get_limits_in_force(rule, now)
        if limits is not None:
            kept.append(Rule(rule.token, (limits,)))
    return tuple(kept)


def drop_young_controllers(state: Plus, key: bytes, since: int) -> Plus:
    """Rules without the controllers that were named after a second; their limits stay."""
    if key not in state.spending.rules:
        return state
    kept = []
    for rule in state.spending.rules[key]:
        limits = tuple([replace(each, controller=ZERO_BYTES32) if each.named > since else each for each in rule.limits])
        kept.append(Rule(rule.token, limits))
    return replace(state, spending=replace(state.spending, rules=state.spending.rules.set(key, tuple(kept))))
