"""What a node refuses before it executes it: actions that nobody would pay for, where actions have a price, and those
that would use up a key that signs once for nothing.

A rejected action pays nothing, since its fee is rejected with it. So a node asks first whether the sender may act for
the account that pays, and whether that account or a sponsor can; and of an action that is free, whether it would be
executed, because keys without an account could otherwise fill the log. It is not a rule of the rollup: a block that
holds such an action is right, and what L1 accounts force is not asked.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from microrollup import ZERO_BYTES32, Action, Context, Revert
from microrollup.crypto.signatures.winternitz import SCHEME as ONE_TIME

from ..transitions import Update
from .acting import begin
from .exits import SetExit
from .fees import Sponsor
from .naming import SetText
from .orders import Fill, OpenOrder
from .outbox import Intend, SetDelegate
from .rollup import app
from .spending import PermitSpending, SetSpendingRule, find_permitter, find_rule_author
from .state import Plus
from .updates import update_account
from .vault import Transfer, Withdraw

__all__ = ["admit"]

_PAYERS: Final[dict[type[Action], Callable[[Plus, Any, Context], bytes]]] = {
    Transfer: lambda _state, action, _ctx: action.from_key,
    Withdraw: lambda _state, action, _ctx: action.from_key,
    SetExit: lambda _state, action, _ctx: action.key,
    Sponsor: lambda _state, action, _ctx: action.sponsor_key,
    SetSpendingRule: find_rule_author,
    PermitSpending: find_permitter,
    Intend: lambda _state, action, _ctx: action.key,
    SetDelegate: lambda _state, action, _ctx: action.key,
    Fill: lambda _state, action, _ctx: action.filler_key,
    OpenOrder: lambda _state, action, _ctx: action.key,
    SetText: lambda _state, action, _ctx: action.key,
}
"""Whose authority and fee an action asks for first. What is not here is free, or pays as its function says."""


def admit(state: Plus, action: Action, ctx: Context) -> None:
    """Reject an action for which nobody can pay, one of a sender who may not act for the account that pays, and one
    that is free and would be rejected; of a key that signs once, everything but an update that will be executed.
    """
    if ctx.scheme == ONE_TIME:
        if not isinstance(action, Update):
            raise Revert("a one-time key only updates an account")
        update_account(state, action, ctx)
        return
    if not state.fees.prices or state.vault.frozen or state.config.collector == ZERO_BYTES32:
        return
    find_payer = _PAYERS.get(type(action))
    if find_payer is not None:
        begin(state, find_payer(state, action, ctx), ctx)
    else:
        app.stf_by_action[type(action)](state, action, ctx)
