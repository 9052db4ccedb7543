"""Closed blocks as indexes see them: receipts, state and changes, read from a store when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

from microrollup.chain.block import Header
from microrollup.chain.carrier import CARRIER_EVENT
from microrollup.chain.receipt import STATUS_NAMES, Receipt
from microrollup.chain.receipt_proof import decode_receipt
from microrollup.codec.schema import describe_struct
from microrollup.codec.values import compile_codec
from microrollup.declaration.action import Action, Event
from microrollup.declaration.index import BlockReceipt, Change, QueueEntry
from microrollup.declaration.map import Map, StoreFault
from microrollup.declaration.rollup import MicroRollup
from microrollup.declaration.state import State, StateField
from microrollup.errors import DecodeError, StoreCorrupt, StoreError
from microrollup.execution.authentication import Authenticator
from microrollup.execution.entry import decode_forced, is_forced_record
from microrollup.ledger.entries import read_log_entry
from microrollup.ledger.genesis import read_genesis
from microrollup.ledger.viewing import ReadFault, make_view
from microrollup.store.environment import Environment, Transaction, encode_number
from microrollup.store.overlays import read_row_changes
from microrollup.store.row_changes import RowChange
from microrollup.store.row_check import unpack_row
from microrollup.store.rows_at import RowsAt
from microrollup.store.spans import Spans
from microrollup.store.tables import get_block_row, get_receipts, get_record

__all__ = ["BlockReader", "FirstBlock", "StateWanted", "StoredBlock", "find_field"]

PART_ENTRIES: Final = 4_000
"""Entries of one part of an index's first block."""


class StateWanted(StoreFault):
    """An index asks for the state, or for what has changed in it, at a height where the store has it no more."""


@contextmanager
def store_faults() -> Iterator[None]:
    """What the store says, as what no index can take for an error of its own."""
    try:
        yield
    except StoreError as error:
        raise ReadFault(error) from error


class BlockReader:
    """Reads blocks of one store. For one thread."""

    def __init__(self, rollup: MicroRollup, environment: Environment) -> None:
        self.rollup = rollup
        self.environment = environment
        self.genesis = genesis = read_genesis(environment)
        self.rollup_id = read_header_id(environment)
        self._authenticator = Authenticator.of(rollup, genesis.domain)
        self._events = TypedEvents(rollup)
        self.spans = Spans()

    def read_block(self, txn: Transaction, header: Header) -> StoredBlock:
        """A closed block. Its state and changes are there if its undo is: else they raise `StateWanted`."""
        key = encode_number(header.height)
        whole = txn.get(key, db=self.environment.tables["undo_checkpoint"]) is not None
        return StoredBlock(self, txn, header, whole=whole)

    def iterate_parts(self, txn: Transaction, header: Header) -> Iterator[FirstBlock]:
        """The parts of a first block: each entry of the state at its height as new."""
        for field in self.rollup.state_type.fields:
            if not field.is_map:
                continue
            rows = RowsAt(txn, self.environment.tables, header.height, self.spans)
            part: list[RowChange] = []
            for key, value in rows.iterate(field.row_prefix):
                part.append(RowChange(key, None, value))
                if len(part) == PART_ENTRIES:
                    yield FirstBlock(self, txn, header, part)
                    part = []
            if part:
                yield FirstBlock(self, txn, header, part)

    def read_receipts(self, txn: Transaction, header: Header) -> tuple[BlockReceipt, ...]:
        """What became of a block's entries. Raises `StoreCorrupt`, `NotRetained`."""
        tables = self.environment.tables
        row = get_block_row(txn, tables, header.height)
        first = 0 if row is None else row.first_record
        offset = first - header.first_seq
        read = partial(self._read_entry, txn, header, offset)
        read_queued = partial(self._read_queued, txn, offset)
        receipts = [decode_receipt(raw) for raw in get_receipts(txn, tables, header)]
        return tuple(
            [
                BlockReceipt(
                    receipt.seq, receipt.action_hash, STATUS_NAMES[receipt.status], receipt.reason,
                    self._events.decode_all(receipt), read, read_queued,
                )
                for receipt in receipts
            ]
        )  # fmt: skip

    def _read_entry(self, txn: Transaction, header: Header, offset: int, seq: int) -> tuple[bytes, Action | None]:
        """Sender and action of a logged entry. Raises `ReadFault`."""
        with store_faults():
            record = self._get_record(txn, seq + offset)
            index = seq - header.first_seq
            entry = read_log_entry(self.rollup, self.rollup_id, self._authenticator, record, header.height, index)
        return entry.sender, entry.action if isinstance(entry.action, Action) else None

    def _read_queued(self, txn: Transaction, offset: int, seq: int) -> QueueEntry | None:
        """What lay in the inbox's queue. Raises `ReadFault`."""
        with store_faults():
            record = self._get_record(txn, seq + offset)
            if not is_forced_record(record):
                return None
            try:
                forced = decode_forced(record)
            except DecodeError as error:
                raise StoreCorrupt(f"log/{seq + offset}", error.reason) from None
        return QueueEntry(forced.index, forced.payload)

    def _get_record(self, txn: Transaction, number: int) -> bytes:
        record = get_record(txn, self.environment.tables, number)
        if record is None:
            raise StoreCorrupt(f"log/{number}", "missing")
        return record


def read_header_id(environment: Environment) -> bytes:
    """The rollup id of a store, 32 bytes."""
    row = get_block_row(environment.reader, environment.tables, 0)
    if row is None:
        raise StoreCorrupt("blocks/0", "missing")
    return row.header.rollup_id


class TypedEvents:
    """From a receipt's events to instances of the app's own classes."""

    def __init__(self, rollup: MicroRollup) -> None:
        self._classes = rollup.event_classes
        self._decoders: dict[str, Callable[[bytes], Event]] = {}

    def decode_all(self, receipt: Receipt) -> tuple[Event, ...]:
        """The app's events of a receipt: a carrier's is not one. Raises `StoreCorrupt` for one that the app does not
        have.
        """
        return tuple([self._decode(name, raw) for name, raw in receipt.events if name != CARRIER_EVENT])

    def _decode(self, name: str, raw: bytes) -> Event:
        decode = self._decoders.get(name)
        if decode is None:
            cls = self._classes.get(name)
            if cls is None:
                raise StoreCorrupt("receipts", f"the app has no event {name}")
            decode = self._decoders[name] = compile_codec(describe_struct(cls, where="event")).decode
        return decode(raw)


class StoredBlock:
    """A block of a store (a `IndexBlockSource`), for as long as the transaction lasts."""

    def __init__(self, reader: BlockReader, txn: Transaction, header: Header, *, whole: bool) -> None:
        self.height = header.height
        self.timestamp = header.timestamp
        self.header = header
        self._reader = reader
        self._txn = txn
        self.is_whole = whole
        """Whether its state and its changes are there."""
        self._state: State | None = None
        self._rows: dict[bytes, list[RowChange]] | None = None

    @property
    def size(self) -> int:
        """Receipts and changed rows: what an index has to look at."""
        return self.header.action_count + (sum(map(len, self._list_rows().values())) if self.is_whole else 0)

    def read_header(self) -> Header:
        """The words of its header."""
        return self.header

    def read_first_builder(self) -> bytes:
        """The builder of the rollup's genesis."""
        return self._reader.genesis.builder

    def read_state(self) -> State:
        """The app's state after the block. Raises `StateWanted`, `ReadFault`."""
        if not self.is_whole:
            raise StateWanted
        state = self._state
        if state is None:
            reader = self._reader
            with store_faults():
                view = make_view(reader.rollup, self._txn, reader.environment, self.height, reader.spans)
            state = self._state = view.state
        return state

    def read_receipts(self) -> tuple[BlockReceipt, ...]:
        """All receipts, in order. Raises `ReadFault`."""
        with store_faults():
            return self._reader.read_receipts(self._txn, self.header)

    def list_changes(self, entries: Map[Any, Any]) -> list[Change[Any, Any]]:
        """What the block changed in a map of the state. Raises `TypeError` for another map, `ReadFault`."""
        field = find_field(self._reader.rollup, self.read_state(), entries)
        with store_faults():
            return [_read_change(field, row) for row in self._list_rows().get(field.row_prefix, [])]

    def _list_rows(self) -> dict[bytes, list[RowChange]]:
        """By the two bytes that stand for a field, each in the order of keys."""
        if self._rows is None:
            self._rows = _group(self._read_rows())
        return self._rows

    def _read_rows(self) -> list[RowChange]:
        return read_row_changes(self._txn, self._reader.environment.tables, self.height)


class FirstBlock(StoredBlock):
    """A part of an index's first block: some entries of the state, all new."""

    def __init__(self, reader: BlockReader, txn: Transaction, header: Header, part: list[RowChange]) -> None:
        super().__init__(reader, txn, header, whole=True)
        self._rows = _group(part, packed=False)

    def read_receipts(self) -> tuple[BlockReceipt, ...]:
        """None: they are those of blocks before the index."""
        return ()


def find_field(rollup: MicroRollup, state: State, entries: Map[Any, Any]) -> StateField:
    """The field of a state that holds a map. Raises `TypeError` for another map."""
    for field in rollup.state_type.fields:
        if field.is_map and field.read(state) is entries:
            return field
    raise TypeError("changes takes a map of block.state, as in block.changes(block.state.plans)")


def _group(rows: list[RowChange], *, packed: bool = True) -> dict[bytes, list[RowChange]]:
    """Rows by field, their values without checks. Raises `StoreCorrupt` for one that does not fit its check."""
    groups: dict[bytes, list[RowChange]] = {}
    for row in sorted(rows):
        found = RowChange(row.key, _unpack(row.key, row.old), _unpack(row.key, row.new)) if packed else row
        groups.setdefault(row.key[:2], []).append(found)
    return groups


def _unpack(key: bytes, stored: bytes | None) -> bytes | None:
    try:
        return None if stored is None else unpack_row(key, stored)
    except DecodeError as error:
        raise StoreCorrupt(f"changes/0x{key.hex()}", error.reason) from None


def _read_change(field: StateField, row: RowChange) -> Change[Any, Any]:
    try:
        return Change(
            field.decode_key(row.key[len(field.row_prefix) :]),
            None if row.old is None else field.decode_row(row.old),
            None if row.new is None else field.decode_row(row.new),
        )
    except DecodeError as error:
        raise StoreCorrupt(f"changes/0x{row.key.hex()}", error.reason) from None
