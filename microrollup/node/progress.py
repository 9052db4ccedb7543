"""What becomes durable: noted by the writer's thread after each commit, published before anybody is answered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from microrollup.chain.block import Header
from microrollup.chain.block_entry import is_block_record
from microrollup.chain.envelope_record import is_envelope_record
from microrollup.chain.receipt import Receipt
from microrollup.chain.receipt_proof import decode_receipt
from microrollup.chain.upgrade_entry import is_upgrade_record
from microrollup.errors import StoreCorrupt
from microrollup.execution.authentication import Authenticated, Authenticator
from microrollup.execution.entry import compute_carried_id, decode_forced, is_forced_record
from microrollup.execution.payload import find_carried_record, find_forced_sender
from microrollup.ledger.ledger import Ledger
from microrollup.node.open_entries import LoggedAction, OpenEntries
from microrollup.node.submission import Result
from microrollup.primitives import ZERO_ADDRESS
from microrollup.store.tables import get_block_row, get_receipt, read_records

__all__ = ["LedgerListener", "LedgerProgress"]


class LedgerListener(Protocol):
    """Is told what has become durable, in order, by the writer's thread; before the submitters are."""

    def publish_actions(self, actions: Sequence[LoggedAction]) -> None:
        """These are durable and can be read."""

    def publish_block(self, header: Header) -> None:
        """A block is closed and can be read."""

    def note_commit(self, seconds: float, results: Sequence[Result]) -> None:
        """A group took so long to execute and to commit; what became of it."""

    def note_stopped(self) -> None:
        """Intake has stopped, which the log says already."""


class LedgerProgress:
    """How far the ledger has been published. `open_entries` may be read from any thread.

    A closed block's entries are readable in the store before they leave `open_entries`.
    """

    def __init__(self, ledger: Ledger, publisher: LedgerListener) -> None:
        self._ledger = ledger
        self._publisher = publisher
        self._announced = ledger.checkpoint.height
        self._senders: dict[bytes, tuple[bytes, int | None]] = {}
        self.open_entries: OpenEntries | None = None

    def expect(self, action: Authenticated) -> None:
        """Remember who signed an action that is about to be executed."""
        self._senders[action.action_hash] = (action.sender, action.nonce)

    def forget(self, action: Authenticated) -> None:
        """It was not taken."""
        self._senders.pop(action.action_hash, None)

    def forget_expected(self) -> None:
        """None of them was."""
        self._senders.clear()

    def note(self) -> None:
        """Publish what has become durable since the last time: closed blocks, then entries of the open one."""
        height = self._ledger.checkpoint.height
        for number in range(self._announced + 1, height + 1):
            self._publish_closed(number)
        self._announced = height
        self._publish_open()

    def _publish_closed(self, height: int) -> None:
        """Publish the entries of a closed block that were not published while it was open, then the block."""
        ledger = self._ledger
        row = get_block_row(ledger.environment.reader, ledger.environment.tables, height)
        if row is None:
            raise AssertionError(f"block {height} was closed and is not there")
        known, header = self.open_entries, row.header
        count = len(known.entries) if known is not None and known.height == height else 0
        if count < header.action_count:
            first, tables = header.first_seq + count, ledger.environment.tables
            records = read_records(
                ledger.environment.reader,
                tables,
                ledger.rollup_id,
                row.first_record + count,
                header.action_count - count,
            )
            authenticator = ledger.find_authenticator(header)
            fresh = [
                self._make_entry(seq, height, record, self._read_receipt(seq), authenticator)[0]
                for seq, record in enumerate(records, first)
            ]
            self._publisher.publish_actions(fresh)
        self.open_entries = None
        self._publisher.publish_block(header)

    def _read_receipt(self, seq: int) -> Receipt:
        raw = get_receipt(self._ledger.environment.reader, self._ledger.environment.tables, seq)
        if raw is None:
            raise StoreCorrupt(f"receipts/{seq}", "missing")
        return decode_receipt(raw)

    def _make_entry(
        self, seq: int, height: int, record: bytes, receipt: Receipt, authenticator: Authenticator
    ) -> tuple[LoggedAction, int | None]:
        """An entry as readers have it, and its nonce if it is a signed action's; `authenticator` is its block's."""
        if is_forced_record(record):
            forced = decode_forced(record)
            carried = find_carried_record(forced, receipt.status)
            if carried is None:
                rollup_id = self._ledger.rollup_id
                identity = compute_carried_id(rollup_id, forced, receipt.status, authenticator)
                sender = find_forced_sender(forced, receipt.status)
                return LoggedAction(seq, height, record, receipt, sender, identity), None
            signed = authenticator.authenticate_signed(carried)
            action = LoggedAction(seq, height, record, receipt, signed.sender, signed.action_hash)
            return action, signed.nonce
        if is_block_record(record) or is_envelope_record(record) or is_upgrade_record(record):
            return LoggedAction(seq, height, record, receipt, ZERO_ADDRESS), None
        known = self._senders.pop(receipt.action_hash, None)
        if known is None:  # of a block that was open when the node ended
            found = authenticator.authenticate_signed(record)
            known = (found.sender, found.nonce)
        return LoggedAction(seq, height, record, receipt, known[0]), known[1]

    def _publish_open(self) -> None:
        """Take over the open block's entries that have been committed."""
        block = self._ledger.block
        if block is None:
            return
        entries = self.open_entries
        if entries is None or entries.height != block.open.height:
            entries = OpenEntries(block.open.height, self._ledger.checkpoint.next_seq)
            self.open_entries = entries
        count = len(entries.entries)
        first = entries.first_seq + count
        pairs = zip(block.records[count : block.durable], block.receipts[count : block.durable], strict=True)
        authenticator, height = self._ledger.authenticator, block.open.height
        fresh = [self._make_entry(first + i, height, *pair, authenticator) for i, pair in enumerate(pairs)]
        for entry, nonce in fresh:
            entries.append(entry, nonce)
        if fresh:
            self._publisher.publish_actions([entry for entry, _ in fresh])
