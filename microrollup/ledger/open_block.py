"""The block that is being filled."""

from __future__ import annotations

from collections.abc import Sequence

from microrollup.chain.block_entry import BLOCK_RECORD
from microrollup.chain.receipt import EXECUTED, INVALID_FORCED, Receipt
from microrollup.chain.record import Open
from microrollup.errors import StoreError
from microrollup.execution.block_context import BlockContext
from microrollup.execution.entry import decode_forced
from microrollup.execution.stf import Entry
from microrollup.execution.upgrading import Upgraded
from microrollup.settlement.forced import compute_queue_hash

__all__ = ["OpenBlock"]


class OpenBlock:
    """The block that is being filled."""

    __slots__ = (
        "carried", "carried_senders", "context", "cut", "durable", "first_record", "forced_count", "forced_hash",
        "given_count", "open", "receipts", "record_bytes", "records", "replayed", "round", "upgraded",
    )  # fmt: skip

    def __init__(self, opened: Open, first_record: int, context: BlockContext, forced: tuple[int, bytes]) -> None:
        self.open = opened
        self.first_record = first_record
        """Record number of the first entry."""
        self.context = context
        self.forced_count, self.forced_hash = forced
        """The queue as the block's entries so far have taken it."""
        self.records: list[bytes] = []
        self.receipts: list[Receipt] = []
        self.carried: list[tuple[int, bytes]] = []
        """Sequence number, and identity as a signed action or as an envelope, of each entry of the queue that is one;
        of envelopes only those that executed."""
        self.carried_senders: set[bytes] = set()
        """Whose nonces moved by what came through the queue."""
        self.given_count = 0
        """Its entries but for those that were taken of carriers."""
        self.record_bytes = 0
        """Of these."""
        self.durable = 0
        """How many of its entries the log holds."""
        self.replayed = False
        """Its entries come from the log, where a `Close` followed them: nothing may be added any more."""
        self.cut = False
        """A due forced action exceeds what the block may change: the block takes nothing more, and the next opens with
        that action."""
        self.round = 0
        """How often this height was rebuilt: what its seal says."""
        self.upgraded: Upgraded | None = None
        """What its upgrade entries have done, if it has some; then it takes nothing else."""

    @property
    def is_idle(self) -> bool:
        """Whether no action is in it: there is no need to close it."""
        return self.records in ([], [BLOCK_RECORD])

    def note(self, entries: Sequence[Entry], receipts: Sequence[Receipt]) -> None:
        """Take over entries that were executed."""
        self.records += [entry.record for entry in entries]
        self.receipts += receipts
        for entry, receipt in zip(entries, receipts, strict=True):
            if entry.kind == "carried":
                self.carried_senders.add(entry.sender)
                continue
            self.given_count += 1
            self.record_bytes += len(entry.record)
            if entry.kind != "forced":
                continue
            forced = decode_forced(entry.record)
            self.forced_count += 1
            self.forced_hash = compute_queue_hash(
                self.forced_hash, forced.sender, forced.inclusion_block, forced.payload
            )
            if entry.signed_hash is None or receipt.status == INVALID_FORCED:
                continue
            if entry.nonce is not None:
                self.carried.append((receipt.seq, entry.signed_hash))
                self.carried_senders.add(entry.sender)
            elif receipt.status == EXECUTED:  # an envelope that did not execute may still come
                self.carried.append((receipt.seq, entry.signed_hash))

    def check_begin(self, *, hooked: bool) -> None:
        """Raises `StoreError` unless the block's own entry is there once, as the first, where the app has a hook."""
        if self.upgraded is not None:
            hooked = False
        if self.records[:1].count(BLOCK_RECORD) != hooked or self.records.count(BLOCK_RECORD) != hooked:
            wrong = "does not begin with its own entry" if hooked else "has an entry of its own; the app has no hook"
            raise StoreError(f"block {self.open.height} {wrong}")
