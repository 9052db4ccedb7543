"""Who may take an account's money if the vault freezes."""

from __future__ import annotations

from typing import Final

from microrollup import ZERO_ADDRESS, Action, Address, Bytes32, Context, Event, Uint64, replace

from .acting import begin
from .clock import DAY, add_seconds
from .state import Exit, Plus

__all__ = ["EXIT_DELAY", "ExitSet", "SetExit", "set_exit"]

EXIT_DELAY: Final = 2 * DAY


class SetExit(Action, frozen=True):
    """Name the address that escapes with the account's money: for signatures that no contract on L1 can check."""

    key: Bytes32
    exit: Address
    """Zero: nobody."""


class ExitSet(Event, frozen=True):
    """An account has another exit soon."""

    key: Bytes32
    exit: Address
    effective: Uint64


def set_exit(state: Plus, action: SetExit, ctx: Context) -> Plus:
    """It counts two days later; until then the one before does."""
    state = begin(state, action.key, ctx)
    before = state.exits.exits.get(action.key, Exit(ZERO_ADDRESS, ZERO_ADDRESS, 0))
    previous = before.next if ctx.timestamp >= before.effective else before.previous
    after = Exit(previous, action.exit, add_seconds(ctx, EXIT_DELAY))
    ctx.emit(ExitSet(action.key, action.exit, after.effective))
    return replace(state, exits=replace(state.exits, exits=state.exits.exits.set(action.key, after)))
