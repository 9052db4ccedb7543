"""The rules of the inbox, pure: what a batch must satisfy to be settled. The contract on L1 enforces the same.

They bind a batch to its place (rollup, height, parent), to time, to the queue of forced actions and to a quorum of
verifiers. Whether the blocks are right is what the verifiers vouch for; the inbox sees the last header only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from microrollup.chain.block import Header, compute_genesis_header
from microrollup.chain.record import Genesis
from microrollup.codec.canonical import decode_canonical, encode_canonical
from microrollup.errors import DecodeError, UsageError
from microrollup.primitives import MAX_FORCED_PER_BLOCK, ZERO_ADDRESS, ZERO_BYTES32
from microrollup.settlement.attestation import (
    BatchAttestation,
    SignedAttestation,
    compute_attestation_digest,
    create_attestation,
)
from microrollup.settlement.batch import BASED_DATA_HASH, MAX_BATCH_BYTES, compute_data_hash
from microrollup.settlement.errors import (
    BadOrigin,
    Based,
    BatchTooLarge,
    CancelledTooLate,
    ForcedSkipped,
    FutureTimestamp,
    HeaderOutOfRange,
    HeightGap,
    NotBuilder,
    NothingPending,
    StaleTimestamp,
    UnknownEntry,
    WrongAttestation,
    WrongData,
    WrongForcedHash,
    WrongParent,
    WrongRollupId,
    WrongStfId,
    ZeroBuilder,
    ZeroCode,
)
from microrollup.settlement.protocol import AnnouncementKind, SettledHead, to_settled_head
from microrollup.settlement.quorum import join_signatures, verify_signatures
from microrollup.settlement.verifiers import VerifierSet, verify_verifiers

__all__ = [
    "ANNOUNCEMENTS",
    "BUILDER_SILENCE_BLOCKS",
    "CANCEL_MARGIN_BLOCKS",
    "CHANGE_DELAY_BLOCKS",
    "MAX_ORIGIN_AGE_BLOCKS",
    "VOID_AGE_BLOCKS",
    "InboxState",
    "check_words",
    "compute_genesis_head",
    "compute_void_block",
    "verify_builder",
    "verify_cancel",
    "verify_code",
    "verify_has_builder",
    "verify_settlement",
]

MAX_ORIGIN_AGE_BLOCKS: Final = 14_400
"""A settled L1 origin lies at most this far behind the settling transaction: two days of 12-second blocks."""

BUILDER_SILENCE_BLOCKS: Final = 7_200
"""After this many L1 blocks without a batch anybody may submit one: a day."""

CHANGE_DELAY_BLOCKS: Final = 21_600
"""Voids and changes of verifiers, builder, code and owner take effect this many L1 blocks after their event.

These are three days, longer than `MAX_ORIGIN_AGE_BLOCKS`, so a builder on a permitted origin knows all that is in
effect there. Once another owner is announced for block E, nothing that would take effect from E to before E + 21,600
ever does: what the former owner announces on leaving decides nothing in its successor's time, and of several owners
announced the first comes.
"""

VOID_AGE_BLOCKS: Final = 43_200
"""A void takes effect at least this many L1 blocks after the entry's inclusion, however early it is announced.

Six days. An operator who owns the inbox too can still outwait them: batches are bound to origins before the entry for
two days, and four days of silence follow, in which everybody sees what happens. Without this bound it was one day.
"""

CANCEL_MARGIN_BLOCKS: Final = 300
"""What takes effect within this many L1 blocks (an hour) cannot be cancelled any more: no builder is surprised."""

ANNOUNCEMENTS: Final[tuple[AnnouncementKind, ...]] = ("verifiers", "builder", "code")
"""What can be cancelled, by the number that the contract's `Announcement` gives it."""

_MAX_HEADER_BYTES: Final = 1024
_HEADER_DECODER: Final = msgspec.msgpack.Decoder(Header)

_NUMBER_BITS: Final = 64
"""Of a header's numbers, although a word has 256."""


class InboxState(msgspec.Struct, frozen=True):
    """What the inbox knows when a header arrives in its L1 block `number`; the last four depend on the header."""

    rollup_id: bytes
    chain_id: int
    inbox: bytes
    """The inbox's own 20-byte address."""
    settled_stf_id: bytes
    """The settled block's code; before the first one, what the inbox was created with."""
    number: int
    time: int
    """L1's time of that block, in seconds."""
    head: SettledHead
    builder: bytes
    verifiers: VerifierSet
    queue_length: int
    forced_hash: bytes
    """`queueHash[header.forced_count]`; of the whole queue if it does not reach that far."""
    next_inclusion_block: int | None
    """Inclusion block of the first entry that the header leaves in the queue; `None` if it leaves none."""
    stf_id: bytes
    """The code that is in force at the header's L1 origin."""

    @property
    def is_based(self) -> bool:
        """Whether the rollup has no builder, from its genesis on."""
        return self.builder == ZERO_ADDRESS


def verify_settlement(
    state: InboxState, batch: bytes, header: Header, attestations: Sequence[SignedAttestation], submitter: bytes
) -> tuple[SettledHead, bytes]:
    """The head after settling `batch`, whose last header is `header`, and the signatures as the inbox takes them.

    Raises the `SettlementError` of the first rule that is broken: submitter, size, range, position, time, queue,
    attestations.
    """
    _verify_submitter(state, batch, submitter)
    if len(batch) > MAX_BATCH_BYTES:
        raise BatchTooLarge(MAX_BATCH_BYTES, len(batch))
    _verify_range(header)
    if header.rollup_id != state.rollup_id:
        raise WrongRollupId(state.rollup_id, header.rollup_id)
    if header.stf_id not in (state.settled_stf_id, state.stf_id):
        raise WrongStfId(state.stf_id, header.stf_id)
    if header.height <= state.head.height:
        raise HeightGap(state.head.height, state.head.height + 1, header.height)
    _verify_time(state, header)
    _verify_forced(state, header)
    signatures = _verify_attestations(state, batch, header, attestations)
    return to_settled_head(header, state.number), signatures


def _verify_submitter(state: InboxState, batch: bytes, submitter: bytes) -> None:
    """Of a based rollup anybody submits, and nothing beside the header."""
    if state.is_based:
        if batch:
            raise Based
        return
    if submitter != state.builder and state.number - state.head.l1_number <= BUILDER_SILENCE_BLOCKS:
        raise NotBuilder(state.builder, submitter)


def _verify_range(header: Header) -> None:
    """Every word but the `bytes32` ones is below 2^64: what is settled must be what every reader can decode."""
    for word, value in enumerate(msgspec.structs.astuple(header)):
        if isinstance(value, int) and value >> _NUMBER_BITS:
            raise HeaderOutOfRange(word)


def _verify_time(state: InboxState, header: Header) -> None:
    if header.timestamp < state.head.timestamp:
        raise StaleTimestamp(state.head.timestamp, header.timestamp)
    if header.timestamp > state.time:
        raise FutureTimestamp(state.time, header.timestamp)
    lowest = state.head.l1_origin
    if not state.is_based:
        lowest = max(lowest, state.number - MAX_ORIGIN_AGE_BLOCKS)
    if not lowest <= header.l1_origin < state.number:
        raise BadOrigin(lowest, state.number - 1, header.l1_origin)


def _verify_forced(state: InboxState, header: Header) -> None:
    """The header took entries of the queue as it is, and as many as it had to.

    A batch may stop at 64 entries, since one block takes no more, although more are due. Of a based rollup it takes one
    at least; how many follow from the origin, verifiers judge.
    """
    taken, settled = header.forced_count, state.head.forced_count
    if taken > state.queue_length:
        raise UnknownEntry(state.queue_length, taken)
    is_full_block = taken >= settled + MAX_FORCED_PER_BLOCK
    next_is_due = state.next_inclusion_block is not None and state.next_inclusion_block <= header.l1_origin
    too_few = taken <= settled if state.is_based else taken < settled or (next_is_due and not is_full_block)
    if too_few:
        raise ForcedSkipped(settled, taken, header.l1_origin)
    if header.forced_hash != state.forced_hash:
        raise WrongForcedHash(state.forced_hash, header.forced_hash)


def _verify_attestations(
    state: InboxState, batch: bytes, header: Header, attestations: Sequence[SignedAttestation]
) -> bytes:
    first_height = state.head.height + 1
    data_hash = BASED_DATA_HASH if state.is_based else compute_data_hash(batch)
    expected = create_attestation(state.head.block_hash, first_height, header, data_hash)
    for signed in attestations:
        if signed.attestation != expected:
            _raise_difference(state.head, expected, signed.attestation)
    digest = compute_attestation_digest(expected, state.chain_id, state.inbox)
    signatures = join_signatures(state.verifiers, digest, attestations)
    verify_signatures(state.verifiers, digest, signatures)
    return signatures


def _raise_difference(head: SettledHead, expected: BatchAttestation, found: BatchAttestation) -> None:
    """Name the first member of an attestation that is not as expected."""
    if found.rollup_id != expected.rollup_id:
        raise WrongRollupId(expected.rollup_id, found.rollup_id)
    if found.first_height != expected.first_height:
        raise HeightGap(head.height, found.first_height, found.last_height)
    if found.parent_hash != expected.parent_hash:
        raise WrongParent(expected.parent_hash, found.parent_hash)
    if found.last_height != expected.last_height:
        raise WrongAttestation("lastHeight", expected.last_height, found.last_height)
    if found.block_hash != expected.block_hash:
        raise WrongAttestation("blockHash", expected.block_hash, found.block_hash)
    if found.state_root != expected.state_root:
        raise WrongAttestation("stateRoot", expected.state_root, found.state_root)
    raise WrongData(expected.data_hash, found.data_hash)


def compute_genesis_head(genesis: Genesis, number: int, time: int) -> SettledHead:
    """The head of an inbox created in L1 block `number`, as its constructor computes it from the genesis preimage.

    Raises `BadQuorum`, `FutureTimestamp`, or `BadOrigin` if the L1 start is not a past block.
    """
    verify_verifiers(VerifierSet(genesis.verifiers, genesis.quorum))
    if genesis.genesis_time > time:
        raise FutureTimestamp(time, genesis.genesis_time)
    if genesis.l1_start >= number:
        raise BadOrigin(0, number - 1, genesis.l1_start)
    return to_settled_head(compute_genesis_header(genesis), number)


def verify_code(stf_id: bytes) -> None:
    """Raise `ZeroCode` for the zero id."""
    if stf_id == ZERO_BYTES32:
        raise ZeroCode


def compute_void_block(announced: int, inclusion_block: int) -> int:
    """From which L1 block an entry is voided, if its void is announced in block `announced`."""
    return max(announced + CHANGE_DELAY_BLOCKS, inclusion_block + VOID_AGE_BLOCKS)


def verify_cancel(what: int, effective: int | None, number: int) -> int:
    """The L1 block `effective` for which something is announced, if that may be cancelled in block `number`.

    `what` is the number of its kind, or the entry's index. Raises `NothingPending` or `CancelledTooLate`.
    """
    if effective is None or effective <= number:
        raise NothingPending(what)
    if effective <= number + CANCEL_MARGIN_BLOCKS:
        raise CancelledTooLate(effective, number)
    return effective


def verify_builder(builder: bytes) -> None:
    """Raise `ZeroBuilder` for the zero address."""
    if builder == ZERO_ADDRESS:
        raise ZeroBuilder


def verify_has_builder(genesis: Genesis) -> None:
    """Raise `Based` for what a rollup without a builder does not have."""
    if genesis.is_based:
        raise Based


def check_words(header: Header) -> None:
    """What the types of a contract's arguments check by themselves: `bytes32` and `uint256`. Raises `UsageError`."""
    words = msgspec.structs.asdict(header)
    wide = {name: 0 for name, value in words.items() if isinstance(value, int) and 1 << 64 <= value < 1 << 256}
    try:
        checked = encode_canonical(msgspec.structs.replace(header, **wide))
        decode_canonical(_HEADER_DECODER, checked, what="header", limit=_MAX_HEADER_BYTES)
    except (DecodeError, OverflowError, TypeError) as error:
        raise UsageError(f"not a header: {error}") from None
