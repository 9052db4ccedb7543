"""`verify_block`: the rules that make a block right, in the order in which they are checked.

`derive_block` is the same for a block that comes without a header, as L1 and DA give it.

Every rule that fails raises `Divergence` with the name of the header field, or of the part of the block, that is wrong.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

from microrollup.authentication import Authenticated
from microrollup.authentication_pool import Outcome
from microrollup.block import Block, Header, compute_block_hash
from microrollup.closing import Closing
from microrollup.crypto import canonicalize_signature, recover_address
from microrollup.entry import decode_forced, is_forced_record, make_forced_entry, make_signed_entry
from microrollup.errors import DecodeError, Divergence, LimitExceeded, RefusedError
from microrollup.ledger import Ledger
from microrollup.limits import BLOCK_SECONDS, VERIFIER_FACTOR
from microrollup.primitives import (
    MAX_BLOCK_ACTIONS,
    MAX_BLOCK_RECORD_BYTES,
    MAX_CLOCK_LEAD_SECONDS,
    MAX_FORCED_PER_BLOCK,
)
from microrollup.record import Forced, Open, Seal
from microrollup.settlement.batch import BatchBlock
from microrollup.settlement.protocol import L1View
from microrollup.stf import Entry, LimitHit, NonceMismatch

__all__ = [
    "UNCHECKED_WITHOUT_L1",
    "derive_block",
    "verify_block",
    "verify_block_on_l1",
    "verify_header",
    "verify_open_block_on_l1",
]

UNCHECKED_WITHOUT_L1: Final = ("dueForcedActions", "voidedForcedActions", "l1Time", "builder")
"""What cannot be checked from blocks alone; a verifier that lacks an L1 view says so and never signs."""

_ENTRIES_BETWEEN_LOOKS: Final = 500


def verify_block(
    ledger: Ledger,
    block: Block,
    l1: L1View | None,
    outcomes: Sequence[Outcome],
    *,
    limit_seconds: float = BLOCK_SECONDS * VERIFIER_FACTOR,
) -> Header:
    """Re-execute the block behind the ledger's last one, compare everything, and store it.

    `ledger` holds parent and pre-state; `outcomes` are those of authenticating each signed record, in order. Raises
    `Divergence` naming the first difference, and `LimitExceeded` if a limit of this verifier is hit, which says nothing
    about the block. On an error the ledger's memory is ahead of its store: abandon it.
    """
    _verify_links(ledger, block)
    closing = _execute_block(ledger, block, l1, outcomes, limit_seconds)
    verify_header(closing.header, block.header)
    _verify_seal(ledger, closing.header, block.seal, l1)
    return ledger.finish(closing, block.seal)


def derive_block(
    ledger: Ledger,
    block: BatchBlock,
    l1: L1View,
    outcomes: Sequence[Outcome],
    settled: Header | None,
    *,
    limit_seconds: float = BLOCK_SECONDS * VERIFIER_FACTOR,
) -> Header:
    """Execute a block as a batch carries it behind the ledger's last one, compute its header, and store both.

    `settled` is the header that L1 settled at this height, if the block is its batch's last: the one computed must be
    the same, word for word. For the others the seal vouches, and the parent hash of the next. Raises as `verify_block`.
    """
    closing = _execute_block(ledger, block, l1, outcomes, limit_seconds)
    if settled is not None:
        verify_header(closing.header, settled)
    _verify_seal(ledger, closing.header, block.seal, l1)
    return ledger.finish(closing, block.seal)


def _execute_block(
    ledger: Ledger, block: Block | BatchBlock, l1: L1View | None, outcomes: Sequence[Outcome], limit_seconds: float
) -> Closing:
    """Check and execute all that a block holds beside its header and its seal."""
    height = ledger.checkpoint.height + 1
    _verify_opening(ledger, block)
    entries = _read_entries(ledger, block.records, outcomes)
    forced = [decode_forced(entry.record) for entry in entries if entry.nonce < 0]
    if l1 is not None:
        _verify_l1_rules(block.open, forced, ledger.checkpoint.forced_count, ledger.checkpoint.next_seq, l1)
    ledger.begin(block.open)
    deadline = time.monotonic() + limit_seconds
    try:
        for first in range(0, len(entries), _ENTRIES_BETWEEN_LOOKS):
            if time.monotonic() > deadline:
                raise LimitExceeded(f"block {height} takes longer than {limit_seconds:g} s to execute")
            ledger.execute(entries[first : first + _ENTRIES_BETWEEN_LOOKS])
    except NonceMismatch as mismatch:
        raise Divergence(
            "nonce", height=height, seq=mismatch.seq, expected=mismatch.expected, found=mismatch.found
        ) from None
    except LimitHit as hit:
        raise LimitExceeded(f"block {height}: {hit}") from None
    return ledger.compute_header()


def _require(ledger: Ledger, field: str, expected: object, found: object, holds: bool | None = None) -> None:
    if not (expected == found if holds is None else holds):
        raise Divergence(field, height=ledger.checkpoint.height + 1, expected=expected, found=found)


def _verify_links(ledger: Ledger, block: Block) -> None:
    """The header must stand behind the last one and speak of what comes with it."""
    header = block.header
    _require(ledger, "rollup_id", ledger.rollup_id, header.rollup_id)
    _require(ledger, "height", ledger.checkpoint.height + 1, header.height)
    _require(ledger, "parent_hash", ledger.checkpoint.block_hash, header.parent_hash)
    for field in Open.__struct_fields__:
        _require(ledger, field, getattr(block.open, field), getattr(header, field))
    _require(ledger, "first_seq", ledger.checkpoint.next_seq, header.first_seq)
    _require(ledger, "action_count", len(block.records), header.action_count)


def _verify_opening(ledger: Ledger, block: Block | BatchBlock) -> None:
    """What must hold before anything is executed."""
    parent, opened = ledger.header, block.open
    _require(ledger, "height", ledger.checkpoint.height + 1, opened.height)
    _require(ledger, "stf_id", ledger.rollup.stf_id, opened.stf_id)
    timestamp, origin = opened.timestamp, opened.l1_origin
    _require(ledger, "timestamp", f"{parent.timestamp} or later", timestamp, timestamp >= parent.timestamp)
    _require(ledger, "l1_origin", f"{parent.l1_origin} or later", origin, origin >= parent.l1_origin)
    count, size = len(block.records), sum(map(len, block.records))
    _require(ledger, "action_count", f"at most {MAX_BLOCK_ACTIONS}", count, count <= MAX_BLOCK_ACTIONS)
    _require(ledger, "records", f"at most {MAX_BLOCK_RECORD_BYTES} bytes", size, size <= MAX_BLOCK_RECORD_BYTES)


def _read_entries(ledger: Ledger, records: Sequence[bytes], outcomes: Sequence[Outcome]) -> list[Entry]:
    """All entries, signatures checked: forced ones first, in the queue's order, at most 64."""
    height, first_seq = ledger.checkpoint.height + 1, ledger.checkpoint.next_seq
    entries: list[Entry] = []
    forced_records = [(position, record) for position, record in enumerate(records) if is_forced_record(record)]
    if len(outcomes) != len(records) - len(forced_records):
        raise ValueError("one outcome a signed record is needed")
    for position, record in forced_records:
        seq, expected = first_seq + position, ledger.checkpoint.forced_count + position
        try:
            forced = decode_forced(record)
        except DecodeError as error:
            raise Divergence(
                "record", height=height, seq=seq, expected="a canonical record", found=str(error)
            ) from None
        if position != len(entries) or position >= MAX_FORCED_PER_BLOCK or forced.index != expected:
            wanted = f"forced action {expected}, before all signed ones"
            raise Divergence("forced", height=height, seq=seq, expected=wanted, found=f"forced action {forced.index}")
        entries.append(make_forced_entry(ledger.rollup, ledger.rollup_id, forced))
    first_signed = first_seq + len(entries)
    for position, outcome in enumerate(outcomes):
        if not isinstance(outcome, Authenticated):
            raise Divergence(
                "record" if isinstance(outcome, DecodeError) else "signature",
                height=height,
                seq=first_signed + position,
                expected="an action that its sender signed",
                found=str(outcome),
            )
        entries.append(make_signed_entry(ledger.rollup, outcome))
    return entries


def verify_block_on_l1(block: Block, l1: L1View) -> None:
    """The rules that depend on L1 alone, for a block that was right: it may not be any more, after a reorg of L1.

    Raises `Divergence`.
    """
    forced = [decode_forced(record) for record in block.records if is_forced_record(record)]
    _verify_l1_rules(block.open, forced, block.header.forced_count - len(forced), block.header.first_seq, l1)


def verify_open_block_on_l1(ledger: Ledger, l1: L1View) -> None:
    """The same for the ledger's open block, if there is one. Raises `Divergence`."""
    block = ledger.block
    if block is not None:
        forced = [decode_forced(record) for record in block.records if is_forced_record(record)]
        _verify_l1_rules(block.open, forced, ledger.checkpoint.forced_count, ledger.checkpoint.next_seq, l1)


def _verify_l1_rules(opened: Open, forced: list[Forced], taken: int, first_seq: int, l1: L1View) -> None:
    """The block is bound to a past L1 block and opens with what is due there, exactly as the inbox holds it."""
    current = l1.get_number()
    if opened.l1_origin >= current:
        raise Divergence("l1_origin", height=opened.height, expected=f"below {current}", found=opened.l1_origin)
    latest = l1.get_time(opened.l1_origin) + MAX_CLOCK_LEAD_SECONDS
    if opened.timestamp > latest:
        raise Divergence("timestamp", height=opened.height, expected=f"{latest} or earlier", found=opened.timestamp)
    due = l1.get_forced_entries(taken, opened.l1_origin, MAX_FORCED_PER_BLOCK)
    if len(forced) != len(due):
        raise Divergence("forced_count", height=opened.height, expected=taken + len(due), found=taken + len(forced))
    for position, (entry, found) in enumerate(zip(due, forced, strict=True)):
        voided = l1.is_voided(entry.index, opened.l1_origin)
        expected = Forced(entry.index, entry.sender, entry.inclusion_block, entry.payload, voided)
        if found != expected:
            raise Divergence("forced", height=opened.height, seq=first_seq + position, expected=expected, found=found)


def verify_header(expected: Header, found: Header) -> None:
    """Every word of a header must be the one that was computed here. Raises `Divergence` with the first other one."""
    for field in Header.__struct_fields__:
        ours, theirs = getattr(expected, field), getattr(found, field)
        if ours != theirs:
            raise Divergence(field, height=expected.height, expected=ours, found=theirs)


def _verify_seal(ledger: Ledger, header: Header, seal: Seal, l1: L1View | None) -> None:
    """The seal must be the builder's, in the one form that builders write (low s, v 27 or 28).

    Without an L1 view only the genesis's builder is known.
    """
    signature = seal.signature
    builder = ledger.genesis.builder if l1 is None else l1.get_builder(header.l1_origin)
    try:
        canonical = canonicalize_signature(signature)
        found: object = recover_address(compute_block_hash(header), canonical) if signature[64] >= 27 else "v below 27"
    except RefusedError as error:
        found = str(error)
    if found != builder:
        raise Divergence("seal", height=header.height, expected=builder, found=found)
