"""What can be asked of the subscriptions' second version."""

from __future__ import annotations

from microrollup import Address, Index, IndexBlock, Uint64, Uint128, View
from trial_subs_v2 import Paid, Subs


def by_payer(block: IndexBlock[Subs], rows: Index[tuple[Address, Uint64], Uint64]) -> None:
    """(payer, plan) -> payments."""
    for change in block.changes(block.state.plans):
        if change.new is not None:
            rows.put((change.new.payer, change.key), change.new.payments)


def paid(block: IndexBlock[Subs], rows: Index[tuple[Uint64, Uint64], Uint128]) -> None:
    """(plan, sequence number) -> wei, since the version is in force."""
    for receipt in block.receipts:
        for event in receipt.events:
            if isinstance(event, Paid):
                rows.put((event.plan, receipt.seq), event.wei)


def plans_of(view: View[Subs], payer: Address) -> list[tuple[Uint64, Uint64]]:
    """(plan, payments) of a payer."""
    return [(number, payments) for (_, number), payments in view.index(by_payer).items(prefix=(payer,))]


def income(view: View[Subs], plan: Uint64) -> Uint128:
    """Wei that a plan has brought."""
    return sum(view.index(paid).values(prefix=(plan,)))
