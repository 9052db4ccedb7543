"""What a transaction would do after a closed block: executed on its state, and thrown away."""

from __future__ import annotations

from typing import Any

from microrollup import ZERO_ADDRESS, Context, NodeView, Revert
from microrollup.codec.document import to_document

from ...plus.axiom import axiom_update, axiom_withdraw
from ...plus.state import Plus
from ..envelope import AxiomEnvelope, AxiomUpdate, AxiomWithdraw
from ..transactions import compute_withdrawal_hash
from .lookups import ENVELOPE, describe_state_of
from .shapes import CallResult, show_quantity

__all__ = ["simulate"]


def simulate(node: NodeView, raw: bytes, height: int) -> CallResult:
    """Execute a transaction after the block at a height, as if it came in the next one at the same second.

    One that says it began on L1 is executed as if the bridge had forced it.
    """
    view = node.view(height)
    before: Plus = view.state
    try:
        action = AxiomEnvelope().open(raw).action
        if not isinstance(action, (AxiomUpdate, AxiomWithdraw)):
            return CallResult(success=False)
        bridge = before.config.bridge if action.l1_initiated else ZERO_ADDRESS
        ctx = Context(
            sender=ZERO_ADDRESS,
            height=view.height + 1,
            timestamp=view.timestamp,
            origin=ENVELOPE,
            rollup_id=node.rollup_id,
            forced=action.l1_initiated,
            l1_sender=bridge,
            events=[],
        )
        if isinstance(action, AxiomUpdate):
            after = axiom_update(before, action, ctx)
        else:
            after = axiom_withdraw(before, action, ctx)
    except Revert:
        return CallResult(success=False)
    transitions = {"user": _compare(action.user.key, before, after)}
    if isinstance(action, AxiomUpdate):
        for sponsor in action.sponsors:
            transitions["sponsor"] = _compare(sponsor.key, before, after)
        return CallResult(success=True, state_transitions=transitions)
    hash_ = compute_withdrawal_hash(action.user.key, action.number)
    to = {"address": f"0x{action.to.hex()}", "amount": show_quantity(action.amount)}
    return CallResult(True, transitions, {"hash": f"0x{hash_.hex()}", "from": None, "to": to})


def _compare(key: bytes, before: Plus, after: Plus) -> dict[str, Any]:
    """What changes of an account: nonce, balance and state, each from and to."""
    transitions: dict[str, Any] = {}
    nonces = [state.vault.axiom_nonces.get(key, 0) for state in (before, after)]
    balances = [state.vault.balances.get(key, 0) for state in (before, after)]
    for name, values in (("nonce", nonces), ("balance", balances)):
        if values[0] != values[1]:
            transitions[name] = {"from": show_quantity(values[0]), "to": show_quantity(values[1])}
    accounts = [state.keystore.accounts.get(key) for state in (before, after)]
    if accounts[0] != accounts[1]:
        shown = [to_document(describe_state_of(account)) for account in accounts]
        transitions["state"] = {"from": shown[0], "to": shown[1]}
    return {"keystoreAddress": f"0x{key.hex()}", "transitions": transitions}
