"""Orders (ERC-7683) between the keystore and other chains: money that waits for a filler there, and fills here."""

from __future__ import annotations

from typing import Final

from microrollup import (
    ZERO_ADDRESS,
    ZERO_BYTES32,
    Action,
    Address,
    Bytes32,
    Context,
    Event,
    Revert,
    Uint64,
    Uint256,
    replace,
    require,
)
from microrollup.crypto.keccak import keccak256

from .acting import begin
from .authority import get_account
from .clock import DAY, add_seconds
from .money import credit, spend
from .state import Order, OrderFill, Plus
from .vault import put_withdrawal, require_vault
from .words import encode_word

__all__ = [
    "FILLED",
    "MAX_ORDER_TIME",
    "OPEN",
    "UNFILLED",
    "EndOrder",
    "Fill",
    "OpenOrder",
    "OrderEnded",
    "OrderFilled",
    "OrderOpened",
    "compute_fill_id",
    "compute_order_id",
    "end_order",
    "fill",
    "open_order",
]

OPEN: Final = 1
FILLED: Final = 2
"""A filler paid on the other chain, and the money waits on L1 for whom it named."""
UNFILLED: Final = 3
"""Nobody did in time, and the money is back."""
MAX_ORDER_TIME: Final = 30 * DAY
_MAX_DEADLINE: Final = 2**32 - 1
"""ERC-7683 counts seconds in 32 bits."""


class Fill(Action, frozen=True):
    """Pay what an order of another chain asks for here; the settler there pays `claimant` for it."""

    order_id: Bytes32
    settler: Address
    """The contract that holds the order's money."""
    chain_id: Uint64
    """Of the settler."""
    filler_key: Bytes32
    to_key: Bytes32
    token: Address
    amount: Uint256
    claimant: Address
    """On the settler's chain."""
    fill_deadline: Uint64


class OpenOrder(Action, frozen=True):
    """Lock money for who fills an order on another chain."""

    key: Bytes32
    token: Address
    amount: Uint256
    chain_id: Uint64
    """Where it is to be filled: a chain with a settler in the configuration."""
    output_hash: Bytes32
    """`keccak256(abi.encode(Output[]))` of what the filler has to pay there."""
    fill_deadline: Uint64
    """Last second, at most 30 days from now."""


class EndOrder(Action, frozen=True):
    """How an order ended on its chain. Only the vault's own forced action counts."""

    order_id: Bytes32
    filled: bool
    claimant: Address
    """Who gets the money on L1; zero if nobody filled."""


class OrderFilled(Event, frozen=True):
    """An order of another chain was filled here."""

    fill_id: Bytes32
    """Under which it is proven there."""
    order_id: Bytes32
    filler_key: Bytes32
    to_key: Bytes32
    token: Address
    amount: Uint256
    claimant: Address


class OrderOpened(Event, frozen=True):
    """Money waits for a filler."""

    order_id: Bytes32
    key: Bytes32
    chain_id: Uint64
    output_hash: Bytes32
    fill_deadline: Uint64


class OrderEnded(Event, frozen=True):
    """The money went to L1 for the claimant, or back."""

    order_id: Bytes32
    filled: bool
    claimant: Address


def compute_order_id(rollup_id: bytes, key: bytes, number: int) -> bytes:
    """`keccak256(abi.encode(rollupId, key, number))`; `number` counts the account's orders from 0."""
    return keccak256(rollup_id + key + encode_word(number))


def compute_fill_id(
    order_id: bytes, settler: bytes, chain_id: int, to_key: bytes, token: bytes, amount: int, fill_deadline: int
) -> bytes:
    """Where a fill is found: all that the settler's order says, so that a fill of anything else is another's.

    `keccak256(abi.encode(orderId, settler, chainId, toKey, token, amount, fillDeadline))`; ids and keys have 32 bytes,
    addresses 20.
    """
    words = [order_id, bytes(12) + settler, encode_word(chain_id), to_key, bytes(12) + token]
    return keccak256(b"".join([*words, encode_word(amount), encode_word(fill_deadline)]))


def fill(state: Plus, action: Fill, ctx: Context) -> Plus:
    """A transfer to an account that exists, once for each order, and not after the order's deadline.

    Whether there is such an order, only its chain knows: the filler has looked.
    """
    require(not state.vault.frozen, "the vault is frozen")
    state = begin(state, action.filler_key, ctx)
    get_account(state, action.to_key)
    require(action.amount > 0, "nothing to transfer")
    require(action.claimant != ZERO_ADDRESS, "nobody claims for the zero address")
    require(ctx.timestamp <= action.fill_deadline, "the order's deadline has passed")
    place = compute_fill_id(
        action.order_id, action.settler, action.chain_id, action.to_key, action.token, action.amount,
        action.fill_deadline,
    )  # fmt: skip
    require(place not in state.orders.fills, "order was filled already")
    state = spend(state, action.filler_key, action.token, action.amount, ctx.timestamp)
    fills = state.orders.fills.set(place, OrderFill(action.claimant, ctx.timestamp))
    ctx.emit(
        OrderFilled(
            place, action.order_id, action.filler_key, action.to_key, action.token, action.amount, action.claimant
        )
    )
    state = replace(state, orders=replace(state.orders, fills=fills))
    return credit(state, action.to_key, action.token, action.amount)


def open_order(state: Plus, action: OpenOrder, ctx: Context) -> Plus:
    """The money leaves the account now, as a withdrawal does, and comes back if nobody fills the order in time."""
    require(not state.vault.frozen, "the vault is frozen")
    state = begin(state, action.key, ctx)
    require(action.amount > 0, "nothing to lock")
    require(action.output_hash != ZERO_BYTES32, "an order asks for something")
    chains = [settler.chain_id for settler in state.config.settlers]
    require(action.chain_id in chains, "no settler on this chain: nothing would end the order")
    last = min(add_seconds(ctx, MAX_ORDER_TIME), _MAX_DEADLINE)
    require(ctx.timestamp < action.fill_deadline <= last, "an order lasts 30 days at most")
    state = spend(state, action.key, action.token, action.amount, ctx.timestamp)
    number = state.order_counts.get(action.key, 0)
    place = compute_order_id(ctx.rollup_id, action.key, number)
    order = Order(
        action.key, action.token, action.amount, action.chain_id, action.output_hash, action.fill_deadline, OPEN
    )
    ctx.emit(OrderOpened(place, action.key, action.chain_id, action.output_hash, action.fill_deadline))
    state = replace(state, order_counts=state.order_counts.set(action.key, number + 1))
    return _put_order(state, place, order)


def end_order(state: Plus, action: EndOrder, ctx: Context) -> Plus:
    """The vault has the settler's word. A claimant is paid on L1, under the order's id as the withdrawal's."""
    require_vault(state, ctx)
    require(not state.vault.frozen, "the vault is frozen")
    order = state.orders.orders.get(action.order_id)
    if order is None:
        raise Revert("no such order")
    require(order.status == OPEN, "order has ended already")
    require(action.filled == (action.claimant != ZERO_ADDRESS), "a filled order has a claimant, another one has none")
    ctx.emit(OrderEnded(action.order_id, action.filled, action.claimant))
    state = _put_order(state, action.order_id, replace(order, status=FILLED if action.filled else UNFILLED))
    if not action.filled:
        return credit(state, order.key, order.token, order.amount)
    return replace(
        state, vault=put_withdrawal(state.vault, action.order_id, order.token, order.amount, action.claimant)
    )


def _put_order(state: Plus, place: bytes, order: Order) -> Plus:
    return replace(state, orders=replace(state.orders, orders=state.orders.orders.set(place, order)))
