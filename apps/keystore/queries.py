"""What can be asked of the keystore."""

from __future__ import annotations

from typing import Final

import msgspec

from microrollup import ZERO_BYTES32, Address, Bytes, Bytes32, Uint16, View, require

from .accounts import Account, Keystore
from .indexes import accounts_by_vk

__all__ = ["AccountsPage", "FoundAccount", "HeldAccount", "HeldPage", "accounts_of", "held"]

_MAX_PAGE: Final = 200
_WORD: Final = 32


class FoundAccount(msgspec.Struct, frozen=True):
    """An account, and what is authoritative for it."""

    key: Bytes32
    data: Bytes
    """`codeHash(32) || configHash(32)`."""
    vk: Bytes


class AccountsPage(msgspec.Struct, frozen=True):
    """Accounts, and the key after which the next page begins."""

    items: list[FoundAccount]
    next: Bytes32 | None


def accounts_of(
    view: View[Keystore], sender: Address, after: Bytes32 = ZERO_BYTES32, limit: Uint16 = 50
) -> AccountsPage:
    """The accounts that a sender may change, in the order of their keys: a wallet finds its own again."""
    require(1 <= limit <= _MAX_PAGE, "a page has 1 to 200 accounts")
    rows, following = view.index(accounts_by_vk).page(prefix=(sender,), after=(sender, after), limit=limit)
    items = [_show(key, view.state.accounts.get(key)) for (_, key), _ in rows]
    return AccountsPage([item for item in items if item is not None], None if following is None else following[1])


def _show(key: bytes, account: Account | None) -> FoundAccount | None:
    """An index may be a block behind the state: what is there now counts."""
    return None if account is None else FoundAccount(key, account.data, account.vk)


class HeldAccount(msgspec.Struct, frozen=True):
    """An account with the parts of its data: what an `Update` of it begins with."""

    key: Bytes32
    code_hash: Bytes32
    config_hash: Bytes32


class HeldPage(msgspec.Struct, frozen=True):
    """Accounts, and the key after which the next page begins."""

    items: list[HeldAccount]
    next: Bytes32 | None


def held(view: View[Keystore], sender: Address, after: Bytes32 = ZERO_BYTES32, limit: Uint16 = 50) -> HeldPage:
    """The accounts of `accounts_of`, their code hash and config hash apart."""
    found = accounts_of(view, sender, after, limit)
    items = [HeldAccount(item.key, item.data[:_WORD], item.data[_WORD:]) for item in found.items]
    return HeldPage(items, found.next)
