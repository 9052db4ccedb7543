"""The subscriptions' last version: plans are over, what was paid in stays."""

from __future__ import annotations

import trial_subs_v2 as v2
from microrollup import Action, Address, Context, Map, MicroRollup, State, Uint128, Upgrade, replace, require


class Subs(State, frozen=True):
    """What the rollup stores."""

    oracle: Address
    funds: Map[Address, Uint128] = Map()


class Fund(Action, frozen=True):
    """Add to what the sender has."""

    amount: Uint128


def fund(state: Subs, action: Fund, ctx: Context) -> Subs:
    """Anybody funds for oneself."""
    funds = state.funds.get(ctx.sender, 0) + action.amount
    require(funds < 2**127, "too much")
    return replace(state, funds=state.funds.set(ctx.sender, funds))


def migrate(state: v2.Subs, ctx: Context) -> Subs:
    """Plans go."""
    return Subs(oracle=state.oracle, funds=state.funds)


app = MicroRollup(name="subs", version="3", state=Subs, stfs=[fund], previous=Upgrade(v2.app, migrate))
