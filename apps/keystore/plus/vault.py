"""Money: what the vault on L1 credits, what accounts pay each other, what leaves for L1."""

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
    Uint64,
    Uint256,
    replace,
    require,
)
from microrollup.crypto.keccak import keccak256

from .acting import begin
from .authority import get_account
from .money import credit, spend
from .state import Plus, TokenWithdrawal, Vault, Withdrawal
from .words import encode_word

__all__ = [
    "Deposit",
    "Deposited",
    "Freeze",
    "Frozen",
    "Transfer",
    "Transferred",
    "Withdraw",
    "Withdrawn",
    "compute_withdrawal_id",
    "deposit",
    "freeze",
    "put_withdrawal",
    "require_vault",
    "take_out",
    "transfer",
    "withdraw",
]

MAX_AMOUNT: Final = 2**256 - 1


class Deposit(Action, frozen=True):
    """What came in on L1. Only the vault's own forced action counts."""

    id: Uint64
    """The vault's number of the deposit."""
    token: Address
    """Zero: ether."""
    key: Bytes32
    """Who gets it; need not be registered yet."""
    amount: Uint256


class Freeze(Action, frozen=True):
    """An escape has frozen the vault on L1. Only the vault's own forced action counts."""


class Transfer(Action, frozen=True):
    """Pay another account."""

    from_key: Bytes32
    to_key: Bytes32
    token: Address
    amount: Uint256


class Withdraw(Action, frozen=True):
    """Send money to an address on L1, which claims it there."""

    from_key: Bytes32
    token: Address
    amount: Uint256
    to: Address


class Deposited(Event, frozen=True):
    """A deposit was credited."""

    id: Uint64
    key: Bytes32
    token: Address
    amount: Uint256


class Transferred(Event, frozen=True):
    """Money changed accounts."""

    from_key: Bytes32
    to_key: Bytes32
    token: Address
    amount: Uint256


class Withdrawn(Event, frozen=True):
    """Money left for L1."""

    id: Bytes32
    """Under which it is proven there."""
    from_key: Bytes32
    token: Address
    amount: Uint256
    to: Address


class Frozen(Event, frozen=True):
    """From here on no money moves."""


def compute_withdrawal_id(key: bytes, number: int) -> bytes:
    """`keccak256(key || number(32))`; `number` counts the account's withdrawals from 0."""
    return keccak256(key + encode_word(number))


def deposit(state: Plus, action: Deposit, ctx: Context) -> Plus:
    """Credit a deposit once. What is rejected here can be reclaimed on L1."""
    require_vault(state, ctx)
    require(not state.vault.frozen, "the vault is frozen")
    require(action.id not in state.deposits.deposits, "deposit was credited already")
    require(action.key != ZERO_BYTES32, "no account has the key zero")
    require(action.amount > 0, "nothing to deposit")
    credited = state.vault.credited.get(action.token, 0)
    require(action.amount <= MAX_AMOUNT - credited, "more of this token than 256 bits can count")
    vault = replace(state.vault, credited=state.vault.credited.set(action.token, credited + action.amount))
    deposits = replace(state.deposits, deposits=state.deposits.deposits.set(action.id, action.key))
    ctx.emit(Deposited(action.id, action.key, action.token, action.amount))
    return credit(replace(state, vault=vault, deposits=deposits), action.key, action.token, action.amount)


def freeze(state: Plus, _: Freeze, ctx: Context) -> Plus:
    """Stop the money, for ever: the vault pays by the root that it was frozen at."""
    require_vault(state, ctx)
    require(not state.vault.frozen, "the vault is frozen")
    ctx.emit(Frozen())
    return replace(state, vault=replace(state.vault, frozen=True))


def transfer(state: Plus, action: Transfer, ctx: Context) -> Plus:
    """From the sender's account to one that exists, perhaps the same."""
    require(not state.vault.frozen, "the vault is frozen")
    state = begin(state, action.from_key, ctx)
    get_account(state, action.to_key)
    require(action.amount > 0, "nothing to transfer")
    state = spend(state, action.from_key, action.token, action.amount, ctx.timestamp)
    ctx.emit(Transferred(action.from_key, action.to_key, action.token, action.amount))
    return credit(state, action.to_key, action.token, action.amount)


def withdraw(state: Plus, action: Withdraw, ctx: Context) -> Plus:
    """Take money out; the leaf that L1 pays by stays for ever."""
    require(not state.vault.frozen, "the vault is frozen")
    state = begin(state, action.from_key, ctx)
    return take_out(state, action.from_key, action.token, action.amount, action.to, ctx)


def take_out(state: Plus, key: bytes, token: bytes, amount: int, to: bytes, ctx: Context) -> Plus:
    """The one place where money leaves for L1: this format's withdrawals and Axiom's, under one number each."""
    require(to != ZERO_ADDRESS, "nobody claims for the zero address")
    require(amount > 0, "nothing to withdraw")
    state = spend(state, key, token, amount, ctx.timestamp)
    number = state.vault.axiom_nonces.get(key, 0)
    place = compute_withdrawal_id(key, number)
    ctx.emit(Withdrawn(place, key, token, amount, to))
    vault = replace(state.vault, axiom_nonces=state.vault.axiom_nonces.set(key, number + 1))
    return replace(state, vault=put_withdrawal(vault, place, token, amount, to))


def put_withdrawal(vault: Vault, place: bytes, token: bytes, amount: int, to: bytes) -> Vault:
    """The vault with money that L1 pays to `to`, under the 32-byte id `place`."""
    if token == ZERO_ADDRESS:
        return replace(vault, withdrawals=vault.withdrawals.set(place, Withdrawal(to, amount)))
    withdrawal = TokenWithdrawal(token, to, amount)
    return replace(vault, token_withdrawals=vault.token_withdrawals.set(place, withdrawal))


def require_vault(state: Plus, ctx: Context) -> None:
    """Only what the vault on L1 forced itself: no wallet, no envelope, nobody's payload that a stranger carries."""
    vault = state.config.vault
    require(vault != ZERO_ADDRESS and ctx.origin == "l1" and ctx.l1_sender == vault, "not from the vault on L1")
