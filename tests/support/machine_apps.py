"""Small apps for the tests of the state machine: right ones, and ones with planted bugs."""

from __future__ import annotations

from microrollup import Action, Address, Context, Map, MicroRollup, State, Uint8, Uint64, replace, require


class Bank(State, frozen=True):
    """What senders have, and the sum of it."""

    balances: Map[Address, Uint64] = Map()
    total: Uint64 = 0


class Mint(Action, frozen=True):
    amount: Uint8


class Send(Action, frozen=True):
    to: Address
    amount: Uint8


def mint(state: Bank, action: Mint, ctx: Context) -> Bank:
    balance = state.balances.get(ctx.sender, 0) + action.amount
    return replace(state, balances=state.balances.set(ctx.sender, balance), total=state.total + action.amount)


def send(state: Bank, action: Send, ctx: Context) -> Bank:
    have = state.balances.get(ctx.sender, 0)
    require(have >= action.amount, "too little")
    balances = state.balances.set(ctx.sender, have - action.amount)
    return replace(state, balances=balances.set(action.to, balances.get(action.to, 0) + action.amount))


def send_and_lose(state: Bank, action: Send, ctx: Context) -> Bank:
    """`send` with a bug: who sends to himself gains, since the first update is lost."""
    have, has = state.balances.get(ctx.sender, 0), state.balances.get(action.to, 0)
    require(have >= action.amount, "too little")
    balances = state.balances.set(ctx.sender, have - action.amount)
    return replace(state, balances=balances.set(action.to, has + action.amount))


class Small(State, frozen=True):
    count: Uint8 = 250


class Tick(Action, frozen=True):
    by: Uint8


def tick(state: Small, action: Tick, ctx: Context) -> Small:
    return replace(state, count=state.count + action.by)


bank = MicroRollup(name="bank", version="1", genesis=Bank(), stfs=[mint, send])
losing = MicroRollup(name="bank", version="1", genesis=Bank(), stfs=[mint, send_and_lose])
small = MicroRollup(name="small", version="1", genesis=Small(), stfs=[tick])
