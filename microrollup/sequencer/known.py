"""What the sequencer knows of actions by their hash: where they are in the log, and which hit a limit."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Final

from microrollup.chain.envelope_record import may_still_come
from microrollup.chain.receipt import Receipt
from microrollup.errors import ActionLimit, DuplicateAction, NonceUsed, RefusedError
from microrollup.execution.authentication import Authenticated
from microrollup.ledger.ledger import Ledger
from microrollup.ledger.open_block import OpenBlock
from microrollup.store.environment import map_errors
from microrollup.store.tables import find_place

__all__ = ["KnownActions"]


LIMITED_SECONDS: Final = 600.0
"""So long an action that hit a limit is refused at once when the same one comes again."""

MAX_LIMITED: Final = 4_096
"""Actions that are remembered for it; each took its sender's turn for as long as the limit allows."""


class KnownActions:
    """The actions of the open block, which no table knows yet, and those of all closed ones."""

    def __init__(self, ledger: Ledger, clock: Callable[[], float] = time.monotonic) -> None:
        self._ledger: Final = ledger
        self._clock: Final = clock
        self._limited: OrderedDict[bytes, tuple[float, str]] = OrderedDict()
        """Action hash -> when the limit was hit, and which; the oldest first."""
        self._open: dict[bytes, int] = {}

    def remember(self, receipts: Sequence[Receipt]) -> None:
        """These are executed in the open block."""
        self._open.update([(receipt.action_hash, receipt.seq) for receipt in receipts])

    def remember_block(self, block: OpenBlock) -> None:
        """All that an open block holds is executed, but for envelopes that were not taken; what was carried is known as
        a signed action, or as an envelope, too.
        """
        places = [
            (receipt.seq, receipt.action_hash)
            for record, receipt in zip(block.records, block.receipts, strict=True)
            if not may_still_come(record, receipt.status)
        ]
        for seq, action_hash in sorted(places + block.carried):
            self._open.setdefault(action_hash, seq)

    def note_closed(self) -> None:
        """The block is closed: the store's index has its actions."""
        self._open.clear()

    def remember_limit(self, action_hash: bytes, limit: str) -> None:
        """Note that an action hit a limit: it need not be executed to be refused again."""
        self._limited[action_hash] = (self._clock(), limit)
        if len(self._limited) > MAX_LIMITED:
            self._limited.popitem(last=False)

    def find_limit(self, action_hash: bytes) -> str | None:
        """Which limit an action hit in the last `LIMITED_SECONDS`; None if none."""
        if not self._limited:  # the rule
            return None
        hit = self._limited.get(action_hash)
        if hit is None:
            return None
        if self._clock() - hit[0] > LIMITED_SECONDS:
            del self._limited[action_hash]
            return None
        return hit[1]

    def explain_limit(self, action_hash: bytes) -> ActionLimit:
        """Why an action is refused that hit a limit before."""
        limit = self.find_limit(action_hash)
        return ActionLimit(f"executing it hit the limit of {limit} a short time ago; sign another action")

    def explain_late(self, action: Authenticated, expected: int) -> RefusedError:
        """Why an action is refused whose nonce is below the next one. Raises `StoreCorrupt`."""
        seq = self.find(action.action_hash)
        if seq is not None:
            return DuplicateAction(f"this action is in the log already, at seq {seq}", seq)
        return NonceUsed(f"nonce {action.nonce} was used by another action; the next one is {expected}")

    def is_executed(self, action_hash: bytes) -> bool:
        """Whether an envelope of this identity has executed; one that did not, as after a rebuild, may come again.

        Raises `StoreCorrupt`.
        """
        return self.find(action_hash) is not None

    def find(self, action_hash: bytes) -> int | None:
        """The sequence number of a logged action; None if there is none. Raises `StoreCorrupt`."""
        seq = self._open.get(action_hash)
        if seq is not None:
            return seq
        environment = self._ledger.environment
        with map_errors(environment.directory):
            place = find_place(environment.reader, environment.tables, action_hash, self._ledger.checkpoint.next_seq)
        return None if place is None else place.seq
