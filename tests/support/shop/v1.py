"""The first version: balances, tags and who was seen."""

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
    metadata,
    replace,
    require,
)


class Account(msgspec.Struct, frozen=True):
    """What a customer has."""

    balance: Uint64


class Shop(State, frozen=True):
    """What the rollup stores."""

    total: Uint64 = 0
    accounts: Map[Address, Account] = Map()
    tags: Map[Uint64, Bytes32] = Map()
    seen: Annotated[Map[Address, bool], metadata] = Map()
    limit: Annotated[Uint64, metadata] = 1_000


class Deposit(Action, frozen=True):
    """Add to the sender's balance."""

    amount: Uint64


class Tag(Action, frozen=True):
    """Set a tag."""

    number: Uint64
    value: Bytes32


class Deposited(Event, frozen=True):
    """A balance grew."""

    balance: Uint64


def deposit(state: Shop, action: Deposit, ctx: Context) -> Shop:
    """Add to the sender's balance, up to the limit."""
    require(action.amount <= state.limit, "too much")
    account = state.accounts.get(ctx.sender, Account(0))
    account = Account(account.balance + action.amount)
    ctx.emit(Deposited(account.balance))
    return replace(
        state,
        total=state.total + action.amount,
        accounts=state.accounts.set(ctx.sender, account),
        seen=state.seen.set(ctx.sender, True),
    )


def tag(state: Shop, action: Tag, ctx: Context) -> Shop:
    """Set a tag."""
    return replace(state, tags=state.tags.set(action.number, action.value))


app = MicroRollup(name="shop", version="1", genesis=Shop(), stfs=[deposit, tag])
