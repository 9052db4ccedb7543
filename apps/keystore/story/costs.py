"""What the steps cost in money, at prices that the reader gives: execution, published blobs, and bytes on L2s."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal, InvalidOperation
from typing import Final

import msgspec
from rich.console import RenderableType

from microrollup.cli.output import make_table
from microrollup.errors import UsageError

from .telling import StoryRow

__all__ = ["PRICES", "Cost", "compute_costs", "make_costs_table", "read_prices"]

PRICES: Final = {
    "l1-gas": "gwei for a unit of gas on L1",
    "blob-gas": "gwei for a unit of blob gas on L1",
    "l2-gas": "gwei for a unit of gas on the L2s",
    "l2-byte": "gwei for a byte of a transaction's calldata on the L2s, which they publish on L1",
    "ether": "for one ether, in any currency",
}
"""What has a price."""

_GWEI: Final = 10**9
_ETHER: Final = 10**18
_LAYER_2: Final = "L2"


class Cost(msgspec.Struct, frozen=True, rename="camel"):
    """What a step costs."""

    step: str
    chain: str
    execution: int
    """Wei for gas."""
    data: int
    """Wei for what is published: blobs, and bytes of the L2s' transactions."""
    money: str
    """Of both, with six decimals."""


def read_prices(given: Iterable[str]) -> dict[str, Decimal]:
    """Prices by name, from `NAME=AMOUNT` each; what has none is free. Raises `UsageError` for others."""
    prices = dict.fromkeys(PRICES, Decimal(0))
    for text in given:
        name, _, amount = text.partition("=")
        try:
            value = Decimal(amount)
        except InvalidOperation:
            value = Decimal(-1)
        if name not in prices or not value.is_finite() or value < 0:
            raise UsageError(f"{text!r} is not NAME=AMOUNT with one of {', '.join(PRICES)}")
        prices[name] = value
    return prices


def compute_costs(rows: Iterable[StoryRow], prices: dict[str, Decimal]) -> list[Cost]:
    """Of every step that takes gas or publishes something, in their order."""
    costs = []
    for row in rows:
        if row.gas is None and not row.blob_gas:
            continue
        is_layer_2 = row.chain.startswith(_LAYER_2)
        execution = (row.gas or 0) * prices["l2-gas" if is_layer_2 else "l1-gas"]
        data = (row.blob_gas or 0) * prices["blob-gas"] + ((row.bytes or 0) * prices["l2-byte"] if is_layer_2 else 0)
        money = (execution + data) * _GWEI / _ETHER * prices["ether"]
        costs.append(Cost(row.step, row.chain, int(execution * _GWEI), int(data * _GWEI), f"{money:.6f}"))
    return costs


def make_costs_table(costs: list[Cost]) -> RenderableType:
    """For people."""
    table = make_table("step", "chain", "execution, gwei", "data, gwei", "money")
    for cost in costs:
        table.add_row(cost.step, cost.chain, f"{cost.execution / _GWEI:,.0f}", f"{cost.data / _GWEI:,.0f}", cost.money)
    return table
