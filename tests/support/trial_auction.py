"""Auctions over ranges: bids are ordered by amount, deadlines by time; whoever settles pays for a few at a time."""

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

SETTLED_AT_ONCE: Final = 3


class Auction(msgspec.Struct, frozen=True):
    """Something for sale until a time."""

    seller: Address
    ends: Uint64


class House(State, frozen=True):
    """What the rollup stores."""

    auctions: Map[Uint64, Auction] = Map()
    bids: Annotated[Map[tuple[Uint64, Uint128, Address], bool], metadata] = Map()
    """(auction, amount, bidder)."""
    due: Annotated[Map[tuple[Uint64, Uint64], bool], metadata] = Map()
    """(end, auction)."""
    won: Map[Uint64, Address] = Map()


class Open(Action, frozen=True):
    """Sell for some seconds."""

    seconds: Uint64


class Bid(Action, frozen=True):
    """Offer an amount; the highest one counts."""

    auction: Uint64
    amount: Uint128


class Settle(Action, frozen=True):
    """Settle what has ended, the oldest first, a few at a time."""


class Won(Event, frozen=True):
    """The auction ended with this bid."""

    auction: Uint64
    bidder: Address
    amount: Uint128


def open_auction(state: House, action: Open, ctx: Context) -> House:
    """The next number is one more than the last."""
    require(0 < action.seconds <= 1_000_000, "too long")
    last = state.auctions.last()
    number = 1 if last is None else last[0] + 1
    ends = ctx.timestamp + action.seconds
    return replace(
        state,
        auctions=state.auctions.set(number, Auction(ctx.sender, ends)),
        due=state.due.set((ends, number), True),
    )


def bid(state: House, action: Bid, ctx: Context) -> House:
    """Bids only rise."""
    auction = state.auctions.get(action.auction)
    require(auction is not None and ctx.timestamp < auction.ends, "not open")
    best = state.bids.last(prefix=(action.auction,))
    require(action.amount > (0 if best is None else best[0][1]), "too low")
    return replace(state, bids=state.bids.set((action.auction, action.amount, ctx.sender), True))


def settle(state: House, action: Settle, ctx: Context) -> House:
    """Walk the range of deadlines that have passed."""
    settled = 0
    due, won = state.due, state.won
    for ends, number in state.due.keys(stop=(ctx.timestamp + 1,)):
        if settled == SETTLED_AT_ONCE:
            break
        settled += 1
        due = due.delete((ends, number))
        best = state.bids.last(prefix=(number,))
        if best is not None:
            ctx.emit(Won(number, best[0][2], best[0][1]))
            won = won.set(number, best[0][2])
    require(settled > 0, "nothing is due")
    return replace(state, due=due, won=won)


app = MicroRollup(name="auctions", version="1", genesis=House(), stfs=[open_auction, bid, settle])
