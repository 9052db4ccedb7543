"""The rules over which code executes a block: that of its parent, or, in an upgrade block, the way to the announced
one.
"""

from __future__ import annotations

from collections.abc import Sequence

from microrollup.chain.record import Open
from microrollup.chain.upgrade_entry import decode_upgrade, is_upgrade_record
from microrollup.errors import DecodeError, Divergence
from microrollup.execution.entry import make_upgrade_entry
from microrollup.execution.stf import Entry
from microrollup.execution.upgrading import list_steps
from microrollup.ledger.code import OtherCode
from microrollup.ledger.ledger import Ledger
from microrollup.settlement.protocol import L1View
from microrollup.settlement.upgrades import has_taken_before, is_upgrade_due

__all__ = ["read_upgrade", "verify_code"]


def verify_code(ledger: Ledger, opened: Open, records: Sequence[bytes], l1: L1View | None, *, settled: bool) -> None:
    """The block after the ledger's last one upgrades if and only if an announced code is due, and names the right one.

    Without a view of L1 a block may upgrade to any version of the app. `settled`: L1 has settled it, and is not asked
    what it included when. Raises `Divergence`; `OtherCode` if the app does not know the code, which gives no verdict.
    """
    parent, upgrades = ledger.header, any(map(is_upgrade_record, records))
    in_force = ledger.rollup.stf_id
    if l1 is not None:
        if parent.height == 0 and l1.get_stf_id(0) != in_force:
            raise OtherCode(0, expected=l1.get_stf_id(0), found=in_force)
        announced, since = l1.get_stf_id(opened.l1_origin), l1.get_code_since(opened.l1_origin)
        due = is_upgrade_due(in_force, parent.l1_origin, announced, since)
        if due and ledger.app.find_version(announced) is None:
            raise OtherCode(opened.height, expected=announced, found=ledger.app.stf_id)
        if due != upgrades:
            expected = f"an upgrade to 0x{announced.hex()}" if due else "no upgrade"
            raise Divergence("upgrade", height=opened.height, expected=expected, found="none" if due else "an upgrade")
        if due:
            _verify_target(ledger, opened.height, records, announced)
            if not settled and not has_taken_before(l1, parent.forced_count, since):
                expected = f"all forced actions that L1 included before block {since}, under the old code"
                raise Divergence("upgrade", height=opened.height, expected=expected, found=parent.forced_count)
    if not upgrades:
        named = parent.stf_id if parent.height > 0 else in_force if l1 is not None else opened.stf_id
        if opened.stf_id != named:
            raise Divergence("stf_id", height=opened.height, expected=named, found=opened.stf_id)
        if opened.stf_id != in_force:
            raise OtherCode(opened.height, expected=opened.stf_id, found=ledger.app.stf_id)


def _verify_target(ledger: Ledger, height: int, records: Sequence[bytes], announced: bytes) -> None:
    steps = [step.record for step in list_steps(ledger.app, ledger.rollup.stf_id, announced)]
    if list(records) != steps:
        found = f"{len(records)} entries, or others"
        raise Divergence("upgrade", height=height, expected=f"{len(steps)} entries of the upgrade", found=found)


def read_upgrade(ledger: Ledger, records: Sequence[bytes]) -> list[Entry]:
    """The entries of a block that upgrades; none if it does not. Raises `Divergence`, and `OtherCode` as above."""
    if not any(map(is_upgrade_record, records)):
        return []
    height = ledger.checkpoint.height + 1
    try:
        target = decode_upgrade(records[-1]).new
    except DecodeError as error:
        expected = "upgrade entries alone"
        raise Divergence("upgrade", height=height, expected=expected, found=str(error)) from None
    if ledger.app.find_version(target) is None:
        raise OtherCode(height, expected=target, found=ledger.app.stf_id)
    _verify_target(ledger, height, records, target)
    return [make_upgrade_entry(ledger.rollup_id, height, index, record) for index, record in enumerate(records)]
