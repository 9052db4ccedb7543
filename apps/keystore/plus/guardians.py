"""Guardians: how their list is hashed, what is a list, and who speaks for one of them."""

from __future__ import annotations

from typing import Final

from microrollup import Context, require
from microrollup.crypto.keccak import keccak256

from .authority import get_account, has_authority, require_unlocked
from .policy import Guardian
from .state import Plus
from .words import encode_word

__all__ = [
    "ACCOUNT",
    "MAIL",
    "SENDER",
    "compute_guardian_hash",
    "compute_guardians_hash",
    "find_place",
    "require_guardian",
    "require_list",
]

SENDER: Final = 0
ACCOUNT: Final = 1
MAIL: Final = 2


def compute_guardian_hash(guardian: Guardian) -> bytes:
    """keccak256 of a guardian's two words."""
    return keccak256(encode_word(guardian.kind) + guardian.id)


def compute_guardians_hash(salt: bytes, guardians: list[Guardian]) -> bytes:
    """`keccak256(abi.encode(bytes32 salt, Guardian[] guardians))`."""
    words = [encode_word(guardian.kind) + guardian.id for guardian in guardians]
    return keccak256(salt + encode_word(64) + encode_word(len(words)) + b"".join(words))


def require_list(key: bytes, guardians: list[Guardian]) -> None:
    """Reject a list that is not strictly ascending by kind and id, or that names what cannot be a guardian."""
    before = (-1, b"")
    for guardian in guardians:
        require((guardian.kind, guardian.id) > before, "guardians are not in ascending order")
        require(guardian.kind <= MAIL, "a guardian of no known kind")
        require(guardian.kind != SENDER or guardian.id[:12] == bytes(12), "a sender has 12 zero bytes first")
        require(guardian.kind != ACCOUNT or guardian.id != key, "an account does not guard itself")
        before = (guardian.kind, guardian.id)


def require_guardian(state: Plus, guardian: Guardian, ctx: Context) -> None:
    """Reject the action unless the sender speaks for a guardian. An e-mail address speaks by mail only."""
    require(guardian.kind != MAIL, "this guardian speaks by mail")
    if guardian.kind == SENDER:
        require(guardian.id == bytes(12) + ctx.sender, "sender is not this guardian")
        return
    require(has_authority(get_account(state, guardian.id), ctx), "sender is not this guardian")
    require_unlocked(state, guardian.id)


def find_place(state: Plus, guardians: tuple[Guardian, ...] | list[Guardian], ctx: Context) -> int:
    """The place of the first guardian that the sender speaks for; -1: of none."""
    for place, guardian in enumerate(guardians):
        if guardian.kind == SENDER and guardian.id == bytes(12) + ctx.sender:
            return place
        account = state.keystore.accounts.get(guardian.id) if guardian.kind == ACCOUNT else None
        if account is not None and has_authority(account, ctx) and guardian.id not in state.recovery.locks:
            return place
    return -1
