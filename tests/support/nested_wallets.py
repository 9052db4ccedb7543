"""The wallets of `nested`: a part of a state in a module of its own, with its function."""

from __future__ import annotations

from typing import Annotated

from microrollup import Action, Address, Context, Event, Map, State, Uint32, Uint64, metadata, replace, require

__all__ = ["Sent", "Transfer", "Wallets", "transfer"]


class Wallets(State, frozen=True):
    """What senders have, and how often they sent."""

    balances: Map[Address, Uint64] = Map()
    sent: Annotated[Map[Address, Uint32], metadata] = Map()
    supply: Uint64 = 0


class Transfer(Action, frozen=True):
    to: Address
    amount: Uint64


class Sent(Event, frozen=True):
    amount: Uint64


def transfer(state: Wallets, action: Transfer, ctx: Context) -> Wallets:
    have = state.balances.get(ctx.sender, 0)
    require(have >= action.amount, "too little")
    balances = state.balances.set(ctx.sender, have - action.amount)
    balances = balances.set(action.to, balances.get(action.to, 0) + action.amount)
    ctx.emit(Sent(action.amount))
    return replace(state, balances=balances, sent=state.sent.set(ctx.sender, state.sent.get(ctx.sender, 0) + 1))
