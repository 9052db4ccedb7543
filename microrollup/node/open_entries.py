"""What the open block holds durably: readable by any thread before the block is closed and the store has it."""

from __future__ import annotations

import msgspec

from microrollup.chain.envelope_record import may_still_come
from microrollup.chain.receipt import Receipt

__all__ = ["LoggedAction", "OpenEntries"]


class LoggedAction(msgspec.Struct, frozen=True):
    """An entry of the log with what became of it."""

    seq: int
    height: int
    record: bytes
    """As the log has it: a signed action's, or a forced one's."""
    receipt: Receipt
    sender: bytes | None = None
    """20-byte address, where it is known without another look at the signature."""
    signed_hash: bytes | None = None
    """In the open block: the identity as a signed action of what was carried through the queue."""


class OpenEntries:
    """The durable entries of one open block. The writer appends; readers see whole entries, in order."""

    def __init__(self, height: int, first_seq: int) -> None:
        self.height = height
        self.first_seq = first_seq
        self.entries: list[LoggedAction] = []
        self.next_nonces: dict[bytes, int] = {}
        """Sender -> next nonce, of the senders in this block."""
        self._by_hash: dict[bytes, LoggedAction] = {}

    def append(self, entry: LoggedAction, nonce: int | None) -> None:
        """Add an entry that has become durable; `nonce` is the one that it took of its sender's."""
        if not may_still_come(entry.record, entry.receipt.status):
            self._by_hash.setdefault(entry.receipt.action_hash, entry)
        if entry.signed_hash is not None:
            self._by_hash.setdefault(entry.signed_hash, entry)
        self.entries.append(entry)
        if nonce is not None and entry.sender is not None:
            self.next_nonces[entry.sender] = nonce + 1

    def find(self, action_hash: bytes) -> LoggedAction | None:
        """The entry of an action."""
        return self._by_hash.get(action_hash)

    def get(self, seq: int) -> LoggedAction | None:
        """The entry at a sequence number."""
        index = seq - self.first_seq
        return self.entries[index] if 0 <= index < len(self.entries) else None
