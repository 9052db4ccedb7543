"""What an account allows on other chains: one operation without a signature there, or a second configuration."""

from __future__ import annotations

from typing import Final

from microrollup import ZERO_BYTES32, Action, Address, Bytes32, Context, Event, Uint16, Uint64, replace, require

from .acting import begin
from .authority import compute_owner_hash, get_account
from .clock import DAY, add_seconds
from .state import Intent, KeyDelegate, Plus

__all__ = [
    "MAX_INTENT_TIME",
    "SLOTS",
    "DelegateSet",
    "Intend",
    "Intended",
    "SetDelegate",
    "intend",
    "set_delegate",
]

SLOTS: Final = 1_024
"""Intents of one account; a slot is written again."""
MAX_INTENT_TIME: Final = DAY
_MAX_TIME: Final = 2**48 - 1
"""ERC-4337 counts seconds in 48 bits."""


class Intend(Action, frozen=True):
    """Let one user operation pass on one chain."""

    key: Bytes32
    slot: Uint16
    chain_id: Uint64
    account: Address
    """The contract on that chain."""
    user_op_hash: Bytes32
    valid_until: Uint64
    """At most a day from now."""


class SetDelegate(Action, frozen=True):
    """Let a second configuration open the account on a chain, or none."""

    key: Bytes32
    chain_id: Uint64
    """0: every chain without an entry of its own."""
    code_hash: Bytes32
    """Zero: nobody, there."""
    config_hash: Bytes32
    valid_until: Uint64


class Intended(Event, frozen=True):
    """An operation may pass, once the root is known there."""

    key: Bytes32
    slot: Uint16
    user_op_hash: Bytes32


class DelegateSet(Event, frozen=True):
    """Another configuration, or none, opens the account there."""

    key: Bytes32
    chain_id: Uint64
    code_hash: Bytes32


def intend(state: Plus, action: Intend, ctx: Context) -> Plus:
    """The tree is the outbox. What the slot held before is gone with the next root."""
    state = begin(state, action.key, ctx)
    require(action.slot < SLOTS, "a slot is 0 to 1023")
    require(action.chain_id > 0, "no chain has the id 0")
    require(ctx.timestamp < action.valid_until <= add_seconds(ctx, MAX_INTENT_TIME), "an intent lasts a day at most")
    require(action.valid_until <= _MAX_TIME, "a time has 48 bits there")
    intent = Intent(
        action.chain_id,
        action.account,
        action.user_op_hash,
        ctx.timestamp,
        action.valid_until,
        compute_owner_hash(get_account(state, action.key)),
    )
    ctx.emit(Intended(action.key, action.slot, action.user_op_hash))
    intents = state.outbox.intents.set((action.key, action.slot), intent)
    return replace(state, outbox=replace(state.outbox, intents=intents))


def set_delegate(state: Plus, action: SetDelegate, ctx: Context) -> Plus:
    """It ends at its time, and with any change of the account."""
    state = begin(state, action.key, ctx)
    if action.code_hash != ZERO_BYTES32:
        require(ctx.timestamp < action.valid_until <= _MAX_TIME, "a delegate ends later than now, in 48 bits")
    owner_hash = compute_owner_hash(get_account(state, action.key))
    delegate = KeyDelegate(action.code_hash, action.config_hash, action.valid_until, owner_hash)
    delegates = state.outbox.delegates.set((action.key, action.chain_id), delegate)
    ctx.emit(DelegateSet(action.key, action.chain_id, action.code_hash))
    return replace(state, outbox=replace(state.outbox, delegates=delegates))
