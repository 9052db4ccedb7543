"""The fourth version: a part within the state, to which the total moves, and a hook that counts blocks."""

from __future__ import annotations

from typing import Annotated

from microrollup import Address, Context, Map, MicroRollup, State, Uint64, Upgrade, metadata, replace
from shop import v2, v3


class Counters(State, frozen=True):
    """What is counted."""

    blocks: Uint64 = 0
    total: Uint64 = 0


class Shop(State, frozen=True):
    """What the rollup stores."""

    counters: Counters
    orders: Map[Uint64, Address]
    accounts: Map[Address, v2.Account]
    seen: Annotated[Map[Address, bool], metadata]


def see(state: Shop, action: v3.See, ctx: Context) -> Shop:
    """See the sender."""
    return replace(state, seen=state.seen.set(ctx.sender, True))


def count(state: Counters, ctx: Context) -> Counters:
    """Another block."""
    return replace(state, blocks=state.blocks + 1)


def migrate(state: v3.Shop, ctx: Context) -> Shop:
    """The total moves into the counters; blocks are counted from here."""
    return Shop(counters=Counters(0, state.total), orders=state.orders, accounts=state.accounts, seen=state.seen)


app = MicroRollup(
    name="shop",
    version="4",
    state=Shop,
    stfs=[see],
    on_block=count,
    previous=Upgrade(v3.app, migrate, renamed={"total": "counters.total"}),
    reads="shop.v4_reads",
)
