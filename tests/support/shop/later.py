"""The second version with another fee, and the same shape without a version before it."""

from __future__ import annotations

from microrollup import Context, MicroRollup, Upgrade, replace
from shop import v1, v2


def deposit(state: v2.Shop, action: v2.Deposit, ctx: Context) -> v2.Shop:
    """A fee more than before."""
    account = state.accounts.get(ctx.sender, v2.Account(0, 0))
    account = v2.Account(account.balance + action.amount - state.fee - 1, account.level)
    return replace(
        state, total=state.total + action.amount - state.fee - 1, accounts=state.accounts.set(ctx.sender, account)
    )


app = MicroRollup(
    name="shop",
    version="2",
    state=v2.Shop,
    stfs=[deposit, v2.order],
    previous=Upgrade(v1.app, v2.migrate, renamed={"tags": "labels"}),
)

alone = MicroRollup(name="shop", version="2", genesis=v2.Shop(), stfs=[deposit, v2.order])
