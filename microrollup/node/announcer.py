"""What becomes durable, made known: to subscribers, to who asks for confirmations, to the indexes and the metrics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import structlog

from microrollup.chain.block import Header
from microrollup.chain.receipt import FAULTED
from microrollup.node.confirmations import Confirmations
from microrollup.node.hub import Hub, Ring
from microrollup.node.indexer import Indexer
from microrollup.node.lookups import Lookups
from microrollup.node.metrics import Metrics
from microrollup.node.open_entries import LoggedAction
from microrollup.node.submission import Result

__all__ = ["Announcer"]

_log: Final = structlog.get_logger(__name__)


class Announcer:
    """A `LedgerListener`. Each method is called by the thread that owns the ledger."""

    indexer: Indexer | None = None

    def __init__(
        self,
        lookups: Lookups,
        confirmations: Confirmations,
        metrics: Metrics,
        hub: Hub,
        receipts: Ring[LoggedAction],
        blocks: Ring[Header],
    ) -> None:
        self._lookups = lookups
        self._confirmations = confirmations
        self._metrics = metrics
        self._hub = hub
        self._receipts = receipts
        self._blocks = blocks

    def publish_actions(self, actions: Sequence[LoggedAction]) -> None:
        """Entries have become durable."""
        for action in actions:
            if action.sender is not None:
                self._lookups.remember_sender(action.receipt.action_hash, action.sender)
            if action.receipt.status == FAULTED:
                _log.error("action_faulted", seq=action.seq, height=action.height)
            self._receipts.append(action, wake=False)
        self._receipts.wake()

    def publish_block(self, header: Header) -> None:
        """A block is closed."""
        self._metrics.note_block()
        self._blocks.append(header, wake=False)
        self._confirmations.note_closed(header.height)
        if self.indexer is not None:
            self.indexer.wake()

    def note_commit(self, seconds: float, results: Sequence[Result]) -> None:
        """A group was executed and committed, or refused."""
        self._metrics.note_group(seconds, results)

    def note_stopped(self) -> None:
        """Intake has stopped, which the log says already."""
        self._hub.wake()
