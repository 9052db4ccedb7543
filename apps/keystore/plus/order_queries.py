"""What can be asked about orders: those out of the keystore, and fills of other chains' orders."""

from __future__ import annotations

from msgspec import Struct

from microrollup import Address, Bytes32, Revert, Uint64, Uint256, View

from .indexes import fills_of, orders_of
from .orders import FILLED, OPEN
from .reading import take
from .state import Order, Plus

__all__ = ["FillAnswer", "FillPage", "OrderAnswer", "OrderPage", "list_fills", "list_orders", "show_order"]


class OrderAnswer(Struct, frozen=True):
    """Money that waits, or waited, for somebody to fill an order on another chain."""

    order: Bytes32
    state: str
    """`open`; `due` once its time has passed and nobody has told how it ended; `filled`; `returned`."""
    key: Bytes32
    token: Address
    amount: Uint256
    chain_id: Uint64
    output_hash: Bytes32
    """`keccak256(abi.encode(Output[]))` of what is to be paid there."""
    fill_deadline: Uint64


class OrderPage(Struct, frozen=True):
    """Orders of an account, the latest deadline first."""

    items: list[OrderAnswer]
    next: tuple[Uint64, Bytes32] | None


class FillAnswer(Struct, frozen=True):
    """An order of another chain that was filled here."""

    fill: Bytes32
    """Where its leaf is, in silo 9."""
    order: Bytes32
    filler_key: Bytes32
    token: Address
    amount: Uint256
    claimant: Address
    """Whom the other chain's settler pays."""
    time: Uint64


class FillPage(Struct, frozen=True):
    """Fills that an account was paid by."""

    items: list[FillAnswer]
    next: Bytes32 | None


def show_order(view: View[Plus], order: bytes) -> OrderAnswer:
    """An order out of the keystore, by its 32-byte id. Rejects the query if there is none."""
    found = view.state.orders.orders.get(order)
    if found is None:
        raise Revert("no such order")
    return OrderAnswer(
        order, _describe(found, view.timestamp), found.key, found.token, found.amount, found.chain_id,
        found.output_hash, found.fill_deadline,
    )  # fmt: skip


def list_orders(view: View[Plus], key: bytes, after: tuple[int, bytes], limit: int) -> OrderPage:
    """Orders out of the account of a 32-byte key, the latest deadline first; `after` is (deadline, id)."""
    rows = view.index(orders_of).keys(prefix=(key,), stop=(key, *after), reverse=True)
    found, more = take(rows, limit)
    items = [show_order(view, place) for _, _, place in found]
    return OrderPage(items, (items[-1].fill_deadline, items[-1].order) if more else None)


def list_fills(view: View[Plus], key: bytes, after: bytes, limit: int) -> FillPage:
    """Fills of other chains' orders that paid an account, by their 32-byte ids."""
    rows = view.index(fills_of)
    found, more = take(rows.keys(prefix=(key,), start=(key, after)), limit, (key, after))
    items = []
    for place in found:
        leaf = view.state.orders.fills[place[1]]
        items.append(FillAnswer(place[1], *rows[place], leaf.claimant, leaf.time))
    return FillPage(items, items[-1].fill if more else None)


def _describe(found: Order, now: int) -> str:
    if found.status == OPEN:
        return "open" if now <= found.fill_deadline else "due"
    return "filled" if found.status == FILLED else "returned"
