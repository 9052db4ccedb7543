"""The third version: `seen` comes back, the labels go."""

from __future__ import annotations

from typing import Annotated

from microrollup import Action, Address, Context, Map, MicroRollup, State, Uint64, Upgrade, metadata, replace
from shop import v2


class Shop(State, frozen=True):
    """What the rollup stores."""

    seen: Annotated[Map[Address, bool], metadata] = Map()
    orders: Map[Uint64, Address] = Map()
    accounts: Map[Address, v2.Account] = Map()
    total: Uint64 = 0
    limit: Annotated[Uint64, metadata] = 1_000


class See(Action, frozen=True):
    """See the sender."""


def see(state: Shop, action: See, ctx: Context) -> Shop:
    """See the sender."""
    return replace(state, seen=state.seen.set(ctx.sender, True))


def migrate(state: v2.Shop, ctx: Context) -> Shop:
    """Whoever has an account was seen."""
    seen = Map(dict.fromkeys(state.accounts, True))
    return Shop(seen=seen, orders=state.orders, accounts=state.accounts, total=state.total, limit=state.limit)


app = MicroRollup(name="shop", version="3", state=Shop, stfs=[see], previous=Upgrade(v2.app, migrate))
