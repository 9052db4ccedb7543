"""How a price moves: down at once; up a day later, at most to twice itself in seven days, never above its cap."""

from __future__ import annotations

from typing import Final

from microrollup import Context, require

from .clock import DAY, add_seconds
from .state import Plus, Price

__all__ = ["RISE_INTERVAL", "RISE_NOTICE", "change_price", "find_price", "get_price"]

RISE_NOTICE: Final = DAY
RISE_INTERVAL: Final = 7 * DAY
"""Between two rises."""


def get_price(price: Price, now: int) -> int:
    """What holds at a second."""
    return price.next if 0 < price.effective <= now else price.amount


def find_price(state: Plus, token: bytes, now: int) -> int:
    """What one action costs in a token at a second; 0: the token has no price then."""
    price = state.fees.prices.get(token)
    return 0 if price is None else get_price(price, now)


def change_price(price: Price, amount: int, cap: int, ctx: Context) -> Price:
    """The price with a change to `amount`. Rejects a rise that is too high or too soon."""
    now = get_price(price, ctx.timestamp)
    raised = price.effective if 0 < price.effective <= ctx.timestamp else price.raised
    last = now if now > 0 else price.last
    if amount <= now:
        return Price(amount, 0, 0, raised, last)
    effective = add_seconds(ctx, RISE_NOTICE)
    require(amount <= cap, "more than the price's cap")
    require(last == 0 or amount <= 2 * last, "a price may at most double")
    require(raised == 0 or effective >= raised + RISE_INTERVAL, "the last rise is less than seven days ago")
    return Price(now, amount, effective, raised, last)
