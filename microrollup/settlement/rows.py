"""The rows of the local settlement, read and written inside one transaction; damage is told as `StoreCorrupt`.

A row is `value || blake3(key || value)[:8]`: no address, block number or batch is believed with a bit flipped.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Final, Protocol, TypeVar

import lmdb
import msgspec
from blake3 import blake3

from microrollup.chain.block import Header, compute_block_hash
from microrollup.chain.record import Forced, Genesis, decode_genesis
from microrollup.codec.canonical import decode_canonical, encode_canonical
from microrollup.crypto.bls_shares import KEY_BYTES
from microrollup.errors import DecodeError, StoreCorrupt
from microrollup.primitives import Address, Uint64
from microrollup.settlement.attestation import BatchAttestation
from microrollup.settlement.batch import BASED_DATA_HASH, compute_data_hash
from microrollup.settlement.errors import UnknownEntry
from microrollup.settlement.forced import EMPTY_QUEUE_HASH, ForcedEntry, compute_queue_hash, take_entry
from microrollup.settlement.protocol import ANNOUNCED_KINDS, Announced, AnnouncedKind, SettledBatch, SettledHead
from microrollup.settlement.tables import InboxTables
from microrollup.settlement.verifiers import VerifierSet

__all__ = ["FORMAT", "InboxRows", "Meta"]

FORMAT: Final = 4
"""Version of the rows."""

_FIRST_CHECKED_FORMAT: Final = 4
"""From this version on each row carries a check."""

_STF_ID_BYTES: Final = 32
_ADDRESS_BYTES: Final = 20
_CHECK_BYTES: Final = 8
_MAX_ROW_BYTES: Final = 1 << 20
_MAX_NUMBER: Final = (1 << 64) - 1
_GENESIS, _META, _NUMBER, _HEAD = b"genesis", b"meta", b"number", b"head"

_T_co = TypeVar("_T_co", covariant=True)
T = TypeVar("T")


class Meta(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Version of the rows, and the L1 block in which the inbox was created."""

    format: Uint64
    created: Uint64


class _SettledRow(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A `SettledBatch` without the batch, which is in a table of its own: the settling transaction on L1."""

    first_height: Uint64
    header: Header
    attestation: BatchAttestation
    signatures: bytes
    l1_number: Uint64
    submitter: Address


_SETTLED_DECODER: Final = msgspec.msgpack.Decoder(_SettledRow)
_META_DECODER: Final = msgspec.msgpack.Decoder(Meta)
_HEAD_DECODER: Final = msgspec.msgpack.Decoder(SettledHead)
_ENTRY_DECODER: Final = msgspec.msgpack.Decoder(ForcedEntry)
_VERIFIERS_DECODER: Final = msgspec.msgpack.Decoder(VerifierSet)


class InboxRows:
    """The tables as one transaction sees them. Its life is the transaction's."""

    def __init__(self, tables: InboxTables, transaction: lmdb.Transaction[bytes]) -> None:
        self._tables = tables
        self._transaction = transaction

    # What the inbox is, and where it stands.

    def has_genesis(self) -> bool:
        """Whether the inbox was created."""
        return self._transaction.get(_GENESIS, db=self._tables.meta) is not None

    def get_genesis(self) -> Genesis:
        raw = self._get(_GENESIS, self._tables.meta)
        try:
            return decode_genesis(raw or b"")
        except DecodeError as error:
            raise StoreCorrupt("genesis", error.reason) from error

    def get_meta(self) -> Meta:
        raw = self._transaction.get(_META, db=self._tables.meta)
        with suppress(StoreCorrupt):
            meta = _decode(_META_DECODER, raw, "meta")
            if meta.format < _FIRST_CHECKED_FORMAT:
                return meta
        return _decode(_META_DECODER, self._get(_META, self._tables.meta), "meta")

    def put_genesis(self, genesis: Genesis, owner: bytes, stf_id: bytes, head: SettledHead) -> None:
        """Everything that an inbox has on its first day."""
        self._put(_GENESIS, encode_canonical(genesis), self._tables.meta)
        self._put(_META, encode_canonical(Meta(FORMAT, head.l1_number)), self._tables.meta)
        self.put_number(head.l1_number)
        self._put_head(head)
        self.put_owner(0, owner)
        self.put_builder(0, genesis.builder)
        self.put_verifiers(0, VerifierSet(genesis.verifiers, genesis.quorum))
        self.put_stf_id(0, stf_id)

    def get_number(self) -> int:
        """The highest L1 block number that was ever told."""
        return _parse_number(self._get(_NUMBER, self._tables.meta), "number")

    def put_number(self, number: int) -> None:
        self._put(_NUMBER, _to_key(number), self._tables.meta)

    def get_head(self) -> SettledHead:
        return _decode(_HEAD_DECODER, self._get(_HEAD, self._tables.meta), "head")

    def _put_head(self, head: SettledHead) -> None:
        self._put(_HEAD, encode_canonical(head), self._tables.meta)

    # What was settled.

    def put_settled(self, settled: SettledBatch, head: SettledHead) -> None:
        """Store a batch and the head that it leads to."""
        row = _SettledRow(*[getattr(settled, member) for member in _SettledRow.__struct_fields__])
        key = _to_key(settled.header.height)
        self._put(key, encode_canonical(row), self._tables.settled)
        self._put(key, settled.batch, self._tables.batches)
        self._put_head(head)

    def get_settled_at(self, height: int) -> SettledBatch | None:
        """The batch that holds a height above 0, if the disk still gives what was attested."""
        row = self._find_settled(height)
        if row is None:
            return None
        batch = self._get(_to_key(row.header.height), self._tables.batches) or b""
        if row.attestation.data_hash != (compute_data_hash(batch) if batch else BASED_DATA_HASH):
            raise StoreCorrupt("batches", f"the batch up to height {row.header.height} is not the attested one")
        if row.attestation.block_hash != compute_block_hash(row.header):
            raise StoreCorrupt("settled", f"the header of height {row.header.height} is not the attested one")
        return SettledBatch(batch=batch, **msgspec.structs.asdict(row))

    def get_settled_stf_id(self) -> bytes:
        """The 32-byte id of the code of the last settled block; at first, the one that the inbox was created with."""
        height = self.get_head().height
        row = self._find_settled(height) if height > 0 else None
        return self.get_stf_id(0) if row is None else row.header.stf_id

    def get_settled_number(self, height: int) -> int | None:
        """The L1 block in which a height above 0 was settled."""
        row = self._find_settled(height)
        return None if row is None else row.l1_number

    def _find_settled(self, height: int) -> _SettledRow | None:
        with self._transaction.cursor(self._tables.settled) as cursor:
            if not cursor.set_range(_to_key(height)):
                return None
            return _decode(_SETTLED_DECODER, _unpack(cursor.key(), cursor.value()), "settled")

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
        value = self._get(_to_key(length), self._tables.queue)
        if value is None:
            raise StoreCorrupt("queue", f"no hash over {length} entries")
        return value

    def get_entry(self, index: int) -> ForcedEntry:
        """A forced action, checked against the queue's hashes. Raises `UnknownEntry`."""
        if not 0 <= index < self.get_queue_length():
            raise UnknownEntry(self.get_queue_length(), index)
        raw = self._get(_to_key(index), self._tables.entries)
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
        self._put(_to_key(entry.index), encode_canonical(entry), self._tables.entries)
        self._put(length, queue_hash, self._tables.queue)
        self._put(_to_key(entry.inclusion_block), length, self._tables.counts)

    def get_void(self, index: int) -> int | None:
        """The L1 block from which an existing entry is voided, if it is. Raises `UnknownEntry`.

        It is not if another owner takes office between the void's announcement and that block.
        """
        if not 0 <= index < self.get_queue_length():
            raise UnknownEntry(self.get_queue_length(), index)
        value = self._get(_to_key(index), self._tables.voids)
        if value is None:
            return None
        announced, effective = _parse_number(value[:8], "voids"), _parse_number(value[8:], "voids")
        with self._transaction.cursor(self._tables.owners) as cursor:
            succeeded = cursor.set_range(_to_key(announced + 1)) and cursor.key() <= _to_key(effective)
        return None if succeeded else effective

    def is_voided(self, index: int, l1_origin: int) -> bool:
        """Whether the void of an existing entry is in effect at an L1 origin. Raises `UnknownEntry`."""
        effective = self.get_void(index)
        return effective is not None and effective <= l1_origin

    def get_forced(self, index: int, l1_origin: int) -> Forced:
        """An existing entry as a block with this L1 origin takes it. Raises `UnknownEntry`."""
        return take_entry(self.get_entry(index), voided=self.is_voided(index, l1_origin))

    def put_void(self, index: int, announced: int, effective: int) -> None:
        self._put(_to_key(index), _to_key(announced) + _to_key(effective), self._tables.voids)

    def delete_void(self, index: int) -> None:
        self._transaction.delete(_to_key(index), db=self._tables.voids)

    # What the owner can change, each with the L1 block from which it is in effect. The rules are in `RollupInbox.sol`.

    def is_owner_leaving(self, number: int) -> bool:
        """Whether another owner is announced: what is announced from then on never comes into force."""
        return self.find_newest("owner") > number

    def find_newest(self, kind: AnnouncedKind) -> int:
        """The L1 block from which the newest change of a kind is in effect; 0 if there is none."""
        with self._transaction.cursor(self._get_table(kind)) as cursor:
            return _parse_number(cursor.key() if cursor.last() else None, "announcements")

    def take_back(self, kind: AnnouncedKind, effective: int) -> None:
        """Forget the change of a kind that is announced for an L1 block, if there is one."""
        self._transaction.delete(_to_key(effective), db=self._get_table(kind))

    def _get_table(self, kind: AnnouncedKind) -> lmdb._Database:
        all_ = self._tables
        return {"verifiers": all_.verifiers, "builder": all_.builders, "code": all_.codes, "owner": all_.owners}[kind]

    def list_announced(self, number: int) -> list[Announced]:
        """What is not in effect in an L1 block, in the order of the blocks from which it is."""
        found = []
        for kind in ANNOUNCED_KINDS:
            with self._transaction.cursor(self._get_table(kind)) as cursor:
                for key, row in cursor if cursor.set_range(_to_key(number + 1)) else ():
                    raw = _unpack(key, row)
                    value = _decode(_VERIFIERS_DECODER, raw, "verifiers") if kind == "verifiers" else raw
                    found.append(Announced(kind, _parse_number(key, "announcements"), value))
        return sorted(found, key=lambda announced: announced.effective)

    def get_owner(self, number: int) -> bytes:
        return self._get_as_of(self._tables.owners, number)

    def put_owner(self, effective: int, owner: bytes) -> None:
        self._put(_to_key(effective), owner, self._tables.owners)

    def get_builder(self, number: int) -> bytes:
        return self._get_as_of(self._tables.builders, number)

    def put_builder(self, effective: int, builder: bytes) -> None:
        self._put(_to_key(effective), builder, self._tables.builders)

    def get_stf_id(self, number: int) -> bytes:
        """The 32-byte id of the code that is in force at an L1 origin."""
        stf_id = self._get_as_of(self._tables.codes, number)
        if len(stf_id) != _STF_ID_BYTES:
            raise StoreCorrupt("local settlement", "an stfId without 32 bytes")
        return stf_id

    def get_code_since(self, number: int) -> int:
        """The L1 block from which the code of an L1 origin is in force."""
        with self._transaction.cursor(self._tables.codes) as cursor:
            return _parse_number(cursor.key() if self._place_as_of(cursor, number) else None, "codes")

    def put_stf_id(self, effective: int, stf_id: bytes) -> None:
        self._put(_to_key(effective), stf_id, self._tables.codes)

    def get_verifiers(self, number: int) -> VerifierSet:
        return _decode(_VERIFIERS_DECODER, self._get_as_of(self._tables.verifiers, number), "verifiers")

    def put_verifiers(self, effective: int, verifiers: VerifierSet) -> None:
        self._put(_to_key(effective), encode_canonical(verifiers), self._tables.verifiers)

    def append_page(self, keys: Sequence[bytes]) -> bytes:
        """Keep a page of 96-byte BLS keys; returns its 20-byte address, which counts the pages here."""
        number = self._transaction.stat(self._tables.pages)["entries"] + 1
        self._put(_to_key(number), b"".join(keys), self._tables.pages)
        return number.to_bytes(_ADDRESS_BYTES, "big")

    def find_page(self, address: bytes) -> tuple[bytes, ...] | None:
        """The 96-byte keys of the page with a 20-byte address."""
        number = int.from_bytes(address, "big")
        raw = self._get(_to_key(number), self._tables.pages) if number <= _MAX_NUMBER else None
        if raw is None:
            return None
        return tuple([raw[at : at + KEY_BYTES] for at in range(0, len(raw), KEY_BYTES)])

    def _get_as_of(self, table: lmdb._Database, number: int) -> bytes:
        value = self._find_as_of(table, number)
        if value is None:
            raise StoreCorrupt("local settlement", "a table of changes has no first row")
        return value

    def _find_as_of(self, table: lmdb._Database, number: int) -> bytes | None:
        """The value under the greatest key that is at most `number`."""
        with self._transaction.cursor(table) as cursor:
            return _unpack(cursor.key(), cursor.value()) if self._place_as_of(cursor, number) else None

    def _place_as_of(self, cursor: lmdb.Cursor[bytes], number: int) -> bool:
        """Put a cursor on the greatest key that is at most `number`; whether there is one."""
        if not cursor.set_range(_to_key(number)):
            return bool(cursor.last())
        return cursor.key() == _to_key(number) or bool(cursor.prev())

    def _get(self, key: bytes, table: lmdb._Database) -> bytes | None:
        """A row's value. Raises `StoreCorrupt` if it is not what was written."""
        raw = self._transaction.get(key, db=table)
        return None if raw is None else _unpack(key, raw)

    def _put(self, key: bytes, value: bytes, table: lmdb._Database) -> None:
        self._transaction.put(key, value + _compute_check(key, value), db=table)

    # All rows

    def check(self) -> Iterator[tuple[str, int]]:
        """Read everything and compare it; gives each table with its number of rows. Raises `StoreCorrupt`."""
        for name, table in self._tables.list():
            count = 0
            with self._transaction.cursor(table) as cursor:
                for key, raw in cursor:
                    _unpack(key, raw)
                    count += 1
            yield name, count
        self.get_genesis()
        head, below = self.get_head(), 0
        while below < head.height:
            settled = self.get_settled_at(below + 1)
            if settled is None or not settled.first_height == below + 1 <= settled.header.height:
                raise StoreCorrupt("settled", f"no batch begins at height {below + 1}")
            below = settled.header.height
            if below == head.height and compute_block_hash(settled.header) != head.block_hash:
                raise StoreCorrupt("head", "is not the last settled block")
        for index in range(self.get_queue_length()):
            self.get_entry(index)


class _Decoder(Protocol[_T_co]):
    def decode(self, buf: bytes, /) -> _T_co: ...


def _decode(decoder: _Decoder[T], raw: bytes | None, where: str) -> T:
    if raw is None:
        raise StoreCorrupt(where, "the row is missing")
    try:
        return decode_canonical(decoder, raw, what=where, limit=_MAX_ROW_BYTES)
    except DecodeError as error:
        raise StoreCorrupt(where, error.reason) from error


def _compute_check(key: bytes, value: bytes) -> bytes:
    check: bytes = blake3(key + value).digest(_CHECK_BYTES)
    return check


def _unpack(key: bytes, raw: bytes) -> bytes:
    """The value of a row, which carries 8 bytes of BLAKE3 over key and value. Raises `StoreCorrupt`."""
    value = raw[:-_CHECK_BYTES]
    if len(raw) < _CHECK_BYTES or _compute_check(key, value) != raw[-_CHECK_BYTES:]:
        raise StoreCorrupt("local settlement", f"the row 0x{key.hex()} is not what was written")
    return value


def _to_key(number: int) -> bytes:
    """Numbers that no row has go to the nearest end, so that a question about them is answered like any other."""
    return min(max(number, 0), _MAX_NUMBER).to_bytes(8, "big")


def _parse_number(raw: bytes | None, where: str) -> int:
    if raw is None or len(raw) != 8:
        raise StoreCorrupt(where, "not a number of 8 bytes")
    return int.from_bytes(raw, "big")
