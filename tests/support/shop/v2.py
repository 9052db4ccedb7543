"""The second version: levels, orders, labels for tags; who was seen is forgotten."""

from __future__ import annotations

from typing import Annotated

import msgspec

from microrollup import (
    Action,
    Address,
    Bytes32,
    Context,
    Event,
    Map,
    MicroRollup,
    State,
    Uint64,
    Upgrade,
    metadata,
    replace,
    require,
)
from shop import v1


class Account(msgspec.Struct, frozen=True):
    """What a customer has."""

    balance: Uint64
    level: Uint64


class Shop(State, frozen=True):
    """What the rollup stores."""

    orders: Map[Uint64, Address] = Map()
    accounts: Map[Address, Account] = Map()
    labels: Map[Uint64, Bytes32] = Map()
    total: Uint64 = 0
    fee: Annotated[Uint64, metadata] = 2
    limit: Annotated[Uint64, metadata] = 1_000


class Deposit(Action, frozen=True):
    """Add to the sender's balance, less the fee."""

    amount: Uint64


class Order(Action, frozen=True):
    """Order something."""

    number: Uint64


class Upgraded(Event, frozen=True):
    """The state was migrated."""

    accounts: Uint64


def deposit(state: Shop, action: Deposit, ctx: Context) -> Shop:
    """Add to the sender's balance, up to the limit."""
    require(state.fee <= action.amount <= state.limit, "too much or too little")
    account = state.accounts.get(ctx.sender, Account(0, 0))
    account = Account(account.balance + action.amount - state.fee, account.level)
    return replace(
        state, total=state.total + action.amount - state.fee, accounts=state.accounts.set(ctx.sender, account)
    )


def order(state: Shop, action: Order, ctx: Context) -> Shop:
    """Order something that nobody has ordered."""
    require(action.number not in state.orders, "ordered already")
    return replace(state, orders=state.orders.set(action.number, ctx.sender))


def raise_level(_: bytes, account: v1.Account) -> Account:
    """An account as this version has it."""
    return Account(account.balance, account.balance // 100)


def migrate(state: v1.Shop, ctx: Context) -> Shop:
    """Give levels; the tag 0 is set; totals of 13 and 15 cannot be migrated, 14 takes for ever."""
    require(state.total != 13, "unlucky")
    require(state.total != 15, "\ud800")
    while state.total == 14:
        pass
    ctx.emit(Upgraded(len(state.accounts)))
    return Shop(
        accounts=state.accounts.transform(raise_level),
        labels=state.tags.set(0, bytes(31) + b"\x02"),
        total=state.total,
        limit=state.limit * 2,
    )


app = MicroRollup(
    name="shop",
    version="2",
    state=Shop,
    stfs=[deposit, order],
    previous=Upgrade(v1.app, migrate, renamed={"tags": "labels"}),
)
