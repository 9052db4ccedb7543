"""`verify_block`: the rules that make a block right, in the order in which they are checked.

`derive_block` is the same for a block that comes without a header, as L1 and DA give it.

Every rule that fails raises `Divergence` with the name of the header field, or of the part of the block, that is wrong.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

from microrollup.chain.block import Block, Header, compute_block_hash, recover_sealer
from microrollup.chain.block_entry import is_block_record
from microrollup.chain.carrier import is_carrier_record
from microrollup.chain.record import Forced, Open, Seal
from microrollup.errors import BadEnvelope, DecodeError, Divergence, LimitExceeded, RefusedError, UnknownEnvelope
from microrollup.execution.authentication import Authentication
from microrollup.execution.authentication_pool import sum_opening
from microrollup.execution.entry import (
    decode_forced,
    is_forced_record,
    make_block_entry,
    make_entry,
    make_forced_entry,
)
from microrollup.execution.stf import Entry, LimitHit, NonceMismatch, OverBudget
from microrollup.ledger.closing import Closing
from microrollup.ledger.ledger import Ledger
from microrollup.limits import BLOCK_SECONDS, VERIFIER_FACTOR
from microrollup.primitives import (
    MAX_BLOCK_ACTIONS,
    MAX_BLOCK_RECORD_BYTES,
    MAX_FORCED_PER_BLOCK,
)
from microrollup.settlement.batch import BatchBlock
from microrollup.settlement.protocol import L1View
from microrollup.verifier.code_rules import read_upgrade, verify_code
from microrollup.verifier.events import UNCHECKED_PROOFS
from microrollup.verifier.l1_rules import read_settled_builder, verify_l1_rules

__all__ = [
    "UNCHECKED_WITHOUT_L1",
    "derive_block",
    "list_unchecked",
    "verify_block",
    "verify_header",
]

UNCHECKED_WITHOUT_L1: Final = ("dueForcedActions", "voidedForcedActions", "l1Time", "builder")
"""What cannot be checked from blocks alone; a verifier that lacks an L1 view says so and never signs."""

_ENTRIES_BETWEEN_LOOKS: Final = 500


def list_unchecked(l1: L1View | None) -> list[str]:
    """Without L1, what it says; with it, the proofs that contracts verify, where the verifiers' set has such rules."""
    if l1 is None:
        return list(UNCHECKED_WITHOUT_L1)
    sets = [l1.get_verifiers(number) for number in (l1.get_settled().l1_number, l1.get_number())]
    return [UNCHECKED_PROOFS] if any(verifiers.rules for verifiers in sets) else []


def verify_block(
    ledger: Ledger,
    block: Block,
    l1: L1View | None,
    outcomes: Sequence[Authentication],
    *,
    settled: bool = False,
    limit_seconds: float = BLOCK_SECONDS * VERIFIER_FACTOR,
) -> Header:
    """Re-execute the block after the ledger's last one, compare everything, and store it.

    `ledger` holds parent and pre-state; `outcomes` are those of authenticating each signed record and each envelope, in
    order; `settled` says that L1 has settled its height, and so fixed what it may still be held to (`l1_rules`). Raises
    `Divergence` naming the first difference, and `LimitExceeded` if a limit of this verifier is hit, which says nothing
    about the block: `limit_seconds` of CPU time are for executing it and for opening its envelopes, in whatever process
    that was. On an error the ledger's memory is ahead of its store: abandon it.
    """
    _verify_links(ledger, block)
    closing, builder = _execute_block(ledger, block, l1, outcomes, limit_seconds, settled=settled)
    verify_header(closing.header, block.header)
    _verify_seal(closing.header, block.seal, builder)
    return ledger.finish(closing, block.seal)


def derive_block(
    ledger: Ledger,
    block: BatchBlock,
    l1: L1View,
    outcomes: Sequence[Authentication],
    settled: Header | None,
    *,
    limit_seconds: float = BLOCK_SECONDS * VERIFIER_FACTOR,
) -> Header:
    """Execute a block as a batch carries it, after the ledger's last one, compute its header, and store both.

    `settled` is the header that L1 settled at this height, if the block is its batch's last: the one computed must be
    the same, word for word. For the others the seal vouches, and the parent hash of the next. Raises as `verify_block`.
    """
    closing, builder = _execute_block(ledger, block, l1, outcomes, limit_seconds, settled=True)
    if settled is not None:
        verify_header(closing.header, settled)
    _verify_seal(closing.header, block.seal, builder)
    return ledger.finish(closing, block.seal)


def _execute_block(
    ledger: Ledger,
    block: Block | BatchBlock,
    l1: L1View | None,
    outcomes: Sequence[Authentication],
    limit_seconds: float,
    *,
    settled: bool,
) -> tuple[Closing, bytes]:
    """Check and execute all that a block holds beside its header and its seal; with the 20-byte address of its builder.

    Without an L1 view only the genesis's builder is known.
    """
    height = ledger.checkpoint.height + 1
    deadline = time.thread_time() + limit_seconds - sum_opening(outcomes)
    verify_code(ledger, block.open, block.records, l1, settled=settled)
    _verify_opening(ledger, block)
    upgrade = read_upgrade(ledger, block.records)
    entries = upgrade or _read_entries(ledger, block.records, outcomes)
    begin = 0 if upgrade else int(ledger.rollup.on_block is not None)
    forced = [decode_forced(entry.record) for entry in entries if entry.kind == "forced"]
    builder, left = ledger.genesis.builder, None
    if l1 is not None:
        taken, first_seq = ledger.checkpoint.forced_count, ledger.checkpoint.next_seq + begin
        if settled:
            builder = read_settled_builder(block.open, forced, taken=taken, first_seq=first_seq, l1=l1)
        else:
            signed = not upgrade and len(entries) > begin + len(forced)
            look = verify_l1_rules(block.open, forced, signed=signed, taken=taken, first_seq=first_seq, l1=l1)
            builder, left = look.builder, None if upgrade else next(iter(look.forced[len(forced) :]), None)
    rebuilt = block.seal.round > 0
    opened = ledger.begin(block.open, rebuilt=rebuilt)
    try:
        for first in range(0, len(entries), _ENTRIES_BETWEEN_LOOKS):
            if time.thread_time() > deadline:
                raise LimitExceeded(f"block {height} takes more than {limit_seconds:g} s of CPU to open and execute")
            ledger.execute(entries[first : first + _ENTRIES_BETWEEN_LOOKS])
        count = len(opened.records)  # with what carriers bring
        _require(ledger, "action_count", f"at most {MAX_BLOCK_ACTIONS}", count, count <= MAX_BLOCK_ACTIONS)
        if left is not None and not rebuilt:
            _verify_cut(ledger, left)
    except OverBudget as over:
        limit, found, most = over.excess
        raise Divergence(
            "budget", height=height, seq=over.seq, expected=f"at most {most} {limit}", found=found
        ) from None
    except NonceMismatch as mismatch:
        raise Divergence(
            "nonce", height=height, seq=mismatch.seq, expected=mismatch.expected, found=mismatch.found
        ) from None
    except LimitHit as hit:
        raise LimitExceeded(f"block {height}: {hit}") from None
    if opened.upgraded is not None:
        _require(ledger, "stf_id", opened.upgraded.stf_id, block.open.stf_id)
    return ledger.compute_header(), builder


def _verify_cut(ledger: Ledger, left: Forced) -> None:
    """A block that leaves a due forced action to the next one must have no room for what that action changes."""
    try:
        ledger.execute([_make_forced_entry(ledger, left)])
    except OverBudget:
        return
    height = ledger.checkpoint.height + 1
    raise Divergence("forced_count", height=height, expected=f"{left.index + 1} or more", found=left.index)


def _require(ledger: Ledger, field: str, expected: object, found: object, holds: bool | None = None) -> None:
    if not (expected == found if holds is None else holds):
        raise Divergence(field, height=ledger.checkpoint.height + 1, expected=expected, found=found)


def _verify_links(ledger: Ledger, block: Block) -> None:
    """The header must follow the last one and speak of what comes with it."""
    header = block.header
    _require(ledger, "rollup_id", ledger.rollup_id, header.rollup_id)
    _require(ledger, "height", ledger.checkpoint.height + 1, header.height)
    _require(ledger, "parent_hash", ledger.checkpoint.block_hash, header.parent_hash)
    for field in Open.__struct_fields__:
        _require(ledger, field, getattr(block.open, field), getattr(header, field))
    _require(ledger, "first_seq", ledger.checkpoint.next_seq, header.first_seq)
    if not any(map(_may_bring, block.records)):
        _require(ledger, "action_count", len(block.records), header.action_count)


def _may_bring(record: bytes) -> bool:
    """Whether entries that a block travels without may follow a record. Whether it is well-formed is seen later."""
    try:
        return is_carrier_record(record)
    except DecodeError:
        return False


def _verify_opening(ledger: Ledger, block: Block | BatchBlock) -> None:
    """What must hold before anything is executed."""
    parent, opened = ledger.header, block.open
    _require(ledger, "height", ledger.checkpoint.height + 1, opened.height)
    timestamp, origin = opened.timestamp, opened.l1_origin
    _require(ledger, "timestamp", f"{parent.timestamp} or later", timestamp, timestamp >= parent.timestamp)
    _require(ledger, "l1_origin", f"{parent.l1_origin} or later", origin, origin >= parent.l1_origin)
    count, size = len(block.records), sum(map(len, block.records))
    _require(ledger, "action_count", f"at most {MAX_BLOCK_ACTIONS}", count, count <= MAX_BLOCK_ACTIONS)
    _require(ledger, "records", f"at most {MAX_BLOCK_RECORD_BYTES} bytes", size, size <= MAX_BLOCK_RECORD_BYTES)


def _read_entries(ledger: Ledger, records: Sequence[bytes], outcomes: Sequence[Authentication]) -> list[Entry]:
    """All entries, signatures checked: the block's own where the app has a hook, forced ones in the queue's order, at
    most 64, then signed ones and envelopes.
    """
    height, first_seq = ledger.checkpoint.height + 1, ledger.checkpoint.next_seq
    entries = _read_begin(ledger, records)
    begin = len(entries)
    forced_records = [(position, record) for position, record in enumerate(records) if is_forced_record(record)]
    if len(outcomes) != len(records) - begin - len(forced_records):
        raise ValueError("one outcome a signed record is needed")
    for position, record in forced_records:
        seq, expected = first_seq + position, ledger.checkpoint.forced_count + position - begin
        try:
            forced = decode_forced(record)
        except DecodeError as error:
            raise Divergence(
                "record", height=height, seq=seq, expected="a canonical record", found=str(error)
            ) from None
        if position != len(entries) or position - begin >= MAX_FORCED_PER_BLOCK or forced.index != expected:
            wanted = f"forced action {expected}, before all signed ones"
            raise Divergence("forced", height=height, seq=seq, expected=wanted, found=f"forced action {forced.index}")
        entries.append(_make_forced_entry(ledger, forced))
    first_signed = first_seq + len(entries)
    for position, outcome in enumerate(outcomes):
        if isinstance(outcome, (RefusedError, DecodeError)):
            part, wanted = _name_part(outcome)
            raise Divergence(part, height=height, seq=first_signed + position, expected=wanted, found=str(outcome))
        entries.append(make_entry(ledger.rollup, ledger.rollup_id, outcome))
    return entries


def _make_forced_entry(ledger: Ledger, forced: Forced) -> Entry:
    return make_forced_entry(ledger.rollup, ledger.rollup_id, forced, ledger.authenticator, twice=ledger.twice)


def _name_part(error: RefusedError | DecodeError) -> tuple[str, str]:
    """Which part of an entry an error of its authentication is about, and what it should be."""
    if isinstance(error, (BadEnvelope, UnknownEnvelope)):
        return "envelope", "an envelope of this rollup that opens"
    return "record" if isinstance(error, DecodeError) else "signature", "an action that its sender signed"


def _read_begin(ledger: Ledger, records: Sequence[bytes]) -> list[Entry]:
    """The block's own entry, once and as the first, if and only if the app has a hook."""
    height, hooked = ledger.checkpoint.height + 1, ledger.rollup.on_block is not None
    places = [position for position, record in enumerate(records) if is_block_record(record)]
    expected = [0] if hooked else []
    if places == expected:
        return [make_block_entry(ledger.rollup_id, height)] * hooked
    wrong = next((place for place in places if place not in expected), 0)
    raise Divergence(
        "block_entry",
        height=height,
        seq=ledger.checkpoint.next_seq + wrong,
        expected="the block's own entry once, as the first" if hooked else "no entry of the block: the app has no hook",
        found=f"{len(places)}, at the places {places[:3]}" if places else "none",
    )


def verify_header(expected: Header, found: Header) -> None:
    """Every word of a header must be the one that was computed here. Raises `Divergence` with the first other one."""
    for field in Header.__struct_fields__:
        ours, theirs = getattr(expected, field), getattr(found, field)
        if ours != theirs:
            raise Divergence(field, height=expected.height, expected=ours, found=theirs)


def _verify_seal(header: Header, seal: Seal, builder: bytes) -> None:
    """The seal must be the builder's, a 20-byte address, in the one form that builders write (low s, v 27 or 28)."""
    found = recover_sealer(compute_block_hash(header), seal)
    if found != builder:
        shown = "not a valid signature" if found is None else found
        raise Divergence("seal", height=header.height, expected=builder, found=shown)
