"""Who may act for an account, and that a locked account does not act: asked in this one place."""

from __future__ import annotations

from microrollup import ZERO_BYTES32, Context, Revert, replace, require
from microrollup.crypto.keccak import keccak256
from microrollup.crypto.signatures.winternitz import SCHEME as ONE_TIME

from ..accounts import Account, encode_account_leaf
from .policy import Standing
from .state import Plus

__all__ = [
    "compute_owner_hash",
    "find_standing",
    "get_account",
    "has_authority",
    "put_account",
    "put_standing",
    "require_authority",
    "require_code",
    "require_lasting",
    "require_unlocked",
]


def get_account(state: Plus, key: bytes) -> Account:
    """The account of a key. Rejects the action if there is none."""
    account = state.keystore.accounts.get(key)
    if account is None:
        raise Revert("no such account")
    return account


def has_authority(account: Account, ctx: Context) -> bool:
    """Whether the sender is the account's vk. A vk that is not a sender has no authority here."""
    return len(account.vk) == 20 and account.vk == ctx.sender


def require_unlocked(state: Plus, key: bytes) -> None:
    """Reject what a locked account would do, by whatever way it comes."""
    require(key not in state.recovery.locks, "account is locked")


def require_authority(state: Plus, key: bytes, ctx: Context) -> Account:
    """The account, if the sender may act for it now. Rejects the action otherwise."""
    account = get_account(state, key)
    require(has_authority(account, ctx), "sender is not the account's vk")
    require_unlocked(state, key)
    return account


def require_code(code_hash: bytes) -> None:
    """Reject data that would look like those of a locked account, which contracts tell by a code hash of zero."""
    require(code_hash != ZERO_BYTES32, "a code hash of zero marks a locked account")


def require_lasting(ctx: Context) -> None:
    """Reject what would leave an account to a key that signs once: this action was its only one."""
    require(ctx.scheme != ONE_TIME, "a one-time key could not act for the account again")


def put_account(state: Plus, key: bytes, account: Account) -> Plus:
    """The state with this account at its key."""
    return replace(state, keystore=replace(state.keystore, accounts=state.keystore.accounts.set(key, account)))


def compute_owner_hash(account: Account) -> bytes:
    """keccak256 of the account's 64-byte leaf value: another one after any update, lock or recovery."""
    return keccak256(encode_account_leaf(account))


def find_standing(state: Plus, key: bytes) -> Standing:
    """How an account stands with its guardians; the same for all that never had any."""
    return state.recovery.standings.get(key, Standing())


def put_standing(state: Plus, key: bytes, standing: Standing) -> Plus:
    """The state with this standing."""
    return replace(state, recovery=replace(state.recovery, standings=state.recovery.standings.set(key, standing)))
