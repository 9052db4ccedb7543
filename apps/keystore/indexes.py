"""The index of the keystore: which accounts a sender may change."""

from __future__ import annotations

from microrollup import Address, Bytes32, Index, IndexBlock

from .accounts import Account, Keystore, is_known_vk

__all__ = ["accounts_by_vk", "note_vk"]


def accounts_by_vk(block: IndexBlock[Keystore], rows: Index[tuple[Address, Bytes32], bool]) -> None:
    """(vk, account) of each account whose vk is a sender."""
    for change in block.changes(block.state.accounts):
        note_vk(rows, change.key, change.old, change.new)


def note_vk(rows: Index[tuple[Address, Bytes32], bool], key: bytes, old: Account | None, new: Account | None) -> None:
    """Keep the rows of an account that was `old` and is `new`."""
    if old is not None and is_known_vk(old.vk):
        rows.delete((old.vk, key))
    if new is not None and is_known_vk(new.vk):
        rows.put((new.vk, key), True)
