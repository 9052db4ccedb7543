"""The local settlement: a directory that stands for L1 and enforces the inbox's rules. The embedded default.

Its L1 has a block every 12 seconds of the clock, whose number is the Unix time divided by 12. Several processes may
have the directory open (a node, its verifier, a follower): LMDB lets one write at a time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final, Self

from microrollup.chain.block import Header, compute_rollup_id
from microrollup.chain.record import Genesis, decode_genesis
from microrollup.codec.canonical import encode_canonical
from microrollup.errors import StoreFormat, StoreMissing, UsageError
from microrollup.primitives import MAX_FORCED_PAYLOAD_BYTES, MAX_FORCED_PER_BLOCK, ZERO_ADDRESS
from microrollup.settlement.arguments import check_address, check_stf_id
from microrollup.settlement.attestation import SignedAttestation
from microrollup.settlement.batch import BASED_DATA_HASH, MAX_BATCH_BYTES, compute_data_hash
from microrollup.settlement.errors import AlreadyInitialised, AlreadyVoided, BadOrigin, NotOwner, PayloadTooLarge
from microrollup.settlement.forced import ForcedEntry
from microrollup.settlement.inbox import (
    ANNOUNCEMENTS,
    CHANGE_DELAY_BLOCKS,
    InboxState,
    check_words,
    compute_genesis_head,
    compute_void_block,
    verify_builder,
    verify_cancel,
    verify_code,
    verify_has_builder,
    verify_settlement,
)
from microrollup.settlement.protocol import Announced, AnnouncementKind, L1Look, Reorg, SettledBatch, SettledHead
from microrollup.settlement.quorum import BatchProof
from microrollup.settlement.quorum_errors import ExternalVerifiers
from microrollup.settlement.rows import FORMAT, InboxRows
from microrollup.settlement.tables import InboxTables, open_tables
from microrollup.settlement.verifiers import VerifierSet, encode_page, resolve_set, verify_page

__all__ = ["SECONDS_PER_BLOCK", "LocalSettlement"]

SECONDS_PER_BLOCK: Final = 12
"""Ethereum's slot time."""


class LocalSettlement:
    """An inbox in a directory; an `Inbox`, so also a `Settlement` and an `L1View`, whose docstrings hold here.

    A number that `get_number` has told is on disk, and whatever this L1 takes in later has that number or a higher one.
    So what is said about lower numbers never changes, in any process. (LMDB's readers see the last commit of a writer
    that was killed before it returned only from the next write on. `get_number` writes before it tells a new number.)
    """

    payments = None

    def __init__(self, tables: InboxTables, clock: Callable[[], float], *, dry_run: bool = False) -> None:
        """Use `create` or `open`."""
        self._dry_run = dry_run
        self._tables = tables
        self._clock = clock
        with self._read() as rows:
            self._genesis = rows.get_genesis()
            self._created = rows.get_meta().created
        self._rollup_id = compute_rollup_id(self._genesis)

    @classmethod
    def create(
        cls, directory: Path, genesis: Genesis, owner: bytes, stf_id: bytes, clock: Callable[[], float] = time.time
    ) -> Self:
        """Create the inbox of a rollup, as the contract's constructor does, and open it.

        `owner` is the 20-byte address that may void and change; zero for nobody. `stf_id` names the code in 32 bytes.
        Raises `AlreadyInitialised`, the errors of `compute_genesis_head`, `DecodeError` for a genesis out of its
        bounds, and `StoreError`s.
        """
        check_address(owner)
        check_stf_id(stf_id)
        decode_genesis(encode_canonical(genesis))
        number = _to_number(clock())
        head = compute_genesis_head(genesis, number, number * SECONDS_PER_BLOCK)
        tables = open_tables(directory, create=True)
        try:
            with tables.begin(write=True) as transaction:
                rows = InboxRows(tables, transaction)
                if rows.has_genesis():
                    raise AlreadyInitialised(str(directory))
                rows.put_genesis(genesis, owner, stf_id, head)
            return cls(tables, clock)
        except BaseException:
            tables.close()
            raise

    @classmethod
    def open(cls, directory: Path, clock: Callable[[], float] = time.time, *, dry_run: bool = False) -> Self:
        """Open one that exists, with `dry_run` to take every transaction back. Raises `StoreError`s."""
        tables = open_tables(directory, create=False)
        try:
            with tables.begin() as transaction:
                rows = InboxRows(tables, transaction)
                if not rows.has_genesis():
                    raise StoreMissing(
                        f"{directory} holds no local settlement: --l1 names one, `run` of a new rollup makes it"
                    )
                if rows.get_meta().format != FORMAT:
                    raise StoreFormat(f"{directory} has format {rows.get_meta().format}, known is {FORMAT}")
            return cls(tables, clock, dry_run=dry_run)
        except BaseException:
            tables.close()
            raise

    @staticmethod
    def check(directory: Path) -> dict[str, int]:
        """Read every row of an inbox and compare; how many rows each table has. Nothing is changed.

        Raises `StoreCorrupt`, and `StoreMissing`.
        """
        with closing(open_tables(directory, create=False, read_only=True)) as tables, tables.begin() as transaction:
            return dict(InboxRows(tables, transaction).check())

    def close(self) -> None:
        self._tables.close()

    # The view of L1.

    def get_inbox(self) -> bytes:
        return ZERO_ADDRESS

    def get_genesis(self) -> Genesis:
        return self._genesis

    def get_number(self) -> int:
        with self._read() as rows:
            number = rows.get_number()
        if _to_number(self._clock()) <= number:
            return number
        with self._write() as (_, number):  # waits for writers into a block that ends now
            return number

    def get_origin(self) -> int:
        return self.get_number() - 1

    def get_time(self, number: int) -> int:
        current = self.get_number()
        if not 0 <= number <= current:
            raise BadOrigin(0, current, number)
        return number * SECONDS_PER_BLOCK

    def look(self, origin: int, forced_count: int) -> L1Look:
        number = self.get_number()
        if not 0 <= origin < number:
            raise BadOrigin(0, number - 1, origin)
        with self._read() as rows:
            end = min(rows.get_forced_count(origin), forced_count + MAX_FORCED_PER_BLOCK)
            return L1Look(
                number=number,
                now=number * SECONDS_PER_BLOCK,
                time=origin * SECONDS_PER_BLOCK,
                builder=rows.get_builder(origin),
                stf_id=rows.get_stf_id(origin),
                forced=tuple([rows.get_forced(index, origin) for index in range(forced_count, end)]),
                code_since=rows.get_code_since(origin),
            )

    def get_stf_id(self, number: int) -> bytes:
        with self._read() as rows:
            return rows.get_stf_id(number)

    def get_code_since(self, number: int) -> int:
        with self._read() as rows:
            return rows.get_code_since(number)

    def get_owner(self, number: int) -> bytes:
        with self._read() as rows:
            return rows.get_owner(number)

    def get_builder(self, number: int) -> bytes:
        with self._read() as rows:
            return rows.get_builder(number)

    def get_verifiers(self, number: int) -> VerifierSet:
        with self._read() as rows:
            return rows.get_verifiers(number)

    def get_forced_count(self, up_to_block: int) -> int:
        with self._read() as rows:
            return rows.get_forced_count(up_to_block)

    def get_forced_entries(self, first_index: int, up_to_block: int, limit: int) -> list[ForcedEntry]:
        with self._read() as rows:
            end = min(rows.get_forced_count(up_to_block), first_index + limit)
            return [rows.get_entry(index) for index in range(first_index, end)]

    def get_queue_hash(self, index: int) -> bytes:
        with self._read() as rows:
            return rows.get_queue_hash(index)

    def is_voided(self, index: int, l1_origin: int) -> bool:
        with self._read() as rows:
            return rows.is_voided(index, l1_origin)

    def get_max_batch_bytes(self) -> int:
        return MAX_BATCH_BYTES

    def compute_data_hash(self, batch: bytes) -> bytes:
        return BASED_DATA_HASH if self._genesis.is_based else compute_data_hash(batch)

    def get_settled(self) -> SettledHead:
        with self._read() as rows:
            return rows.get_head()

    def get_settled_at(self, height: int) -> SettledBatch | None:
        with self._read() as rows:
            return rows.get_settled_at(height) if height > 0 else None

    def get_confirmations(self, height: int) -> int | None:
        number = self.get_number()
        if height == 0:
            return number - self._created
        with self._read() as rows:
            settled_in = rows.get_settled_number(height) if height > 0 else None
        return None if settled_in is None else number - settled_in

    def poll_reorgs(self) -> list[Reorg]:
        return []

    def name_code(self, stf_id: bytes) -> None:
        """Let another code execute from the first block on, while nothing is settled: only an operator's own L1 can.

        Raises `UsageError` once something is settled.
        """
        check_stf_id(stf_id)
        with self._write() as (rows, _):
            if rows.get_head().height > 0:
                raise UsageError("blocks are settled already: their code stays")
            rows.put_stf_id(0, stf_id)

    # Transactions of this L1.

    def settle(
        self,
        batch: bytes,
        last_header: Header,
        attestations: Sequence[SignedAttestation],
        *,
        submitter: bytes,
        proofs: Sequence[BatchProof] = (),
    ) -> SettledHead:
        del proofs  # no set has rules here
        check_address(submitter)
        check_words(last_header)
        with self._write() as (rows, number):
            state = self._read_state(rows, number, last_header)
            head, signatures = verify_settlement(state, batch, last_header, attestations, submitter)
            first_height, said = state.head.height + 1, attestations[0].attestation
            rows.put_settled(SettledBatch(first_height, last_header, batch, said, signatures, number, submitter), head)
        return head

    def list_announced(self) -> list[Announced]:
        number = self.get_number()
        with self._read() as rows:
            return rows.list_announced(number)

    def find_page(self, address: bytes) -> tuple[bytes, ...] | None:
        check_address(address)
        with self._read() as rows:
            return rows.find_page(address)

    def force(self, payload: bytes, *, sender: bytes) -> int:
        check_address(sender)
        if len(payload) > MAX_FORCED_PAYLOAD_BYTES:
            raise PayloadTooLarge(MAX_FORCED_PAYLOAD_BYTES, len(payload))
        with self._write() as (rows, number):
            index = rows.get_queue_length()
            rows.append_entry(ForcedEntry(index, sender, number, payload))
        return index

    def void(self, index: int, *, caller: bytes) -> int:
        verify_has_builder(self._genesis)
        with self._write_as_owner(caller) as (rows, number):
            voided_from = rows.get_void(index)
            if voided_from is not None:
                raise AlreadyVoided(index, voided_from)
            effective = compute_void_block(number, rows.get_entry(index).inclusion_block)
            rows.put_void(index, number, effective)
        return effective

    def cancel_void(self, index: int, *, caller: bytes) -> int:
        with self._write_as_owner(caller) as (rows, number):
            effective = verify_cancel(index, rows.get_void(index), number)
            rows.delete_void(index)
        return effective

    def cancel(self, kind: AnnouncementKind, *, caller: bytes) -> int:
        with self._write_as_owner(caller) as (rows, number):
            effective = verify_cancel(ANNOUNCEMENTS.index(kind), rows.find_newest(kind), number)
            rows.take_back(kind, effective)
        return effective

    def change_verifiers(self, verifiers: VerifierSet, *, caller: bytes) -> int:
        for address in verifiers.addresses:
            check_address(address)
        with self._write_as_owner(caller) as (rows, number):
            if verifiers.rules:
                raise ExternalVerifiers
            verifiers = resolve_set(verifiers, rows.find_page)
            if not rows.is_owner_leaving(number):
                rows.put_verifiers(number + CHANGE_DELAY_BLOCKS, verifiers)
        return number + CHANGE_DELAY_BLOCKS

    def register_keys(self, keys: Sequence[bytes], proofs: Sequence[bytes], *, sender: bytes) -> bytes:
        check_address(sender)
        page = verify_page(*encode_page(keys, proofs))
        with self._write() as (rows, _):
            return rows.append_page(page)

    def change_builder(self, builder: bytes, *, caller: bytes) -> int:
        check_address(builder)
        verify_has_builder(self._genesis)
        with self._write_as_owner(caller) as (rows, number):
            verify_builder(builder)
            if not rows.is_owner_leaving(number):
                rows.put_builder(number + CHANGE_DELAY_BLOCKS, builder)
        return number + CHANGE_DELAY_BLOCKS

    def announce_code(self, stf_id: bytes, *, caller: bytes, delay_blocks: int = CHANGE_DELAY_BLOCKS) -> int:
        """As on any L1; this one may be told to wait for fewer blocks, since nobody but its operator relies on it."""
        check_stf_id(stf_id)
        if delay_blocks < 0:
            raise UsageError("a code is announced for now or for later")
        with self._write_as_owner(caller) as (rows, number):
            verify_code(stf_id)
            if not rows.is_owner_leaving(number):
                rows.put_stf_id(number + delay_blocks, stf_id)
        return number + delay_blocks

    def change_owner(self, owner: bytes, *, caller: bytes) -> int:
        check_address(owner)
        with self._write_as_owner(caller) as (rows, number):
            effective = number + CHANGE_DELAY_BLOCKS
            if not rows.is_owner_leaving(number):
                rows.put_owner(effective, owner)
                for kind in ANNOUNCEMENTS:  # what was announced earlier in this very block
                    rows.take_back(kind, effective)
        return effective

    @contextmanager
    def _read(self) -> Iterator[InboxRows]:
        with self._tables.begin() as transaction:
            yield InboxRows(self._tables, transaction)

    @contextmanager
    def _write(self) -> Iterator[tuple[InboxRows, int]]:
        """A transaction and the number of the L1 block that it is in.

        The clock is read once the transaction is alone, so the numbers are in the order of the writes.
        """
        with self._tables.begin(write=True, keep=not self._dry_run) as transaction:
            rows = InboxRows(self._tables, transaction)
            number = max(rows.get_number(), _to_number(self._clock()))
            rows.put_number(number)
            yield rows, number

    @contextmanager
    def _write_as_owner(self, caller: bytes) -> Iterator[tuple[InboxRows, int]]:
        """The same for the owner alone."""
        check_address(caller)
        with self._write() as (rows, number):
            owner = rows.get_owner(number)
            if caller != owner or owner == ZERO_ADDRESS:
                raise NotOwner(owner, caller)
            yield rows, number

    def _read_state(self, rows: InboxRows, number: int, header: Header) -> InboxState:
        length, forced_count = rows.get_queue_length(), header.forced_count
        return InboxState(
            rollup_id=self._rollup_id,
            chain_id=self._genesis.l1_chain_id,
            inbox=ZERO_ADDRESS,
            settled_stf_id=rows.get_settled_stf_id(),
            number=number,
            time=number * SECONDS_PER_BLOCK,
            head=rows.get_head(),
            builder=rows.get_builder(number),
            verifiers=rows.get_verifiers(number),
            queue_length=length,
            forced_hash=rows.get_queue_hash(min(forced_count, length)),
            next_inclusion_block=rows.get_entry(forced_count).inclusion_block if forced_count < length else None,
            stf_id=rows.get_stf_id(header.l1_origin),
        )


def _to_number(seconds: float) -> int:
    return int(seconds) // SECONDS_PER_BLOCK
