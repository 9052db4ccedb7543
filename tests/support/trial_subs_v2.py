"""The subscriptions' second version: a plan counts its payments, and the order by payer is an index now."""

from __future__ import annotations

from typing import Annotated

import msgspec

import trial_subs as v1
from microrollup import (
    Action,
    Address,
    Context,
    Event,
    Map,
    MicroRollup,
    State,
    Uint64,
    Uint128,
    Upgrade,
    metadata,
    replace,
    require,
)


class Plan(msgspec.Struct, frozen=True):
    """Who pays whom how much, when next, and how often so far."""

    payer: Address
    payee: Address
    cents: Uint64
    every: Uint64
    due: Uint64
    payments: Uint64


class Subs(State, frozen=True):
    """What the rollup stores."""

    oracle: Address
    funds: Map[Address, Uint128] = Map()
    plans: Map[Uint64, Plan] = Map()
    by_due: Annotated[Map[tuple[Uint64, Uint64], bool], metadata] = Map()
    """(due, plan)."""
    next_plan: Uint64 = 1
    price: Uint128 = 0
    """Wei per cent."""


class Fund(Action, frozen=True):
    """Add to what the sender can pay from."""

    amount: Uint128


class Subscribe(Action, frozen=True):
    """Pay somebody every so many seconds."""

    payee: Address
    cents: Uint64
    every: Uint64


class Pay(Action, frozen=True):
    """Pay for a plan that is due; anybody may call."""

    plan: Uint64


class Paid(Event, frozen=True):
    """A plan was paid."""

    plan: Uint64
    wei: Uint128


def fund(state: Subs, action: Fund, ctx: Context) -> Subs:
    """Anybody funds for oneself."""
    funds = state.funds.get(ctx.sender, 0) + action.amount
    require(funds < 2**127, "too much")
    return replace(state, funds=state.funds.set(ctx.sender, funds))


def subscribe(state: Subs, action: Subscribe, ctx: Context) -> Subs:
    """The first payment is due after one period."""
    require(1 <= action.every <= 10**8 and action.cents > 0, "bad plan")
    number = state.next_plan
    plan = Plan(ctx.sender, action.payee, action.cents, action.every, ctx.timestamp + action.every, 0)
    return replace(
        state,
        plans=state.plans.set(number, plan),
        by_due=state.by_due.set((plan.due, number), True),
        next_plan=number + 1,
    )


def pay(state: Subs, action: Pay, ctx: Context) -> Subs:
    """One plan at a time; it is counted."""
    plan = state.plans.get(action.plan)
    require(plan is not None and plan.due <= ctx.timestamp, "not due")
    wei = plan.cents * state.price
    have = state.funds.get(plan.payer, 0)
    require(0 < wei <= have, "cannot pay")
    ctx.emit(Paid(action.plan, wei))
    funds = state.funds.set(plan.payer, have - wei)
    funds = funds.set(plan.payee, funds.get(plan.payee, 0) + wei)
    moved = replace(plan, due=plan.due + plan.every, payments=plan.payments + 1)
    by_due = state.by_due.delete((plan.due, action.plan)).set((moved.due, action.plan), True)
    return replace(state, funds=funds, by_due=by_due, plans=state.plans.set(action.plan, moved))


def migrate(state: v1.Subs, ctx: Context) -> Subs:
    """Every plan begins to count; the order by payer goes."""
    plans = state.plans.transform(
        lambda number, plan: Plan(plan.payer, plan.payee, plan.cents, plan.every, plan.due, 0)
    )
    return Subs(
        oracle=state.oracle,
        funds=state.funds,
        plans=plans,
        by_due=state.by_due,
        next_plan=state.next_plan,
        price=state.price,
    )


app = MicroRollup(
    name="subs",
    version="2",
    state=Subs,
    stfs=[fund, subscribe, pay],
    previous=Upgrade(v1.app, migrate),
    reads="trial_subs_v2_reads",
)
