"""When the next batch is cut: at once, or after a time or an amount, and early where somebody needs it.

    due = full  or  a forced action was taken  or  somebody may ask and did
          or  the oldest action waits for `every` seconds  or  the records have `size` bytes
          or  the oldest block is bound to an L1 block of half a day ago

Only blocks that are new since the last look are read. Times are seconds of the builder's clock, as blocks have them.
"""

from __future__ import annotations

import hmac
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from microrollup.chain.block import Block
from microrollup.errors import LimitExceeded
from microrollup.primitives import MAX_BLOCK_RECORD_BYTES
from microrollup.settlement.inbox import MAX_ORIGIN_AGE_BLOCKS

__all__ = ["MAX_BATCH_BLOCKS", "QUIET_BLOCKS", "BatchTiming", "SettleOptions", "SettlementNotDue"]

MAX_BATCH_BLOCKS: Final = 1_000

QUIET_BLOCKS: Final = MAX_ORIGIN_AGE_BLOCKS // 4
"""L1 blocks, half a day of them: what is bound to an older one is settled now, and lacks a quorum for too long."""

_DAY_SECONDS: Final = 86_400.0


class SettleOptions(msgspec.Struct, frozen=True):
    """When batches are settled."""

    every: float = 0.0
    """Seconds that the oldest unsettled action waits for others; 0: nothing waits."""
    size: int | None = None
    """Bytes of records, before compression, that are settled at once; None: as many as a batch holds."""
    urgent_per_day: int = 0
    """So often in 24 hours anybody may ask for a batch at once."""
    urgent_token: str | None = None
    """Who has it may ask at any time."""


class SettlementNotDue(LimitExceeded):
    """A batch was asked for at once, and neither the token nor the day's budget allows it."""


class BatchTiming:
    """Asked by the settler's thread; `ask` by any."""

    def __init__(self, options: SettleOptions, clock: Callable[[], float] = time.time) -> None:
        self.options = options
        self.clock = clock
        self._lock = threading.Lock()
        self._asked: deque[float] = deque()
        self._is_asked = False
        self._oldest_origin: int | None = None
        self._oldest_time: float | None = None
        self._forget(0, 0)

    @property
    def oldest_age(self) -> float:
        """Seconds since the oldest action that is not settled, by its block's time; 0 if there is none. Any thread may
        ask; it is of the last look.
        """
        oldest = self._oldest_time
        return 0.0 if oldest is None else max(0.0, self.clock() - oldest)

    @property
    def waits(self) -> bool:
        """Whether batches wait for anything."""
        return self.options.every > 0

    def ask(self, token: str | None = None) -> int | None:
        """Let the next batch be cut at once; how often anybody may still ask today, None with the token.

        Raises `SettlementNotDue`.
        """
        expected = self.options.urgent_token
        if not self.waits:
            return self.options.urgent_per_day
        with self._lock:
            if token is not None:
                if expected is None or not hmac.compare_digest(token.encode(), expected.encode()):
                    raise SettlementNotDue("the token is not this node's")
                self._is_asked = True
                return None
            now = self.clock()
            while self._asked and self._asked[0] <= now - _DAY_SECONDS:
                self._asked.popleft()
            if len(self._asked) >= self.options.urgent_per_day:
                raise SettlementNotDue(
                    f"without a token {self.options.urgent_per_day} batches may be asked for in 24 hours, and all were"
                )
            if not self._is_asked:
                self._asked.append(now)
            self._is_asked = True
            return self.options.urgent_per_day - len(self._asked)

    def find_reason(
        self, settled: int, forced_count: int, number: int, read_blocks: Callable[[int], Iterable[Block]]
    ) -> str | None:
        """Why a batch after height `settled` is due, with so many forced actions taken by then; None: it is not yet.

        `number` is of the L1 block to come.
        """
        if settled != self._settled:
            self._forget(settled, forced_count)
        for block in read_blocks(self._seen + 1):
            self._note(block)
            if self._seen - settled >= MAX_BATCH_BLOCKS:
                break
        if self._oldest_origin is None:
            return None
        if not self.waits:
            return "nothing waits"
        size = min(self.options.size or MAX_BLOCK_RECORD_BYTES, MAX_BLOCK_RECORD_BYTES)
        reasons = {
            "forced": self._has_forced,
            "asked": self._is_asked,
            "full": self._seen - settled >= MAX_BATCH_BLOCKS or self._bytes >= size,
            "time": self._oldest_time is not None and self.clock() - self._oldest_time >= self.options.every,
            "old": number - self._oldest_origin > QUIET_BLOCKS,
        }
        return next((reason for reason, holds in reasons.items() if holds), None)

    def note_cut(self) -> None:
        """A batch was cut: who asked for one has it."""
        with self._lock:
            self._is_asked = False

    def _note(self, block: Block) -> None:
        self._seen = block.header.height
        self._bytes += sum(map(len, block.records))
        self._has_forced |= block.header.forced_count > self._forced_count
        if self._oldest_origin is None:
            self._oldest_origin = block.open.l1_origin
        if self._oldest_time is None and block.header.action_count:
            self._oldest_time = float(block.header.timestamp)

    def _forget(self, settled: int, forced_count: int) -> None:
        self._settled = self._seen = settled
        self._forced_count = forced_count
        self._bytes = 0
        self._has_forced = False
        self._oldest_origin = self._oldest_time = None
