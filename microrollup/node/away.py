"""A node whose L1 does not answer at its start: it serves what its store holds, and takes nothing until L1 is there."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

import structlog

from microrollup.ledger.ledger import Ledger
from microrollup.node.known_l1 import L1Standing
from microrollup.node.open_entries import OpenEntries
from microrollup.node.options import NodeOptions
from microrollup.node.progress import LedgerProgress
from microrollup.node.reading import ReadingNode

__all__ = ["AwayNode"]

RETRY_SECONDS: Final = 2.0
"""How often L1 is looked for."""

_log = structlog.get_logger(__name__)


class AwayNode(ReadingNode):
    """Serves reads, the acknowledged actions of the open block included. It is spent as soon as L1 answers."""

    def __init__(
        self,
        reference: str,
        ledger: Ledger,
        l1: L1Standing,
        options: NodeOptions,
        look: Callable[[], str | None],
        reason: str,
    ) -> None:
        """`look` asks L1 once, and says why it does not answer, or None; `reason` is what it said last."""
        self._progress: LedgerProgress | None = None
        super().__init__(reference, ledger, l1, options)
        self._progress = LedgerProgress(ledger, self.make_announcer())
        self._look = look
        self._reason = reason
        self._back = False
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._wait, name="l1-away", daemon=True)

    @property
    def stopped(self) -> str | None:
        """That L1 is away."""
        return f"{self._reason}; reads go on, and actions are taken once L1 answers"

    @property
    def is_spent(self) -> bool:
        """Whether L1 answers."""
        return self._back

    def _get_open(self) -> OpenEntries | None:
        return None if self._progress is None else self._progress.open_entries

    def start(self) -> None:
        """Begin to serve, and to look for L1."""
        if self._progress is not None:
            self._progress.note()
        super().start()
        self._thread.start()
        _log.warning("l1_away", reason=self._reason, height=self.confirmations.latest)

    def stop(self) -> None:
        """End."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join()
        super().stop()

    def _wait(self) -> None:
        while not self._stopping.wait(RETRY_SECONDS):
            reason = self._look()
            if reason is None:
                _log.info("l1_back", height=self.confirmations.latest)
                self._back = True
                self.on_upgrade()
                return
            self._reason = reason
