"""The block that is being filled."""

from __future__ import annotations

from microrollup.receipt import Receipt
from microrollup.record import Open
from microrollup.stf import BlockContext

__all__ = ["OpenBlock"]


class OpenBlock:
    """The block that is being filled."""

    __slots__ = (
        "context", "first_record", "forced_count", "forced_hash", "open", "receipts", "record_bytes", "records",
        "replayed",
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
        self.record_bytes = 0
        self.replayed = False
        """Its entries come from the log, where a `Close` followed them: nothing may be added any more."""
