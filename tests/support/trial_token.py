"""A token after ERC-20 whose allowances have composite keys: (owner, spender)."""

from __future__ import annotations

from typing import Annotated, Final

from microrollup import (
    Action,
    Address,
    Context,
    Event,
    Map,
    MicroRollup,
    State,
    Uint256,
    metadata,
    replace,
    require,
)

MAX: Final = 2**256 - 1


class Token(State, frozen=True):
    """What the rollup stores."""

    supply: Uint256 = 0
    balances: Map[Address, Uint256] = Map()
    allowances: Map[tuple[Address, Address], Uint256] = Map()
    spenders: Annotated[Map[tuple[Address, Address], bool], metadata] = Map()
    """(spender, owner), to find who lets a spender pay."""


class Mint(Action, frozen=True):
    """Make coins, for the sender."""

    amount: Uint256


class Approve(Action, frozen=True):
    """Let `spender` take up to `amount`."""

    spender: Address
    amount: Uint256


class TransferFrom(Action, frozen=True):
    """Pay with the coins of another, who has approved the sender."""

    from_: Address
    to: Address
    amount: Uint256


class Revoke(Action, frozen=True):
    """Take back all of the sender's approvals."""


class Revoked(Event, frozen=True):
    """`spender` may take nothing of `owner` any more."""

    owner: Address
    spender: Address


def mint(state: Token, action: Mint, ctx: Context) -> Token:
    """Make coins."""
    require(state.supply + action.amount <= MAX, "supply overflow")
    have = state.balances.get(ctx.sender, 0)
    return replace(
        state, supply=state.supply + action.amount, balances=state.balances.set(ctx.sender, have + action.amount)
    )


def approve(state: Token, action: Approve, ctx: Context) -> Token:
    """Set an allowance."""
    return replace(
        state,
        allowances=state.allowances.set((ctx.sender, action.spender), action.amount),
        spenders=state.spenders.set((action.spender, ctx.sender), True),
    )


def transfer_from(state: Token, action: TransferFrom, ctx: Context) -> Token:
    """Use an allowance."""
    key = (action.from_, ctx.sender)
    allowed = state.allowances.get(key, 0)
    require(allowed >= action.amount, "more than approved")
    have = state.balances.get(action.from_, 0)
    require(have >= action.amount, "balance too low")
    balances = state.balances.set(action.from_, have - action.amount)
    return replace(
        state,
        allowances=state.allowances.set(key, allowed - action.amount),
        balances=balances.set(action.to, balances.get(action.to, 0) + action.amount),
    )


def revoke(state: Token, action: Revoke, ctx: Context) -> Token:
    """Delete a range of allowances while walking it."""
    allowances, spenders = state.allowances, state.spenders
    for owner, spender in state.allowances.keys(prefix=(ctx.sender,)):
        ctx.emit(Revoked(owner, spender))
        allowances = allowances.delete((owner, spender))
        spenders = spenders.delete((spender, owner))
    return replace(state, allowances=allowances, spenders=spenders)


app = MicroRollup(name="token", version="1", genesis=Token(), stfs=[mint, approve, transfer_from, revoke])
