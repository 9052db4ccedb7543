"""`verify_block`: the rules that make a block right, in the order in which they are checked.

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
from microrollup.record import Forced, Open
from microrollup.settlement.protocol import L1View
from microrollup.stf import Entry, LimitHit, NonceMismatch

__all__ = ["UNCHECKED_WITHOUT_L1", "verify_block"]

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
    _verify_opening(ledger, block, l1)
    entries = _read_entries(ledger, block, outcomes)
    forced = [decode_forced(entry.record) for entry in entries if entry.nonce < 0]
    if l1 is not None:
        _verify_forced(ledger, block, forced, l1)
    ledger.begin(block.open)
    deadline = time.monotonic() + limit_seconds
    try:
        for first in range(0, len(entries), _ENTRIES_BETWEEN_LOOKS):
            if time.monotonic() > deadline:
                raise LimitExceeded(f"block {block.header.height} takes longer than {limit_seconds:g} s to execute")
            ledger.execute(entries[first : first + _ENTRIES_BETWEEN_LOOKS])
    except NonceMismatch as mismatch:
        raise Divergence(
            "nonce", height=block.header.height, seq=mismatch.seq, expected=mismatch.expected, found=mismatch.found
        ) from None
    except LimitHit as hit:
        raise LimitExceeded(f"block {block.header.height}: {hit}") from None
    closing = ledger.compute_header()
    _verify_header(closing, block)
    _verify_seal(ledger, block, l1)
    return ledger.finish(closing, block.seal)


def _verify_opening(ledger: Ledger, block: Block, l1: L1View | None) -> None:
    """What must hold before anything is executed."""
    parent, header, opened = ledger.header, block.header, block.open
    height = ledger.checkpoint.height + 1

    def require(field: str, expected: object, found: object, holds: bool | None = None) -> None:
        if not (expected == found if holds is None else holds):
            raise Divergence(field, height=height, expected=expected, found=found)

    require("rollup_id", ledger.rollup_id, header.rollup_id)
    require("height", height, header.height)
    require("parent_hash", ledger.checkpoint.block_hash, header.parent_hash)
    require("stf_id", ledger.rollup.stf_id, header.stf_id)
    for field in Open.__struct_fields__:
        require(field, getattr(opened, field), getattr(header, field))
    earliest = parent.timestamp
    require("timestamp", f"{earliest} or later", header.timestamp, header.timestamp >= earliest)
    require("l1_origin", f"{parent.l1_origin} or later", header.l1_origin, header.l1_origin >= parent.l1_origin)
    if l1 is not None:
        current = l1.get_number()
        require("l1_origin", f"below {current}", header.l1_origin, header.l1_origin < current)
        latest = l1.get_time(header.l1_origin) + MAX_CLOCK_LEAD_SECONDS
        require("timestamp", f"{latest} or earlier", header.timestamp, header.timestamp <= latest)
    require("first_seq", ledger.checkpoint.next_seq, header.first_seq)
    require("action_count", len(block.records), header.action_count)
    count, size = len(block.records), sum(map(len, block.records))
    require("action_count", f"at most {MAX_BLOCK_ACTIONS}", count, count <= MAX_BLOCK_ACTIONS)
    require("records", f"at most {MAX_BLOCK_RECORD_BYTES} bytes", size, size <= MAX_BLOCK_RECORD_BYTES)


def _read_entries(ledger: Ledger, block: Block, outcomes: Sequence[Outcome]) -> list[Entry]:
    """All entries, signatures checked: forced ones first, in the queue's order, at most 64."""
    height, first_seq = block.header.height, block.header.first_seq
    entries: list[Entry] = []
    forced_records = [(position, record) for position, record in enumerate(block.records) if is_forced_record(record)]
    if len(outcomes) != len(block.records) - len(forced_records):
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


def _verify_forced(ledger: Ledger, block: Block, forced: list[Forced], l1: L1View) -> None:
    """The block must open with what is due at its L1 origin, exactly as the inbox holds it."""
    header, taken = block.header, ledger.checkpoint.forced_count
    due = l1.get_forced_entries(taken, header.l1_origin, MAX_FORCED_PER_BLOCK)
    if len(forced) != len(due):
        raise Divergence("forced_count", height=header.height, expected=taken + len(due), found=taken + len(forced))
    for position, (entry, found) in enumerate(zip(due, forced, strict=True)):
        voided = l1.is_voided(entry.index, header.l1_origin)
        expected = Forced(entry.index, entry.sender, entry.inclusion_block, entry.payload, voided)
        if found != expected:
            raise Divergence(
                "forced", height=header.height, seq=header.first_seq + position, expected=expected, found=found
            )


def _verify_header(closing: Closing, block: Block) -> None:
    """Every word of the header must be the one computed here."""
    for field in Header.__struct_fields__:
        expected, found = getattr(closing.header, field), getattr(block.header, field)
        if expected != found:
            raise Divergence(field, height=closing.header.height, expected=expected, found=found)


def _verify_seal(ledger: Ledger, block: Block, l1: L1View | None) -> None:
    """The seal must be the builder's, in the one form that builders write (low s, v 27 or 28).

    Without an L1 view only the genesis's builder is known.
    """
    header, signature = block.header, block.seal.signature
    builder = ledger.genesis.builder if l1 is None else l1.get_builder(header.l1_origin)
    try:
        canonical = canonicalize_signature(signature)
        found: object = recover_address(compute_block_hash(header), canonical) if signature[64] >= 27 else "v below 27"
    except RefusedError as error:
        found = str(error)
    if found != builder:
        raise Divergence("seal", height=header.height, expected=builder, found=found)
