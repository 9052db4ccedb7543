"""How an account comes to be and changes: registered, updated, accepted. The change itself is made in one place."""

from __future__ import annotations

from microrollup import Action, Bytes32, Context, Event, Revert, Uint64, replace, require

from ..accounts import Account, Keystore, is_known_vk
from ..transitions import Register, Update, Updated, register
from .authority import (
    find_standing,
    put_account,
    put_standing,
    require_authority,
    require_code,
    require_lasting,
    require_unlocked,
)
from .clock import DAY, MAX_TIME, add_seconds
from .pending import drop_pending
from .state import PendingUpdate, Plus

__all__ = [
    "CAREFUL_DELAY",
    "AcceptUpdate",
    "CarefulSet",
    "SetCareful",
    "UpdateAnnounced",
    "accept_update",
    "change_account",
    "register_account",
    "set_careful",
    "succeed",
    "update_account",
]

CAREFUL_DELAY = 2 * DAY
"""Until an account that was careful no longer is."""


class AcceptUpdate(Action, frozen=True):
    """The next vk of a careful account takes it."""

    key: Bytes32


class SetCareful(Action, frozen=True):
    """Let updates wait until the next vk accepts them, so that none goes to a key that nobody has."""

    key: Bytes32
    careful: bool


class UpdateAnnounced(Event, frozen=True):
    """A careful account waits for its next vk."""

    key: Bytes32


class CarefulSet(Event, frozen=True):
    """An account is careful until this second; 2^64 - 1: for good."""

    key: Bytes32
    until: Uint64


def register_account(state: Plus, action: Register, ctx: Context) -> Plus:
    """As in the keystore without more, but for data that would look locked."""
    require_code(action.code_hash)
    require_lasting(ctx)
    keystore: Keystore = register(state.keystore, action, ctx)
    return replace(state, keystore=keystore)


def update_account(state: Plus, action: Update, ctx: Context) -> Plus:
    """Replace what is authoritative, at once; of a careful account, once the next vk accepts."""
    require_authority(state, action.key, ctx)
    require(is_known_vk(action.vk), "vk of no known kind")
    require_code(action.code_hash)
    return change_account(state, action.key, Account(action.code_hash + action.config_hash, action.vk), ctx)


def change_account(state: Plus, key: bytes, account: Account, ctx: Context) -> Plus:
    """What the present authority wants its account to be, at once; of a careful account, once the next vk accepts.

    Only a sender can accept: another vk is refused there.
    """
    if ctx.timestamp >= state.recovery.careful.get(key, 0):
        return succeed(state, key, account, ctx)
    require(is_known_vk(account.vk), "the next vk of a careful account is a sender")
    pending = PendingUpdate(account.data[:32], account.data[32:], account.vk)
    ctx.emit(UpdateAnnounced(key))
    return replace(state, recovery=replace(state.recovery, updates=state.recovery.updates.set(key, pending)))


def accept_update(state: Plus, action: AcceptUpdate, ctx: Context) -> Plus:
    """The update that waits is executed."""
    pending = state.recovery.updates.get(action.key)
    if pending is None:
        raise Revert("no update waits")
    require(pending.vk == ctx.sender, "sender is not the next vk")
    require_lasting(ctx)
    return succeed(state, action.key, Account(pending.code_hash + pending.config_hash, pending.vk), ctx)


def set_careful(state: Plus, action: SetCareful, ctx: Context) -> Plus:
    """On at once, off two days later: so a thief cannot turn it off and be gone."""
    require_authority(state, action.key, ctx)
    before = state.recovery.careful.get(action.key, 0)
    if action.careful:
        until = MAX_TIME
    else:
        require(ctx.timestamp < before, "account is not careful")
        until = min(before, add_seconds(ctx, CAREFUL_DELAY))
    ctx.emit(CarefulSet(action.key, until))
    careful = state.recovery.careful.set(action.key, until)
    return replace(state, recovery=replace(state.recovery, careful=careful))


def succeed(state: Plus, key: bytes, account: Account, ctx: Context) -> Plus:
    """The one place where an account that exists becomes another: by an update or by a recovery.

    Whatever its former authority had under way falls. Rejects the action if the account is locked.
    """
    require_unlocked(state, key)
    before = state.keystore.accounts[key]
    state = drop_pending(state, key, ctx.timestamp, before.vk == account.vk)
    standing = find_standing(state, key)
    state = put_standing(state, key, replace(standing, epoch=standing.epoch + 1))
    ctx.emit(Updated(key))
    return put_account(state, key, account)
