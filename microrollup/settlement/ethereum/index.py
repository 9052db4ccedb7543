"""All that the inbox's events say, in memory: every question of an `L1View` is answered from here.

Pure: no requests. Nothing is taken over on a node's word alone where it can be computed: ids and hashes of the genesis,
the chain of batches with the signatures of each quorum, the queue's hashes, the dates from which changes hold.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TypeVar, assert_never

import msgspec

from microrollup.chain.block import Header, compute_block_hash, compute_genesis_header, compute_rollup_id
from microrollup.chain.record import GENESIS_FORMAT, Genesis
from microrollup.primitives import MAX_FORCED_PAYLOAD_BYTES
from microrollup.settlement.attestation import BatchAttestation, compute_attestation_digest, create_attestation
from microrollup.settlement.errors import SettlementError, UnknownEntry
from microrollup.settlement.ethereum.announcements import Announcements
from microrollup.settlement.ethereum.answers import L1Log
from microrollup.settlement.ethereum.errors import L1BadAnswer
from microrollup.settlement.ethereum.events import (
    ActionForced,
    ActionVoided,
    AnnouncementCancelled,
    BatchSettled,
    BuilderChanged,
    CodeAnnounced,
    KeysRegistered,
    OwnerChanged,
    RollupCreated,
    VerifiersChanged,
    VoidCancelled,
    decode_event,
)
from microrollup.settlement.ethereum.options import DaTag
from microrollup.settlement.forced import EMPTY_QUEUE_HASH, ForcedEntry, compute_queue_hash
from microrollup.settlement.protocol import Announced, SettledHead, to_settled_head
from microrollup.settlement.quorum import verify_signatures
from microrollup.settlement.verifiers import VerifierSet

__all__ = ["EventIndex", "IndexedBatch"]

T = TypeVar("T")


class IndexedBatch(msgspec.Struct, frozen=True):
    """A batch as L1 tells of it."""

    first_height: int
    header: Header
    attestation: BatchAttestation
    signatures: bytes
    data_hash: bytes
    da: DaTag
    submitter: bytes
    l1_number: int
    transaction_hash: bytes


class EventIndex:
    """The events of one inbox up to a block. The writer keeps readers of other threads out."""

    def __init__(self, inbox: bytes, chain_id: int) -> None:
        self._inbox = inbox
        self._chain_id = chain_id
        self.created = 0
        """L1 block of the inbox's creation."""
        self._genesis: Genesis | None = None
        self._genesis_head: SettledHead | None = None
        self._settled: list[IndexedBatch] = []
        self._entries: list[ForcedEntry] = []
        self._hashes: list[bytes] = []
        """Of the queue, after each entry."""
        self._announcements: Announcements | None = None

    # Reading.

    def has_genesis(self) -> bool:
        """Whether the inbox's first event was read."""
        return self._genesis is not None

    def get_genesis(self) -> Genesis:
        return _expect(Genesis, self._genesis)

    def get_head(self) -> SettledHead:
        """The last settled block."""
        if not self._settled:
            return _expect(SettledHead, self._genesis_head)
        return to_settled_head(self._settled[-1].header, self._settled[-1].l1_number)

    def find_settled(self, height: int) -> IndexedBatch | None:
        """The batch with this height above 0."""
        at = bisect_right(self._settled, height, key=lambda settled: settled.first_height) - 1
        if height <= 0 or at < 0 or self._settled[at].header.height < height:
            return None
        return self._settled[at]

    def get_stf_id(self, number: int) -> bytes:
        return self._announced.get_stf_id(number)

    def get_code_since(self, number: int) -> int:
        """The L1 block from which that code is in force; 0 for the first."""
        return self._announced.get_code_since(number)

    def get_owner(self, number: int) -> bytes:
        return self._announced.get_owner(number)

    def get_builder(self, number: int) -> bytes:
        return self._announced.get_builder(number)

    def get_verifiers(self, number: int) -> VerifierSet:
        return self._announced.get_verifiers(number)

    def list_announced(self, number: int) -> list[Announced]:
        return self._announced.list_announced(number)

    def find_page(self, address: bytes) -> tuple[bytes, ...] | None:
        return self._announced.find_page(address)

    @property
    def _announced(self) -> Announcements:
        return _expect(Announcements, self._announcements)

    def get_queue_length(self) -> int:
        return len(self._entries)

    def get_forced_count(self, up_to_block: int) -> int:
        return bisect_right(self._entries, up_to_block, key=lambda entry: entry.inclusion_block)

    def get_forced_entries(self, first_index: int, up_to_block: int, limit: int) -> list[ForcedEntry]:
        end = min(self.get_forced_count(up_to_block), first_index + limit)
        return self._entries[first_index:end]

    def get_queue_hash(self, length: int) -> bytes:
        """The hash over the first `length` entries. Raises `UnknownEntry`."""
        if not 0 <= length <= len(self._hashes):
            raise UnknownEntry(len(self._hashes), length)
        return self._hashes[length - 1] if length else EMPTY_QUEUE_HASH

    def is_voided(self, index: int, l1_origin: int) -> bool:
        """Raises `UnknownEntry`."""
        if not 0 <= index < len(self._entries):
            raise UnknownEntry(len(self._entries), index)
        effective = self._announced.get_void(index)
        return effective is not None and effective <= l1_origin

    # Writing.

    def fork(self, number: int) -> EventIndex:
        """A copy as of the end of an L1 block: events are tried on it, and it is taken over if all of them fit."""
        fresh = EventIndex(self._inbox, self._chain_id)
        if self._genesis is None or self.created > number:
            return fresh
        fresh.created, fresh._genesis, fresh._genesis_head = self.created, self._genesis, self._genesis_head
        fresh._settled, fresh._entries, fresh._hashes = self._settled[:], self._entries[:], self._hashes[:]
        fresh._announcements = self._announced.fork(number)
        fresh._rewind(number)
        return fresh

    def _rewind(self, number: int) -> None:
        """Forget everything after an L1 block."""
        del self._settled[bisect_right(self._settled, number, key=lambda settled: settled.l1_number) :]
        count = self.get_forced_count(number)
        del self._entries[count:], self._hashes[count:]

    def apply(self, log: L1Log) -> None:
        """Take in the next event. Raises `L1BadAnswer` if the inbox cannot have emitted it here."""
        event = decode_event(log)
        if isinstance(event, RollupCreated) == self.has_genesis():
            raise L1BadAnswer("logs", f"{type(event).__name__} in block {log.number} is not what comes next")
        match event:
            case RollupCreated():
                self._create(event, log.number)
            case BatchSettled():
                self._settle(event, log)
            case ActionForced():
                self._force(event, log.number)
            case ActionVoided() | VoidCancelled():
                _require(event.index < len(self._entries), event, log.number)
                self._announced.apply(event, log.number, self._entries[event.index].inclusion_block)
            case (
                VerifiersChanged()
                | KeysRegistered()
                | BuilderChanged()
                | CodeAnnounced()
                | OwnerChanged()
                | AnnouncementCancelled()
            ):
                self._announced.apply(event, log.number)
            case _:
                assert_never(event)

    def _create(self, event: RollupCreated, number: int) -> None:
        words = event.genesis
        genesis = Genesis(
            format=GENESIS_FORMAT,
            name=words.name,
            l1_chain_id=words.l1_chain_id,
            genesis_time=words.genesis_time,
            state_root=words.state_root,
            metadata_root=words.metadata_root,
            builder=words.builder,
            verifiers=words.verifiers,
            quorum=words.quorum,
            l1_start=words.l1_start,
            salt=words.salt,
            domain=event.domain,
        )
        header = compute_genesis_header(genesis)
        ids = (compute_rollup_id(genesis), compute_block_hash(header))
        _require(ids == (event.rollup_id, event.genesis_hash), event, number)
        _require(genesis.l1_chain_id == self._chain_id and genesis.l1_start < number, event, number)
        self._genesis, self._genesis_head, self.created = genesis, to_settled_head(header, number), number
        verifiers = VerifierSet(genesis.verifiers, genesis.quorum)
        self._announcements = Announcements(event.owner, genesis.builder, verifiers, event.stf_id)

    def _settle(self, event: BatchSettled, log: L1Log) -> None:
        head, header = self.get_head(), event.header
        follows = event.first_height == head.height + 1 <= header.height == event.last_height
        _require(follows and header.rollup_id == compute_rollup_id(self.get_genesis()), event, log.number)
        settled_code = self._settled[-1].header.stf_id if self._settled else self.get_stf_id(0)
        known_code = header.stf_id in (settled_code, self.get_stf_id(header.l1_origin))
        _require(header.l1_origin < log.number and known_code, event, log.number)
        attestation = create_attestation(head.block_hash, event.first_height, header, event.data_hash)
        self._require_quorum(attestation, event, log.number)
        self._settled.append(
            IndexedBatch(
                event.first_height,
                header,
                attestation,
                event.signatures,
                event.data_hash,
                "blobs" if event.in_blobs else "calldata",
                event.submitter,
                log.number,
                log.transaction_hash,
            )
        )

    def _require_quorum(self, attestation: BatchAttestation, event: BatchSettled, number: int) -> None:
        """The verifiers' signatures are the one thing that no node can make up; proofs beside them are believed."""
        digest = compute_attestation_digest(attestation, self._chain_id, self._inbox)
        try:
            verify_signatures(self.get_verifiers(number), digest, event.signatures)
        except SettlementError as error:
            raise L1BadAnswer("logs", f"BatchSettled in block {number}: {error}") from None

    def _force(self, event: ActionForced, number: int) -> None:
        expected = compute_queue_hash(self.get_queue_hash(len(self._hashes)), event.sender, number, event.payload)
        fits = event.index == len(self._entries) and len(event.payload) <= MAX_FORCED_PAYLOAD_BYTES
        _require(fits and (expected, number) == (event.queue_hash, event.inclusion_block), event, number)
        self._entries.append(ForcedEntry(event.index, event.sender, number, event.payload))
        self._hashes.append(expected)


def _require(holds: bool, event: object, number: int) -> None:
    if not holds:
        raise L1BadAnswer("logs", f"{type(event).__name__} in block {number} is not what the inbox can have emitted")


def _expect(cls: type[T], value: object) -> T:
    if isinstance(value, cls):
        return value
    raise AssertionError(value)
