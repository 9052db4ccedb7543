"""The next block of a based rollup: a pure function of its parent and of L1.

    e          entry number `parent.forcedCount` of the queue; without it there is no block
    l1Origin   max(parent.l1Origin, e.inclusionBlock)
    timestamp  max(parent.timestamp, time(l1Origin))
    stfId      the code in force at the origin; a block that upgrades holds that alone
    entries    from e on, in order, those that L1 included up to the origin: at most 64, within the budgets of a block
    seal       empty

All that a block holds runs metered, and its budgets are counted, so everybody who reads L1 comes to the same header.
"""

from __future__ import annotations

from collections.abc import Sequence

from microrollup.chain.block import EMPTY_SEAL, Header
from microrollup.chain.record import Forced, Genesis, Open
from microrollup.declaration.rollup import MicroRollup
from microrollup.errors import LimitExceeded, UsageError
from microrollup.execution.entry import make_block_entry, make_forced_entry, make_upgrade_entry
from microrollup.execution.stf import LimitHit, OverBudget
from microrollup.execution.upgrading import list_steps
from microrollup.ledger.code import OtherCode, check_inbox
from microrollup.ledger.ledger import Ledger
from microrollup.limits import relaxed_limits
from microrollup.settlement.protocol import L1Look, L1View
from microrollup.settlement.upgrades import is_upgrade_due

__all__ = ["build_next_block", "refuse_exceptions", "require_based"]


def require_based(app: MicroRollup, genesis: Genesis) -> None:
    """Raise `UsageError` for the genesis of a rollup that has a builder, and for an app that answers for its own code
    where every reader of L1 has to come to the same outcome.
    """
    if not genesis.is_based:
        raise UsageError(f"{genesis.name} has a builder: it is not a based rollup")
    refuse_exceptions(app)


def refuse_exceptions(app: MicroRollup) -> None:
    """Raise `UsageError` for an app that cannot be based, since it answers for its own code."""
    for version in app.versions:
        if version.allow:
            rules = ", ".join(version.allow)
            raise UsageError(f"{app.name} allows {rules}: a based rollup takes no exceptions from the lint")


def build_next_block(ledger: Ledger, l1: L1View, newest: int) -> Header | None:
    """Execute and store the block after the ledger's last one; None if L1 has nothing for it up to its block `newest`.

    Raises `OtherCode` for code that is not here, and `LimitExceeded` if this process has too little memory or stack; on
    any error the ledger's memory is ahead of its store: abandon it.
    """
    parent, taken = ledger.header, ledger.checkpoint.forced_count
    first = l1.get_forced_entries(taken, newest, 1)
    if not first:
        return None
    if parent.height == 0:
        check_inbox(ledger.rollup, l1.get_stf_id(0))
    look = l1.look(max(parent.l1_origin, first[0].inclusion_block), taken)
    height, timestamp = parent.height + 1, max(parent.timestamp, look.time)
    l1_origin = max(parent.l1_origin, first[0].inclusion_block)
    with relaxed_limits():
        try:
            if is_upgrade_due(ledger.rollup.stf_id, parent.l1_origin, look.stf_id, look.code_since):
                _upgrade(ledger, Open(height, timestamp, l1_origin, look.stf_id), look)
            else:
                ledger.begin(Open(height, timestamp, l1_origin, ledger.rollup.stf_id))
                _fill(ledger, look.forced)
        except LimitHit as hit:
            raise LimitExceeded(f"block {height}: {hit}") from None
        return ledger.finish(ledger.compute_header(), EMPTY_SEAL)


def _upgrade(ledger: Ledger, opened: Open, look: L1Look) -> None:
    if ledger.app.find_version(look.stf_id) is None:
        raise OtherCode(opened.height, expected=look.stf_id, found=ledger.app.stf_id)
    steps = list_steps(ledger.app, ledger.rollup.stf_id, look.stf_id)
    entries = [
        make_upgrade_entry(ledger.rollup_id, opened.height, index, step.record) for index, step in enumerate(steps)
    ]
    ledger.upgrade(opened, entries)


def _fill(ledger: Ledger, forced: Sequence[Forced]) -> None:
    """Execute entries until one exceeds what is left of the block: that one opens the next. The first is taken in any
    case; alone it has faulted where it exceeds the whole block.
    """
    block = ledger.block
    if block is None:
        raise UsageError("no block is open")
    block.context.rebuilt = True
    if ledger.rollup.on_block is not None:
        ledger.execute([make_block_entry(ledger.rollup_id, block.open.height)])
    for each in forced:  # one by one: what does not fit is neither opened nor authenticated in vain
        entry = make_forced_entry(ledger.rollup, ledger.rollup_id, each, ledger.authenticator, twice=ledger.twice)
        try:
            ledger.execute([entry])
        except OverBudget:
            return
        block.context.rebuilt = False
