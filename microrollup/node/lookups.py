"""What readers ask a node: actions, receipts, blocks, values, proofs. Each call reads one snapshot of the store.

Durable entries of the open block are looked up first: a block's entries are in the store before they leave there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec

from microrollup.chain.block import Block, Header, compute_block_hash
from microrollup.chain.block_entry import is_block_record
from microrollup.chain.envelope_record import is_envelope_record
from microrollup.chain.receipt import Receipt
from microrollup.chain.receipt_proof import decode_receipt
from microrollup.chain.record import Seal
from microrollup.chain.upgrade_entry import is_upgrade_record
from microrollup.codec.canonical import encode_canonical
from microrollup.declaration.state import NONCES, StateField
from microrollup.errors import DecodeError, RefusedError, StoreCorrupt, UsageError
from microrollup.execution.entry import decode_forced, is_forced_record
from microrollup.execution.envelope import describe_enveloped
from microrollup.execution.payload import find_carried_record, find_forced_sender
from microrollup.ledger.code import read_manifests
from microrollup.ledger.ledger import Ledger
from microrollup.ledger.paging import PageRequest, StatePage, read_page
from microrollup.ledger.reading import StateProof, get_field, get_field_at, prove_state, read_value, require_retained
from microrollup.node.codes import Codes
from microrollup.node.errors import NotRecorded
from microrollup.node.open_entries import LoggedAction, OpenEntries
from microrollup.primitives import ZERO_ADDRESS
from microrollup.store.environment import Transaction
from microrollup.store.overlays import Overlays
from microrollup.store.spans import Spans
from microrollup.store.tables import (
    BlockRow,
    find_place,
    get_block,
    get_block_records,
    get_block_row,
    get_checkpoint,
    get_log_start,
    get_receipt,
    get_receipts,
    read_records,
)

__all__ = ["ClosedBlock", "Lookups", "Value"]

_MAX_KNOWN_SENDERS: Final = 100_000


class ClosedBlock(msgspec.Struct, frozen=True):
    """A closed block with what became of its entries."""

    header: Header
    hash: bytes
    seal: Seal | None
    """None for genesis only."""
    actions: list[LoggedAction]


class Value(msgspec.Struct, frozen=True):
    """What a state field holds at a key and height."""

    field: StateField
    key: bytes
    exists: bool
    value: Any
    height: int


class Lookups:
    """Reads for any thread."""

    def __init__(self, ledger: Ledger, get_open: Callable[[], OpenEntries | None]) -> None:
        self._ledger = ledger
        self._environment = ledger.environment
        self._spans = Spans()
        self._overlays = Overlays()
        self._rollup = ledger.rollup
        self.codes = Codes(ledger)
        self._get_open = get_open
        self._senders: dict[bytes, bytes] = {}

    # Actions

    def find_action(self, action_hash: bytes) -> LoggedAction:
        """A logged action by its identity. Raises `NotRecorded`."""
        opened = self._get_open()
        found = None if opened is None else opened.find(action_hash)
        if found is not None:
            return found
        with self._environment.snapshot() as txn:
            tables = self._environment.tables
            place = find_place(txn, tables, action_hash, get_checkpoint(txn, tables).next_seq)
            if place is None:
                raise NotRecorded(f"no action 0x{action_hash.hex()}")
            return self._read_action(txn, place.seq, place.height)

    def get_action(self, seq: int) -> LoggedAction:
        """The logged action at a sequence number. Raises `NotRecorded`."""
        opened = self._get_open()
        found = None if opened is None else opened.get(seq)
        if found is not None:
            return found
        with self._environment.snapshot() as txn:
            receipt = get_receipt(txn, self._environment.tables, seq)
            if receipt is None:
                raise NotRecorded(f"no action at seq {seq}")
            return self._read_action(txn, seq, self._find_height(txn, seq, decode_receipt(receipt)))

    def _find_height(self, txn: Transaction, seq: int, receipt: Receipt) -> int:
        """The height of the block of a closed entry."""
        place = find_place(txn, self._environment.tables, receipt.action_hash, seq + 1)
        if place is not None and place.seq == seq:
            return place.height
        height = self._search_height(txn, seq)
        row = self._require_row(txn, height)
        number = row.first_record + seq - row.header.first_seq
        (record,) = read_records(txn, self._environment.tables, self._ledger.rollup_id, number, 1)
        if not is_envelope_record(record):
            raise StoreCorrupt(f"receipts/{seq}", "its action is not in the index")
        return height

    def _search_height(self, txn: Transaction, seq: int) -> int:
        """The same where an envelope did not execute, or had executed before, so that the index does not lead to it."""
        tables = self._environment.tables
        start, highest = get_log_start(txn, tables), get_checkpoint(txn, tables).height
        low = 1 if start is None else start.height + 1
        while low < highest:
            height = (low + highest) // 2
            header = self._require_row(txn, height).header
            if header.first_seq + header.action_count > seq:
                highest = height
            else:
                low = height + 1
        return low

    def _read_action(self, txn: Transaction, seq: int, height: int) -> LoggedAction:
        tables = self._environment.tables
        row = self._require_row(txn, height)
        number = row.first_record + seq - row.header.first_seq
        (record,) = read_records(txn, tables, self._ledger.rollup_id, number, 1)
        receipt = get_receipt(txn, tables, seq)
        if receipt is None:
            raise StoreCorrupt(f"receipts/{seq}", "missing")
        return self._complete(seq, height, record, decode_receipt(receipt))

    def _complete(self, seq: int, height: int, record: bytes, receipt: Receipt) -> LoggedAction:
        return LoggedAction(seq, height, record, receipt, self._find_sender(height, record, receipt))

    def _find_sender(self, height: int, record: bytes, receipt: Receipt) -> bytes:
        """The sender of a record in a block; what a signature gives is remembered for a while."""
        if is_forced_record(record):
            forced = decode_forced(record)
            carried = find_carried_record(forced, receipt.status)
            if carried is None:
                return find_forced_sender(forced, receipt.status)
            record = carried
        if is_block_record(record) or is_envelope_record(record) or is_upgrade_record(record):
            return ZERO_ADDRESS
        action_hash = receipt.action_hash
        sender = self._senders.get(action_hash)
        if sender is None:
            sender = self.codes.get_authenticator(height).authenticate_signed(record).sender
            self.remember_sender(action_hash, sender)
        return sender

    def remember_sender(self, action_hash: bytes, sender: bytes) -> None:
        """Keep a sender for the next reader, so that its signature need not be recovered again."""
        if len(self._senders) >= _MAX_KNOWN_SENDERS:
            self._senders.clear()
        self._senders[action_hash] = sender

    def read_actions(self, first_seq: int, limit: int) -> list[LoggedAction]:
        """Up to `limit` logged actions in order, from a sequence number on, the open block's included."""
        actions: list[LoggedAction] = []
        opened = self._get_open()
        with self._environment.snapshot() as txn:
            tables = self._environment.tables
            end = min(get_checkpoint(txn, tables).next_seq, first_seq + limit)
            seq = first_seq
            while seq < end:
                receipt = get_receipt(txn, tables, seq)
                if receipt is None:
                    raise NotRecorded(f"the action at seq {seq} is not here")
                row = self._require_row(txn, self._find_height(txn, seq, decode_receipt(receipt)))
                last = min(end, row.header.first_seq + row.header.action_count)
                actions += self._read_range(txn, row, seq, last)
                seq = last
        while opened is not None and seq < first_seq + limit:
            found = opened.get(seq)
            if found is None:
                break
            actions.append(found)
            seq += 1
        return actions

    def _read_range(self, txn: Transaction, row: BlockRow, first: int, end: int) -> list[LoggedAction]:
        """Entries of one closed block, from one sequence number up to another."""
        tables, header = self._environment.tables, row.header
        records = read_records(
            txn, tables, self._ledger.rollup_id, row.first_record + first - header.first_seq, end - first
        )
        actions = []
        for seq, record in enumerate(records, first):
            receipt = get_receipt(txn, tables, seq)
            if receipt is None:
                raise StoreCorrupt(f"receipts/{seq}", "missing")
            actions.append(self._complete(seq, header.height, record, decode_receipt(receipt)))
        return actions

    # Blocks

    def get_tip(self) -> int:
        """The height of the newest closed block."""
        with self._environment.snapshot() as txn:
            return get_checkpoint(txn, self._environment.tables).height

    def is_block(self, height: int) -> bool:
        """Whether there is a block of a height: closed, or open with durable entries."""
        opened = self._get_open()
        if opened is not None and opened.height == height and opened.entries:
            return True
        return height <= self.get_tip()  # asked last: a block is in the store before it ceases to be the open one

    def get_header(self, height: int | None) -> Header:
        """The header at a height (the newest by default). Raises `NotRecorded`, `NotRetained`."""
        with self._environment.snapshot() as txn:
            return self._require_row(txn, self._choose(txn, height)).header

    def find_hash(self, height: int) -> bytes | None:
        """The hash of the closed block at a height; None if there is none."""
        try:
            return compute_block_hash(self.get_header(height))
        except NotRecorded:
            return None

    def get_block(self, height: int | None) -> ClosedBlock:
        """A closed block with its entries (the newest by default). Raises `NotRecorded`, `NotRetained`."""
        with self._environment.snapshot() as txn:
            row = self._require_row(txn, self._choose(txn, height))
            header = row.header
            actions = self._read_range(txn, row, header.first_seq, header.first_seq + header.action_count)
        return ClosedBlock(header, compute_block_hash(header), row.seal, actions)

    def read_records(self, height: int) -> tuple[bytes, ...]:
        """The records of all entries of a closed block, by their place in it. Raises `NotRecorded`, `NotRetained`."""
        with self._environment.snapshot() as txn:
            row = self._require_row(txn, self._choose(txn, height))
            return get_block_records(txn, self._environment.tables, self._ledger.rollup_id, row)

    def get_receipts(self, header: Header) -> list[bytes]:
        """The canonical receipts of a closed block."""
        with self._environment.snapshot() as txn:
            return get_receipts(txn, self._environment.tables, header)

    def get_seal(self, height: int) -> Seal | None:
        """The seal of a closed block; None for genesis."""
        with self._environment.snapshot() as txn:
            return self._require_row(txn, height).seal

    def read_manifest(self, stf_id: bytes) -> bytes:
        """The manifest of the running app or of a block's code, by its 32-byte stfId. Raises `NotRecorded`."""
        if stf_id == self._rollup.stf_id:
            return encode_canonical(self._rollup.manifest)
        manifest = read_manifests(self._environment).get(stf_id)
        if manifest is None:
            raise NotRecorded(f"no code here has the stfId 0x{stf_id.hex()}")
        return manifest

    def read_headers(self, first: int, limit: int) -> list[Header]:
        """Up to `limit` headers in order, from a height on."""
        with self._environment.snapshot() as txn:
            tip = get_checkpoint(txn, self._environment.tables).height
            return [self._require_row(txn, height).header for height in range(first, min(tip, first + limit - 1) + 1)]

    def read_blocks(self, first: int, last: int, max_bytes: int) -> list[Block]:
        """Whole blocks in order, as they travel; at least one, then as many as keep their records within `max_bytes`.

        Raises `NotRecorded` if there is none, `NotRetained`.
        """
        blocks: list[Block] = []
        size = 0
        for height in range(first, last + 1):
            with self._environment.snapshot() as txn:
                block = get_block(txn, self._environment.tables, self._ledger.rollup_id, height)
            if block is None:
                break
            size += sum(map(len, block.records))
            if blocks and size > max_bytes:
                break
            blocks.append(block)
        if not blocks:
            raise NotRecorded(f"there is no block {first}")
        return blocks

    def read_closed(self, first: int) -> Iterator[Block]:
        """Every closed block from a height on, those that are closed meanwhile included."""
        height = first
        while height <= self.get_tip():
            yield from self.read_blocks(height, height, 0)
            height += 1

    def _choose(self, txn: Transaction, height: int | None) -> int:
        return get_checkpoint(txn, self._environment.tables).height if height is None else height

    def _require_row(self, txn: Transaction, height: int) -> BlockRow:
        row = get_block_row(txn, self._environment.tables, height) if height < 1 << 64 else None
        if row is None:
            raise NotRecorded(f"there is no block {height}")
        return row

    # State

    def get_field(self, name: str | None, height: int | None = None) -> StateField:
        """A state field by its name, of the version whose state is that at a height, by default the newest; without a
        name, the one settled map. Raises `UsageError`, and `NotRetained` for a height that is not kept.
        """
        if self._ledger.app.previous is None:
            return get_field(self._rollup, name)
        return get_field_at(self._environment, self._ledger.app, name, height)

    def get_value(self, field: StateField, key: bytes, height: int | None) -> Value:
        """What a field holds at a key and height. Raises `NotRetained`, `UsageError`."""
        with self._environment.snapshot() as txn:
            chosen = self._choose(txn, height)
            require_retained(txn, self._environment, chosen, get_checkpoint(txn, self._environment.tables).height)
        value = read_value(self._environment, field, key, chosen, self._spans)
        return Value(field, key, value is not None, value, chosen)

    def read_page(self, request: PageRequest, height: int | None) -> StatePage:
        """A page of a map field. Raises what `ledger.paging.read_page` raises."""
        return read_page(self._environment, request, height, self._overlays)

    def prove(self, field: StateField, key: bytes, height: int | None) -> StateProof:
        """The proof of what a settled field holds. Raises what `prove_state` raises."""
        return prove_state(self._environment, self._ledger.tree, field, key, height, self._spans)

    def get_nonces(self, sender: bytes) -> tuple[int, int]:
        """A sender's next nonce after the newest closed block, and after all that is acknowledged."""
        opened = self._get_open()
        pending = None if opened is None else opened.next_nonces.get(sender)
        stored = read_value(self._environment, NONCES, sender) or 0
        return stored, stored if pending is None else max(stored, pending)

    def describe_enveloped(self, record: bytes, height: int) -> tuple[str | None, dict[str, Any] | None]:
        """Type and members of the action in an envelope's record of the block at a height; None for both where it does
        not open.
        """
        try:
            return describe_enveloped(self.codes.get(height), self.codes.get_authenticator(height).open_record(record))
        except RefusedError:
            return None, None

    def decode_signed(self, record: bytes, height: int) -> dict[str, Any]:
        """The JSON form of a signed action's record of the block at a height. Raises `UsageError` for another
        record.
        """
        types = self.codes.get(height).action_types
        try:
            return types.to_json(types.decode_record(record))
        except DecodeError as error:
            raise UsageError(f"not a signed action: {error}") from None
