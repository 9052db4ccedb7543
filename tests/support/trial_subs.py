"""Recurring payments priced by an oracle: a keeper's Tick instead of a clock, plans ordered by when they are due."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

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
    metadata,
    replace,
    require,
)

PAID_AT_ONCE: Final = 20


class Plan(msgspec.Struct, frozen=True):
    """Who pays whom how much, and when next."""

    payer: Address
    payee: Address
    cents: Uint64
    every: Uint64
    due: Uint64


class Subs(State, frozen=True):
    """What the rollup stores."""

    oracle: Address
    funds: Map[Address, Uint128] = Map()
    plans: Map[Uint64, Plan] = Map()
    by_due: Annotated[Map[tuple[Uint64, Uint64], bool], metadata] = Map()
    """(due, plan)."""
    by_payer: Annotated[Map[tuple[Address, Uint64], bool], metadata] = Map()
    """(payer, plan)."""
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


class Cancel(Action, frozen=True):
    """End a plan."""

    plan: Uint64


class SetPrice(Action, frozen=True):
    """What the oracle saw."""

    wei_per_cent: Uint128


class Tick(Action, frozen=True):
    """Pay what is due; anybody may call."""


class Paid(Event, frozen=True):
    """A plan was paid."""

    plan: Uint64
    wei: Uint128


class Ended(Event, frozen=True):
    """A plan could not be paid."""

    plan: Uint64


def _drop(state: Subs, number: int, plan: Plan) -> Subs:
    return replace(
        state,
        plans=state.plans.delete(number),
        by_due=state.by_due.delete((plan.due, number)),
        by_payer=state.by_payer.delete((plan.payer, number)),
    )


def fund(state: Subs, action: Fund, ctx: Context) -> Subs:
    """Anybody funds for oneself."""
    funds = state.funds.get(ctx.sender, 0) + action.amount
    require(funds < 2**127, "too much")
    return replace(state, funds=state.funds.set(ctx.sender, funds))


def subscribe(state: Subs, action: Subscribe, ctx: Context) -> Subs:
    """The first payment is due after one period."""
    require(1 <= action.every <= 10**8 and action.cents > 0, "bad plan")
    number = state.next_plan
    plan = Plan(ctx.sender, action.payee, action.cents, action.every, ctx.timestamp + action.every)
    return replace(
        state,
        plans=state.plans.set(number, plan),
        by_due=state.by_due.set((plan.due, number), True),
        by_payer=state.by_payer.set((ctx.sender, number), True),
        next_plan=number + 1,
    )


def cancel(state: Subs, action: Cancel, ctx: Context) -> Subs:
    """Only the payer cancels."""
    plan = state.plans.get(action.plan)
    require(plan is not None and plan.payer == ctx.sender, "not your plan")
    return _drop(state, action.plan, plan)


def set_price(state: Subs, action: SetPrice, ctx: Context) -> Subs:
    """Only the oracle sets it."""
    require(ctx.sender == state.oracle, "oracle only")
    require(0 < action.wei_per_cent < 2**60, "absurd price")
    return replace(state, price=action.wei_per_cent)


def tick(state: Subs, action: Tick, ctx: Context) -> Subs:
    """Pay what is due, the oldest first, a few at a time."""
    require(state.price > 0, "no price")
    due = []
    for when, number in state.by_due.keys(stop=(ctx.timestamp + 1,)):
        if len(due) == PAID_AT_ONCE:
            break
        due.append((when, number))
    require(len(due) > 0, "nothing is due")
    for when, number in due:
        plan = state.plans[number]
        wei = plan.cents * state.price
        have = state.funds.get(plan.payer, 0)
        if have < wei:
            ctx.emit(Ended(number))
            state = _drop(state, number, plan)
            continue
        ctx.emit(Paid(number, wei))
        funds = state.funds.set(plan.payer, have - wei)
        funds = funds.set(plan.payee, funds.get(plan.payee, 0) + wei)
        moved = replace(plan, due=plan.due + plan.every)
        by_due = state.by_due.delete((when, number)).set((moved.due, number), True)
        state = replace(state, funds=funds, by_due=by_due, plans=state.plans.set(number, moved))
    return state


app = MicroRollup(
    name="subs",
    version="1",
    genesis=Subs(oracle=bytes.fromhex("7e5f4552091a69125d5dfcb7b8c2659029395bdf")),
    stfs=[fund, subscribe, cancel, set_price, tick],
    reads="trial_subs_reads",
)
