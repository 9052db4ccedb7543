"""The process that fills an app's indexes, and the thread that tells it of new blocks and starts it again when lost."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec
import structlog

from microrollup.declaration.query import load_reads
from microrollup.declaration.rollup import load_rollup
from microrollup.errors import UsageError
from microrollup.ledger.indexes.builder import IndexBuilder
from microrollup.ledger.indexes.status import IndexStatus
from microrollup.ledger.indexes.viewing import WAIT_BLOCKS
from microrollup.node.child import Child, ChildLost, begin_child

__all__ = ["Indexer", "serve_indexing"]

ANSWER_SECONDS: Final = 60.0
"""What one request may take: the largest block, or one part of a first block."""

FIRST_BACKOFF_SECONDS: Final = 0.5
MAX_BACKOFF_SECONDS: Final = 30.0
IDLE_SECONDS: Final = 5.0
"""So often the indexes are looked after while no block is closed: an error may have passed by."""

_log = structlog.get_logger(__name__)
_ANSWER_DECODER: Final = msgspec.msgpack.Decoder(list[IndexStatus])
_encode: Final = msgspec.msgpack.Encoder().encode


def serve_indexing(pipe: Any, reference: str, directory: str, version: int) -> None:
    """Fill the indexes a little at each request, and answer with how they stand, until the pipe is closed."""
    begin_child()
    rollup = load_rollup(reference).versions[version]
    reads = load_reads(rollup)
    if reads is None or not reads.indexes:
        raise UsageError(f"{reference} has no indexes")
    builder = IndexBuilder(rollup, reads, Path(directory))
    pipe.send_bytes(b"ready")
    while True:
        try:
            pipe.recv_bytes()
        except EOFError:
            return
        pipe.send_bytes(_encode(builder.advance()))


class Indexer:
    """Keeps the indexes of a node filled; `wake` never blocks."""

    def __init__(
        self, reference: str, directory: Path, on_progress: Callable[[], None] = lambda: None, *, version: int = 0
    ) -> None:
        """`reference` is `module:name` of the app, `directory` its store's; `version` says which of the app's versions
        has the indexes, 0 for the oldest. Nothing is started yet.
        """
        self._child = Child(serve_indexing, (reference, str(directory), version))
        self._news = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="indexer", daemon=True)
        self._on_progress = on_progress
        self._building: set[str] = set()
        self.statuses: tuple[IndexStatus, ...] = ()
        """How the indexes stood when last heard of; empty before that."""
        self.lost = 0
        """How often the process was lost, or ended for taking too long."""

    @property
    def pid(self) -> int | None:
        """The process; None while there is none."""
        return self._child.pid

    def start(self) -> None:
        """Start the thread, and with it the process."""
        self._thread.start()

    def wake(self) -> None:
        """A block was closed."""
        self._news.set()

    def close(self) -> None:
        """End the process; what it had not committed is done again at the next start."""
        self._closing.set()
        self._news.set()
        self._child.kill()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        backoff = FIRST_BACKOFF_SECONDS
        while not self._closing.is_set():
            self._news.clear()
            try:
                statuses = _ANSWER_DECODER.decode(self._child.ask(b"", ANSWER_SECONDS))
            except (ChildLost, msgspec.MsgspecError) as error:
                if self._closing.is_set():
                    break
                self.lost += 1
                _log.warning("indexer_lost", reason=str(error), seconds=backoff)
                self._child.close()
                self._closing.wait(backoff)
                backoff = min(2 * backoff, MAX_BACKOFF_SECONDS)
                continue
            backoff = FIRST_BACKOFF_SECONDS
            goes_on = any(status.is_building for status in statuses) and tuple(statuses) != self.statuses
            self._note(statuses)
            if not goes_on:
                self._news.wait(IDLE_SECONDS)
        self._child.close()

    def _note(self, statuses: list[IndexStatus]) -> None:
        for status in statuses:
            if status.tip - status.reached > WAIT_BLOCKS:
                self._building.add(status.name)
            elif status.name in self._building and status.reached == status.tip:
                self._building.remove(status.name)
                _log.info("index_built", index=status.name, height=status.reached, rows=status.rows)
        self.statuses = tuple(statuses)
        self._on_progress()
