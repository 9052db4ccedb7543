"""What a leader appends, and what it does when the log gives no answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Final

import structlog

from microrollup.replication.errors import Fenced, LogMoved, NoAnswer
from microrollup.replication.protocol import Leadership, LogEnd, ReplicatedLog, link

__all__ = ["LeaderLog"]

PATIENCE_SECONDS: Final = 30.0
"""So long a leader looks for an answer; then it stops as a leader, and finds out as a standby."""
_PAUSE_SECONDS: Final = 0.2

_log = structlog.get_logger(__name__)


class LeaderLog:
    """The right to append, as a ledger uses it (`ledger.remote.RemoteLog`). For the writer's thread, but for `stop`."""

    def __init__(self, log: ReplicatedLog, leadership: Leadership, *, patience: float = PATIENCE_SECONDS) -> None:
        self.leadership = leadership
        self.append_seconds = 0.0
        """What the last append took, its answer included."""
        self._log = log
        self._patience = patience
        self._stopping = threading.Event()

    def append(self, number: int, chain: bytes, records: Sequence[bytes], header: bytes | None = None) -> None:
        """Append records from `number` on, after `chain`. On return they are in the log, durably, whoever leads now.

        An answer that does not come is looked for in the log: rows that are there with this chain are confirmed by
        another durable change; if they are not there and the epoch is this node's, they are appended again. Raises
        `Fenced` when another leads and they are not there: what is in memory is void. Raises `NoAnswer` after the
        leader's patience: then nothing is known, and nothing may be acknowledged.
        """
        end, rows = LogEnd(number, chain), link(chain, records)
        started = time.monotonic()
        try:
            self._log.append(self.leadership, end, rows, header)
        except (NoAnswer, LogMoved, Fenced) as error:
            _log.warning("append_unanswered", reason=str(error), record=number)
            self._look(end, rows, header, started + self._patience)
        self.append_seconds = time.monotonic() - started

    def _look(self, end: LogEnd, rows: Sequence[tuple[bytes, bytes]], header: bytes | None, deadline: float) -> None:
        last = end.number + len(rows) - 1
        while True:
            try:
                if self._log.get_chain(last) == rows[-1][0]:
                    self._log.confirm()
                    return
                leader, found = self._log.get_leader(), self._log.get_end()
                if (leader.epoch, leader.node) != (self.leadership.epoch, self.leadership.node):
                    raise Fenced(f"{leader.node} leads since epoch {leader.epoch}: what was not appended is void")
                if found != end:
                    raise Fenced(f"the replicated log went on from record {end.number} in another way")
                self._log.append(self.leadership, end, rows, header)
            except (NoAnswer, LogMoved) as error:
                if self._stopping.wait(_PAUSE_SECONDS) or time.monotonic() > deadline:
                    raise NoAnswer(
                        f"whether records from {end.number} on were appended is not known: {error}"
                    ) from None
            else:
                return

    def stop(self) -> None:
        """Look for no answer any longer; from any thread."""
        self._stopping.set()
