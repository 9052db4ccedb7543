"""The indexes of Keystore+: what its state has in another order, and labels and names that only events have."""

from __future__ import annotations

from microrollup import ZERO_ADDRESS, Address, Bytes32, Index, IndexBlock, Uint64, Uint256

from .guardians import MAIL
from .naming import AccountNamed, TextSet, compute_text_key
from .orders import OrderFilled
from .state import Plus
from .vault import Deposited

__all__ = [
    "by_amount",
    "deposits_of",
    "fills_of",
    "holdings",
    "labels",
    "names",
    "orders_of",
    "proposals_by_time",
    "proposals_of",
    "text_names",
    "updates_by_vk",
    "voices",
]


def names(block: IndexBlock[Plus], rows: Index[str, Bytes32]) -> None:
    """Label -> account."""
    for receipt in block.receipts:
        for event in receipt.events:
            if isinstance(event, AccountNamed):
                rows.put(event.label, event.key)


def labels(block: IndexBlock[Plus], rows: Index[Bytes32, str]) -> None:
    """Account -> label."""
    for receipt in block.receipts:
        for event in receipt.events:
            if isinstance(event, AccountNamed):
                rows.put(event.key, event.label)


def text_names(block: IndexBlock[Plus], rows: Index[tuple[Bytes32, str], bool]) -> None:
    """(account, name) of each text record that there is."""
    for receipt in block.receipts:
        for event in receipt.events:
            if isinstance(event, TextSet):
                if compute_text_key(event.key, event.name) in block.state.texts.texts:
                    rows.put((event.key, event.name), True)
                elif (event.key, event.name) in rows:
                    rows.delete((event.key, event.name))


def holdings(block: IndexBlock[Plus], rows: Index[tuple[Bytes32, Address], Uint256]) -> None:
    """(account, token) -> amount, of tokens, but not of ether."""
    for change in block.changes(block.state.vault.tokens):
        token, key = change.key
        if change.new is not None:
            rows.put((key, token), change.new)


def by_amount(block: IndexBlock[Plus], rows: Index[tuple[Address, Uint256, Bytes32], bool]) -> None:
    """(token, amount, account) of everybody who has some; the zero address for ether."""
    for ether in block.changes(block.state.vault.balances):
        _move(rows, ZERO_ADDRESS, ether.key, ether.old, ether.new)
    for change in block.changes(block.state.vault.tokens):
        token, key = change.key
        _move(rows, token, key, change.old, change.new)


def _move(
    rows: Index[tuple[Address, Uint256, Bytes32], bool], token: bytes, key: bytes, old: int | None, new: int | None
) -> None:
    if old:
        rows.delete((token, old, key))
    if new:
        rows.put((token, new, key), True)


def deposits_of(block: IndexBlock[Plus], rows: Index[tuple[Bytes32, Uint64], tuple[Address, Uint256]]) -> None:
    """(account, deposit id) -> (token, amount) of each that was credited. Only events have what; 0 without them."""
    for change in block.changes(block.state.deposits.deposits):
        if change.new is not None:
            rows.put((change.new, change.key), (ZERO_ADDRESS, 0))
    for receipt in block.receipts:
        for event in receipt.events:
            if isinstance(event, Deposited):
                rows.put((event.key, event.id), (event.token, event.amount))


def orders_of(block: IndexBlock[Plus], rows: Index[tuple[Bytes32, Uint64, Bytes32], bool]) -> None:
    """(account, last second to fill it, order) of each order out of the keystore."""
    for change in block.changes(block.state.orders.orders):
        if change.old is None and change.new is not None:
            rows.put((change.new.key, change.new.fill_deadline, change.key), True)


def fills_of(
    block: IndexBlock[Plus], rows: Index[tuple[Bytes32, Bytes32], tuple[Bytes32, Bytes32, Address, Uint256]]
) -> None:
    """(paid account, fill) -> (order of another chain, filler's account, token, amount). Only events have it."""
    for receipt in block.receipts:
        for event in receipt.events:
            if isinstance(event, OrderFilled):
                rows.put((event.to_key, event.fill_id), (event.order_id, event.filler_key, event.token, event.amount))


def proposals_of(block: IndexBlock[Plus], rows: Index[tuple[Bytes32, Uint64, Bytes32], bool]) -> None:
    """(account, second at which it was made, proposal) of each proposal that there is."""
    for change in block.changes(block.state.recovery.proposals):
        if change.old is not None and change.new is None:
            rows.delete((change.old.key, change.old.started, change.key))
        if change.old is None and change.new is not None:
            rows.put((change.new.key, change.new.started, change.key), True)


def proposals_by_time(block: IndexBlock[Plus], rows: Index[tuple[Uint64, Bytes32], bool]) -> None:
    """(second at which it was made, proposal) of each proposal that there is."""
    for change in block.changes(block.state.recovery.proposals):
        if change.old is not None and change.new is None:
            rows.delete((change.old.started, change.key))
        if change.old is None and change.new is not None:
            rows.put((change.new.started, change.key), True)


def voices(block: IndexBlock[Plus], rows: Index[tuple[Bytes32, Uint64, Bytes32], bool]) -> None:
    """(who, second at which it was made, proposal) of each proposal that there is.

    Who: its guardians, by their ids but those of mail, and its next vk, with 12 zero bytes first.
    """
    for change in block.changes(block.state.recovery.proposals):
        value = change.old or change.new
        if value is None or (change.old is not None and change.new is not None):
            continue  # guardians, vk and time never change
        heard = {each.id: True for each in value.guardians if each.kind != MAIL}
        heard[bytes(12) + value.vk] = True
        for who in heard:
            if change.new is None:
                rows.delete((who, value.started, change.key))
            else:
                rows.put((who, value.started, change.key), True)


def updates_by_vk(block: IndexBlock[Plus], rows: Index[tuple[Address, Bytes32], bool]) -> None:
    """(next vk, account) of each update that waits to be accepted."""
    for change in block.changes(block.state.recovery.updates):
        if change.old is not None:
            rows.delete((change.old.vk, change.key))
        if change.new is not None:
            rows.put((change.new.vk, change.key), True)
