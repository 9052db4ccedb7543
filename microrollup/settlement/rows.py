"""The rows of the local settlement, read and written inside one transaction; damage is told as `StoreCorrupt`."""

from __future__ import annotations

from typing import Final, Protocol, TypeVar

import lmdb
import msgspec

from microrollup.block import Header, compute_block_hash
from microrollup.codec.canonical import decode_canonical, encode_canonical
from microrollup.errors import DecodeError, StoreCorrupt
from microrollup.primitives import Address, Uint64
from microrollup.record import Genesis, decode_genesis
from microrollup.settlement.attestation import SignedAttestation
from microrollup.settlement.batch import compute_data_hash
from microrollup.settlement.errors import UnknownEntry
from microrollup.settlement.forced import EMPTY_QUEUE_HASH, ForcedEntry, compute_queue_hash
from microrollup.settlement.protocol import SettledBatch, SettledHead, VerifierSet
from microrollup.settlement.tables import Tables

__all__ = ["FORMAT", "Meta", "Rows"]

FORMAT: Final = 1
"""Version of the rows."""

_MAX_ROW_BYTES: Final = 1 << 20
_MAX_NUMBER: Final = (1 << 64) - 1
_GENESIS, _META, _NUMBER, _HEAD = b"genesis", b"meta", b"number", b"head"

T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")


class Meta(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Version of the rows, and the L1 block in which the inbox was created."""

    format: Uint64
    created: Uint64


class _SettledRow(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What stands for the settling transaction on L1; the batch itself stands in a table of its own."""

    first_height: Uint64
    header: Header
    attestations: tuple[SignedAttestation, ...]
    l1_number: Uint64
    submitter: Address


_SETTLED_DECODER: Final = msgspec.msgpack.Decoder(_SettledRow)
_META_DECODER: Final = msgspec.msgpack.Decoder(Meta)
_HEAD_DECODER: Final = msgspec.msgpack.Decoder(SettledHead)
_ENTRY_DECODER: Final = msgspec.msgpack.Decoder(ForcedEntry)
_VERIFIERS_DECODER: Final = msgspec.msgpack.Decoder(VerifierSet)


class Rows:
    """The tables as one transaction sees them. Its life is the transaction's."""

    def __init__(self, tables: Tables, transaction: lmdb.Transaction[bytes]) -> None:
        self._tables = tables
        self._transaction = transaction

    # What the inbox is, and where it stands.

    def has_genesis(self) -> bool:
        """Whether the inbox was created."""
        return self._transaction.get(_GENESIS, db=self._tables.meta) is not None

    def get_genesis(self) -> Genesis:
        raw = self._transaction.get(_GENESIS, db=self._tables.meta)
        try:
            return decode_genesis(raw or b"")
        except DecodeError as error:
            raise StoreCorrupt("genesis", error.reason) from error

    def get_meta(self) -> Meta:
        return _decode(_META_DECODER, self._transaction.get(_META, db=self._tables.meta), "meta")

    def put_genesis(self, genesis: Genesis, owner: bytes, head: SettledHead) -> None:
        """Everything that an inbox has on its first day."""
        self._transaction.put(_GENESIS, encode_canonical(genesis), db=self._tables.meta)
        self._transaction.put(_META, encode_canonical(Meta(FORMAT, head.l1_number)), db=self._tables.meta)
        self.put_number(head.l1_number)
        self._put_head(head)
        self.put_owner(0, owner)
        self.put_builder(0, genesis.builder)
        self.put_verifiers(0, VerifierSet(genesis.verifiers, genesis.quorum))

    def get_number(self) -> int:
        """The highest L1 block number that was ever told."""
        return _parse_number(self._transaction.get(_NUMBER, db=self._tables.meta), "number")

    def put_number(self, number: int) -> None:
        self._transaction.put(_NUMBER, _to_key(number), db=self._tables.meta)

    def get_head(self) -> SettledHead:
        return _decode(_HEAD_DECODER, self._transaction.get(_HEAD, db=self._tables.meta), "head")

    def _put_head(self, head: SettledHead) -> None:
        self._transaction.put(_HEAD, encode_canonical(head), db=self._tables.meta)

    # What was settled.

    def put_settled(self, settled: SettledBatch, head: SettledHead) -> None:
        """Store a batch and the head that it leads to."""
        row = _SettledRow(
            settled.first_height, settled.header, settled.attestations, settled.l1_number, settled.submitter
        )
        key = _to_key(settled.header.height)
        self._transaction.put(key, encode_canonical(row), db=self._tables.settled)
        self._transaction.put(key, settled.batch, db=self._tables.batches)
        self._put_head(head)

    def get_settled_at(self, height: int) -> SettledBatch | None:
        """The batch that holds a height above 0, if the disk still gives what was attested."""
        row = self._find_settled(height)
        if row is None:
            return None
        batch = self._transaction.get(_to_key(row.header.height), default=b"", db=self._tables.batches)
        attested = row.attestations[0].attestation
        if attested.data_hash != compute_data_hash(batch):
            raise StoreCorrupt("batches", f"the batch up to height {row.header.height} is not the attested one")
        if attested.block_hash != compute_block_hash(row.header):
            raise StoreCorrupt("settled", f"the header of height {row.header.height} is not the attested one")
        return SettledBatch(row.first_height, row.header, batch, row.attestations, row.l1_number, row.submitter)

    def get_settled_number(self, height: int) -> int | None:
        """The L1 block in which a height above 0 was settled."""
        row = self._find_settled(height)
        return None if row is None else row.l1_number

    def _find_settled(self, height: int) -> _SettledRow | None:
        with self._transaction.cursor(self._tables.settled) as cursor:
            if not cursor.set_range(_to_key(height)):
                return None
            row = _decode(_SETTLED_DECODER, cursor.value(), "settled")
        if not row.attestations:
            raise StoreCorrupt("settled", f"no attestations for height {row.header.height}")
        return row

    # The queue of forced actions.

    def get_queue_length(self) -> int:
        return self._transaction.stat(self._tables.entries)["entries"]

    def get_forced_count(self, up_to_block: int) -> int:
        """Length of the queue at the end of an L1 block."""
        value = self._find_as_of(self._tables.counts, up_to_block)
        return 0 if value is None else _parse_number(value, "counts")

    def get_queue_hash(self, length: int) -> bytes:
        """The hash over the first `length` entries. Raises `UnknownEntry`."""
        if not 0 <= length <= self.get_queue_length():
            raise UnknownEntry(self.get_queue_length(), length)
        if length == 0:
            return EMPTY_QUEUE_HASH
        value = self._transaction.get(_to_key(length), db=self._tables.queue)
        if value is None:
            raise StoreCorrupt("queue", f"no hash over {length} entries")
        return value

    def get_entry(self, index: int) -> ForcedEntry:
        """A forced action, checked against the queue's hashes. Raises `UnknownEntry`."""
        if not 0 <= index < self.get_queue_length():
            raise UnknownEntry(self.get_queue_length(), index)
        raw = self._transaction.get(_to_key(index), db=self._tables.entries)
        entry = _decode(_ENTRY_DECODER, raw, "entries")
        if entry.index != index or self._compute_queue_hash(entry) != self.get_queue_hash(index + 1):
            raise StoreCorrupt("entries", f"entry {index} is not what the queue's hash says")
        return entry

    def _compute_queue_hash(self, entry: ForcedEntry) -> bytes:
        return compute_queue_hash(self.get_queue_hash(entry.index), entry.sender, entry.inclusion_block, entry.payload)

    def append_entry(self, entry: ForcedEntry) -> None:
        """Append to the queue; the entry's index is the queue's length."""
        queue_hash = self._compute_queue_hash(entry)
        length = _to_key(entry.index + 1)
        self._transaction.put(_to_key(entry.index), encode_canonical(entry), db=self._tables.entries)
        self._transaction.put(length, queue_hash, db=self._tables.queue)
        self._transaction.put(_to_key(entry.inclusion_block), length, db=self._tables.counts)

    def get_void(self, index: int) -> int | None:
        """The L1 block from which an existing entry is voided, if it is. Raises `UnknownEntry`."""
        if not 0 <= index < self.get_queue_length():
            raise UnknownEntry(self.get_queue_length(), index)
        value = self._transaction.get(_to_key(index), db=self._tables.voids)
        return None if value is None else _parse_number(value, "voids")

    def put_void(self, index: int, effective: int) -> None:
        self._transaction.put(_to_key(index), _to_key(effective), db=self._tables.voids)

    # What the owner can change, each with the L1 block from which it is in effect.

    def get_owner(self, number: int) -> bytes:
        return self._get_as_of(self._tables.owners, number)

    def put_owner(self, effective: int, owner: bytes) -> None:
        self._transaction.put(_to_key(effective), owner, db=self._tables.owners)

    def get_builder(self, number: int) -> bytes:
        return self._get_as_of(self._tables.builders, number)

    def put_builder(self, effective: int, builder: bytes) -> None:
        self._transaction.put(_to_key(effective), builder, db=self._tables.builders)

    def get_verifiers(self, number: int) -> VerifierSet:
        return _decode(_VERIFIERS_DECODER, self._get_as_of(self._tables.verifiers, number), "verifiers")

    def put_verifiers(self, effective: int, verifiers: VerifierSet) -> None:
        self._transaction.put(_to_key(effective), encode_canonical(verifiers), db=self._tables.verifiers)

    def _get_as_of(self, table: lmdb._Database, number: int) -> bytes:
        value = self._find_as_of(table, number)
        if value is None:
            raise StoreCorrupt("local settlement", "a table of changes has no first row")
        return value

    def _find_as_of(self, table: lmdb._Database, number: int) -> bytes | None:
        """The value under the greatest key that is at most `number`."""
        with self._transaction.cursor(table) as cursor:
            if not cursor.set_range(_to_key(number)):
                return cursor.value() if cursor.last() else None
            return cursor.value() if cursor.key() == _to_key(number) or cursor.prev() else None


class _Decoder(Protocol[T_co]):
    def decode(self, buf: bytes, /) -> T_co: ...


def _decode(decoder: _Decoder[T], raw: bytes | None, where: str) -> T:
    if raw is None:
        raise StoreCorrupt(where, "the row is missing")
    try:
        return decode_canonical(decoder, raw, what=where, limit=_MAX_ROW_BYTES)
    except DecodeError as error:
        raise StoreCorrupt(where, error.reason) from error


def _to_key(number: int) -> bytes:
    """Numbers that no row has go to the nearest end, so that a question about them is answered like any other."""
    return min(max(number, 0), _MAX_NUMBER).to_bytes(8, "big")


def _parse_number(raw: bytes | None, where: str) -> int:
    if raw is None or len(raw) != 8:
        raise StoreCorrupt(where, "not a number of 8 bytes")
    return int.from_bytes(raw, "big")
