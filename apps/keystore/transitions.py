"""The keystore's actions and the rules by which they change accounts."""

from __future__ import annotations

from microrollup import Action, Bytes, Bytes32, Context, Event, Revert, replace, require

from .accounts import Account, Keystore, compute_account_key, is_known_vk

__all__ = ["Register", "Registered", "Update", "Updated", "register", "update"]


class Register(Action, frozen=True):
    """Create an account whose vk is the sender."""

    code_hash: Bytes32
    """Hash of the validator's creation code: names its CREATE2 address on every chain."""
    config_hash: Bytes32
    """keccak256 of the configuration that the validator reads."""
    salt: Bytes32
    """Tells accounts of equal parameters apart."""


class Update(Action, frozen=True):
    """Replace an account's data and vk; its key stays."""

    key: Bytes32
    code_hash: Bytes32
    config_hash: Bytes32
    vk: Bytes


class Registered(Event, frozen=True):
    """An account came to be."""

    key: Bytes32


class Updated(Event, frozen=True):
    """An account has new data or a new vk."""

    key: Bytes32


def register(state: Keystore, action: Register, ctx: Context) -> Keystore:
    """Create the account at the key that its parameters give; rejected if it exists already."""
    data = action.code_hash + action.config_hash
    key = compute_account_key(action.salt, data, ctx.sender)
    require(key not in state.accounts, "account exists")
    ctx.emit(Registered(key))
    return replace(state, accounts=state.accounts.set(key, Account(data, ctx.sender)))


def update(state: Keystore, action: Update, ctx: Context) -> Keystore:
    """Replace what is authoritative for a key; only the present vk may."""
    account = state.accounts.get(action.key)
    if account is None:
        raise Revert("no such account")
    require(account.vk == ctx.sender, "sender is not the account's vk")
    require(is_known_vk(action.vk), "vk of no known kind")
    ctx.emit(Updated(action.key))
    data = action.code_hash + action.config_hash
    return replace(state, accounts=state.accounts.set(action.key, Account(data, action.vk)))
