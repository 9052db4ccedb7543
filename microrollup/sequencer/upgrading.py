"""Building an upgrade: what is due when L1 has another code in force than the newest block."""

from __future__ import annotations

from microrollup.chain.record import Open
from microrollup.execution.entry import make_upgrade_entry
from microrollup.execution.upgrading import list_steps
from microrollup.ledger.code import check_inbox
from microrollup.ledger.ledger import Ledger
from microrollup.ledger.open_block import OpenBlock
from microrollup.sequencer.opening import choose_time
from microrollup.settlement.protocol import L1Look, L1View
from microrollup.settlement.upgrades import has_taken_before, is_upgrade_due

__all__ = ["explain_refusal", "find_due_upgrade", "find_next_block", "open_upgrade"]


def find_due_upgrade(ledger: Ledger, l1: L1View, l1_origin: int) -> L1Look | None:
    """What L1 says at an origin, if a block that binds to it must upgrade; None if none is due.

    Raises `OtherCode` if the inbox was created with another code than the app's first version.
    """
    if ledger.checkpoint.height == 0:
        check_inbox(ledger.rollup, l1.get_stf_id(0))
    announced, since = l1.get_stf_id(l1_origin), l1.get_code_since(l1_origin)
    if not is_upgrade_due(ledger.rollup.stf_id, ledger.header.l1_origin, announced, since):
        return None
    return l1.look(l1_origin, ledger.checkpoint.forced_count)


def find_next_block(ledger: Ledger, l1: L1View, l1_origin: int) -> tuple[int, L1Look | None]:
    """The L1 origin of the block that comes next if an upgrade is due at `l1_origin`, and what L1 says there if that
    block upgrades; None if it is one of the code in force, which takes forced actions from before the effect.

    Where several codes were announced, such a block may itself be bound to one that has an earlier of them in force:
    that one comes first.
    """
    while (look := find_due_upgrade(ledger, l1, l1_origin)) is not None:
        if has_taken_before(l1, ledger.checkpoint.forced_count, look.code_since):
            break
        l1_origin = look.code_since - 1
    return l1_origin, look


def explain_refusal(ledger: Ledger, look: L1Look, *, consent: bool) -> str | None:
    """Why this process does not build an upgrade that is due; None if it does."""
    announced = f"L1 has the code 0x{look.stf_id.hex()} in force since block {look.code_since}"
    if ledger.app.find_version(look.stf_id) is None:
        return f"{announced}, and the app here has no such version: install it, and start `microrollup run --upgrade`"
    if not consent:
        return f"{announced}: start `microrollup run --upgrade`, which migrates the state"
    return None


def open_upgrade(ledger: Ledger, l1_origin: int, look: L1Look, now: int) -> OpenBlock:
    """Open a block that upgrades, and execute it. It is in memory only: closing it makes all of it durable at once.

    Raises `LimitExceeded` if this process has too little memory.
    """
    height = ledger.header.height + 1
    steps = list_steps(ledger.app, ledger.rollup.stf_id, look.stf_id)
    entries = [make_upgrade_entry(ledger.rollup_id, height, index, step.record) for index, step in enumerate(steps)]
    return ledger.upgrade(Open(height, choose_time(ledger, look, now), l1_origin, look.stf_id), entries)
