"""The rules over what L1 says: its clock, the queue of forced actions, the owner's announcements.

Two readers, two sets of rules. A block that is not settled is held to all of them (`verify_l1_rules`). A settled one is
held to what its header or the inbox fixes (`read_settled_builder`): a reorg of L1 may change the time of a block and
the number of due actions after a quorum attested, and nothing that the inbox took may become underivable by it.
"""

from __future__ import annotations

from collections.abc import Sequence

from microrollup.chain.block import Block
from microrollup.chain.block_entry import BLOCK_RECORD
from microrollup.chain.record import Forced, Open
from microrollup.chain.upgrade_entry import is_upgrade_record
from microrollup.errors import Divergence, MicrorollupError
from microrollup.execution.entry import decode_forced, is_forced_record
from microrollup.ledger.ledger import Ledger
from microrollup.primitives import MAX_CLOCK_LEAD_SECONDS
from microrollup.settlement.errors import BadOrigin
from microrollup.settlement.forced import take_entry
from microrollup.settlement.protocol import L1Look, L1View

__all__ = [
    "NotJudgedYet",
    "read_settled_builder",
    "require_judgeable",
    "verify_block_on_l1",
    "verify_l1_rules",
    "verify_open_block_on_l1",
]


class NotJudgedYet(MicrorollupError):
    """A block is bound to an L1 block that has too few others on top: no verdict on the block, until it has more."""

    def __init__(self, height: int, l1_origin: int, newest: int) -> None:
        super().__init__(
            f"block {height} is not judged yet: it is bound to L1 block {l1_origin}, and this view of L1 judges what is"
            f" bound to {newest} or earlier"
        )
        self.height, self.l1_origin, self.newest = height, l1_origin, newest


def require_judgeable(block: Block, l1: L1View) -> None:
    """Raise `NotJudgedYet` for a block that is bound to an L1 block above `get_origin()`.

    L1 may replace that one, and with it what is due and what time it is; that it lacks blocks on top is not the
    builder's fault.
    """
    newest = l1.get_origin()
    if block.open.l1_origin > newest:
        raise NotJudgedYet(block.open.height, block.open.l1_origin, newest)


def verify_block_on_l1(block: Block, l1: L1View) -> None:
    """The rules that depend on L1 alone, for a block that was right: it may not be any more, after a reorg of L1.

    Raises `Divergence`.
    """
    header, records = block.header, block.records
    _verify_records_on_l1(block.open, records, len(records), header.forced_count, header.first_seq, l1)


def verify_open_block_on_l1(ledger: Ledger, l1: L1View) -> None:
    """The same for the ledger's open block, if there is one. Raises `Divergence`."""
    block = ledger.block
    if block is not None:
        taken, first_seq = block.forced_count, ledger.checkpoint.next_seq
        _verify_records_on_l1(block.open, block.records, block.given_count, taken, first_seq, l1)


def _verify_records_on_l1(
    opened: Open, records: Sequence[bytes], count: int, forced_count: int, first_seq: int, l1: L1View
) -> None:
    """`count` of the records are the block's own; the others were taken of carriers."""
    forced = [decode_forced(record) for record in records if is_forced_record(record)]
    begin, taken = records[:1].count(BLOCK_RECORD), forced_count - len(forced)
    upgrades = any(map(is_upgrade_record, records))
    signed = not upgrades and count > begin + len(forced)
    verify_l1_rules(opened, forced, signed=signed, taken=taken, first_seq=first_seq + begin, l1=l1)


def verify_l1_rules(
    opened: Open, forced: Sequence[Forced], *, signed: bool, taken: int, first_seq: int, l1: L1View
) -> L1Look:
    """The block is bound to a past L1 block, keeps to its time, and opens with what is due there.

    `forced` are the queue's entries that it opens with, after the `taken` ones of earlier blocks; `first_seq` is the
    place of the first of them. A block without `signed` entries may take fewer than are due: those that fit it, which
    execution shows. Raises `Divergence`.
    """
    try:
        look = l1.look(opened.l1_origin, taken)
    except BadOrigin as error:
        wanted = f"{error.highest} or earlier"
        raise Divergence("l1_origin", height=opened.height, expected=wanted, found=opened.l1_origin) from None
    _verify_time(opened, look.time)
    due = look.forced
    if len(forced) > len(due) or (signed and len(forced) < len(due)):
        raise Divergence("forced_count", height=opened.height, expected=taken + len(due), found=taken + len(forced))
    _verify_entries(opened.height, due, forced, first_seq)
    return look


def read_settled_builder(opened: Open, forced: Sequence[Forced], *, taken: int, first_seq: int, l1: L1View) -> bytes:
    """The 20-byte address that must have sealed a settled block, whose forced actions must be the queue's.

    The header fixes these through `forcedHash`; the inbox has checked how many of them a batch takes. Voids, builders
    and code count from announcements that are hundreds of L1 blocks old when they take effect. Raises `Divergence`.
    """
    entries = l1.get_forced_entries(taken, l1.get_number(), len(forced))
    if len(entries) < len(forced):
        found = taken + len(forced)
        raise Divergence("forced_count", height=opened.height, expected=taken + len(entries), found=found)
    voided = [l1.is_voided(entry.index, opened.l1_origin) for entry in entries]
    expected = [take_entry(entry, voided=void) for entry, void in zip(entries, voided, strict=True)]
    _verify_entries(opened.height, expected, forced, first_seq)
    return l1.get_builder(opened.l1_origin)


def _verify_time(opened: Open, origin_time: int) -> None:
    """A builder that may choose any earlier time could keep every delay of an app from ever ending."""
    latest = origin_time + MAX_CLOCK_LEAD_SECONDS
    if not origin_time <= opened.timestamp <= latest:
        wanted = f"{origin_time} or later" if opened.timestamp < origin_time else f"{latest} or earlier"
        raise Divergence("timestamp", height=opened.height, expected=wanted, found=opened.timestamp)


def _verify_entries(height: int, expected: Sequence[Forced], found: Sequence[Forced], first_seq: int) -> None:
    """Entry for entry, as far as the shorter list goes."""
    for position, (ours, theirs) in enumerate(zip(expected, found, strict=False)):
        if ours != theirs:
            raise Divergence("forced", height=height, seq=first_seq + position, expected=ours, found=theirs)
