"""What can be asked of the subscriptions."""

from __future__ import annotations

import msgspec

from microrollup import Address, Uint16, Uint64, Uint128, View, require
from trial_subs import Plan, Subs


class Numbered(msgspec.Struct, frozen=True):
    """A plan with its number."""

    number: Uint64
    plan: Plan


class Account(msgspec.Struct, frozen=True):
    """What a payer has and owes."""

    funds: Uint128
    plans: Uint64
    cents_per_day: Uint64
    lasts_until: Uint64 | None
    """When the next payment cannot be made, in seconds; null if none is foreseen."""


def plans_of(view: View[Subs], payer: Address, after: Uint64 = 0, limit: Uint16 = 50) -> list[Numbered]:
    """The plans of a payer, by number, after a number."""
    found: list[Numbered] = []
    for _, number in view.state.by_payer.keys(start=(payer, after + 1), stop=None, prefix=(payer,)):
        if len(found) == limit:
            break
        found.append(Numbered(number, view.state.plans[number]))
    return found


def overdue(view: View[Subs], limit: Uint16 = 100) -> list[tuple[Uint64, Uint64]]:
    """(plan, seconds late) of what was due at the block's time, the oldest first."""
    found: list[tuple[int, int]] = []
    for due, number in view.state.by_due.keys(stop=(view.timestamp + 1,)):
        if len(found) == limit:
            break
        found.append((number, view.timestamp - due))
    return found


def account(view: View[Subs], payer: Address) -> Account:
    """What a payer has, and how long it lasts at the present price."""
    state = view.state
    numbers = [number for _, number in state.by_payer.keys(prefix=(payer,))]
    require(len(numbers) > 0 or payer in state.funds, "no such payer")
    funds, cents = state.funds.get(payer, 0), 0
    for number in numbers:
        cents += state.plans[number].cents * 86_400 // state.plans[number].every
    wei = cents * state.price
    lasts = None if wei == 0 else view.timestamp + funds * 86_400 // wei
    return Account(funds, len(numbers), cents, lasts)
