"""A process beside a node that keeps snapshots of it: one for every so many blocks, thinned out as they become many."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from contextlib import suppress
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Final, Self

import structlog

from microrollup.declaration.rollup import MicroRollup, load_rollup
from microrollup.errors import MicrorollupError, StoreError
from microrollup.logs import configure_logging
from microrollup.maintenance.snapshot import write_snapshot
from microrollup.segments.shelf import SnapshotShelf
from microrollup.store.environment import Environment
from microrollup.store.tables import get_checkpoint

__all__ = ["SnapshotKeeper", "keep_snapshots"]

_LOOK_SECONDS: Final = 1.0
_RETRY_SECONDS: Final = 60.0
"""After a failure: a full disk is not written to every second."""

_NICER: Final = 10
_WRITING: Final = "writing"
_log = structlog.get_logger(__name__)


class SnapshotKeeper:
    """Runs `keep_snapshots` in a process of its own, so that a node never waits for it."""

    def __init__(self, app: str, store: Path, shelf: Path, every: int) -> None:
        """Start it. `app` is `module:name`; `store` holds the node's store, `shelf` is made if it is missing."""
        context = multiprocessing.get_context("spawn")
        arguments = (app, str(store), str(shelf), every, os.getpid())
        self._process: SpawnProcess = context.Process(target=_run, args=arguments, daemon=True)
        self._process.start()

    @property
    def pid(self) -> int | None:
        """The process."""
        return self._process.pid

    def close(self) -> None:
        """End it; a snapshot that it is writing is given up."""
        self._process.kill()
        self._process.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _run(app: str, store: str, shelf: str, every: int, parent: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the node, which ends this
    configure_logging()
    with suppress(OSError):
        os.nice(_NICER)
    rollup = load_rollup(app)
    next_try = 0.0
    while os.getppid() == parent:
        try:
            if time.monotonic() >= next_try:
                keep_snapshots(rollup, Path(store), SnapshotShelf(Path(shelf)), every)
        except (MicrorollupError, OSError) as error:
            _log.warning("snapshot_not_kept", reason=str(error))
            next_try = time.monotonic() + _RETRY_SECONDS
        time.sleep(_LOOK_SECONDS)


def keep_snapshots(rollup: MicroRollup, store: Path, shelf: SnapshotShelf, every: int) -> Path | None:
    """Write the snapshot of the newest multiple of `every` blocks, unless it is there; the file if it was written.

    What was passed meanwhile is left out: a snapshot is a starting point, and any other will do. Raises `StoreError`
    and `MicrorollupError`.
    """
    with Environment(store, read_only=True) as environment:
        with environment.snapshot() as txn:
            tip = get_checkpoint(txn, environment.tables).height
        height = tip - tip % every
        files = shelf.list_files()
        if height == 0 or (files and files[-1][0] >= height):
            return None
        try:
            shelf.directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"{shelf.directory} cannot be made: {error.strerror}") from None
        path = shelf.directory / _WRITING
        placed = shelf.place(write_snapshot(environment, rollup, path, height), path)
    shelf.thin(every)
    return placed
