"""What an operator wants to know and no answer may wait for: the payer's balance, free disk, blobs here.

A thread looks at its own pace and keeps what it saw, so that `/health` and `/metrics` ask neither L1 nor the disk.
"""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Final

import msgspec
import structlog

from microrollup.chain.answers.standing import ReplicationStatus
from microrollup.errors import MicrorollupError
from microrollup.settlement.payer import PayerStatus, Payments

__all__ = ["BlobsSeen", "Observer", "PushedNote", "find_pushed_note", "look_at_blobs"]

_PAUSE_SECONDS: Final = 15.0
_SHORTEST_PAUSE_SECONDS: Final = 2.0
"""Between two looks, also where something has happened."""
_L1_SECONDS: Final = 5.0
"""So long L1 may take to answer."""
_BLOBS_SHARE: Final = 100
"""Counting blobs takes at most a hundredth of the time."""
_CLOSE_SECONDS: Final = 1.0

_log = structlog.get_logger(__name__)


def find_pushed_note(blobs: Path) -> Path:
    """Where it is written what an archive has confirmed of a folder of blobs: beside it."""
    return blobs.with_name(f"{blobs.name}-pushed.json")


class PushedNote(msgspec.Struct, rename="camel"):
    """What `microrollup blobs push` writes."""

    confirmed_until: float
    """The archive gave back every blob that was written before; in seconds since 1970."""


class BlobsSeen(msgspec.Struct, frozen=True):
    """The blobs of this node's batches in its data directory."""

    count: int
    bytes: int
    unarchived: int
    """Those that no archive has confirmed."""
    oldest_unarchived: float | None
    """When the oldest of these was written, in seconds since 1970; None if there is none."""


def look_at_blobs(directory: Path) -> BlobsSeen | None:
    """Count the blobs in a folder; None if there is no folder. Raises `OSError`."""
    confirmed = _read_confirmed(directory)
    count = size = unarchived = 0
    oldest: float | None = None
    try:
        with os.scandir(directory) as entries:
            for entry in entries:
                if not entry.name.startswith("0x01"):
                    continue
                try:
                    stat = entry.stat(follow_symlinks=False)
                except FileNotFoundError:  # pruned in this moment
                    continue
                count += 1
                size += stat.st_size
                if stat.st_mtime >= confirmed:
                    unarchived += 1
                    oldest = stat.st_mtime if oldest is None else min(oldest, stat.st_mtime)
    except FileNotFoundError:
        return None
    return BlobsSeen(count, size, unarchived, oldest)


def _read_confirmed(directory: Path) -> float:
    try:
        return msgspec.json.decode(find_pushed_note(directory).read_bytes(), type=PushedNote).confirmed_until
    except (FileNotFoundError, msgspec.MsgspecError):
        return 0.0


class Observer:
    """`start` it, `close` it; any thread reads what it saw last."""

    def __init__(self, directory: Path) -> None:
        self.payments: Payments | None = None
        """Who says what settling costs, set before the start where it does; and `address`, who pays, 20 bytes."""
        self.address = b""
        self.payer: PayerStatus | None = None
        """None until L1 has said it, and where settling costs nothing."""
        self.disk_free: int | None = None
        """Bytes."""
        self.blobs: BlobsSeen | None = None
        self.describe_replication: Callable[[], ReplicationStatus | None] = lambda: None
        """What a member of a replicated log says of its place in it."""
        self._directory = directory
        self._payer_at: float | None = None
        self._next_blobs = 0.0
        self._complaint = ""
        self._woken = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="observer", daemon=True)

    @property
    def payer_age(self) -> float | None:
        """Seconds since L1 said what the payer has."""
        return None if self._payer_at is None else time.monotonic() - self._payer_at

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def wake(self) -> None:
        """A batch was settled, or failed to: look soon."""
        self._woken.set()

    def close(self) -> None:
        """End. A question to L1 may still be open: it ends by itself, or with the connection."""
        self._closing.set()
        self._woken.set()
        if self._thread.ident is not None:
            self._thread.join(_CLOSE_SECONDS)

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                self._look()
            except CancelledError:  # the connection to L1 was closed
                return
            except Exception as error:  # a bug, or no memory: looking must not end for it
                self._complain("observer_failed", repr(error))
            self._closing.wait(_SHORTEST_PAUSE_SECONDS)
            self._woken.wait(_PAUSE_SECONDS - _SHORTEST_PAUSE_SECONDS)
            self._woken.clear()

    def _look(self) -> None:
        failure = ""
        try:
            self.disk_free = shutil.disk_usage(self._directory).free
            self._look_at_blobs()
        except OSError as error:
            failure = str(error)
        try:
            payer = None if self.payments is None else self.payments.ask(self.address, _L1_SECONDS)
        except MicrorollupError as error:
            failure = str(error)
        else:
            self.payer, self._payer_at = payer, None if payer is None else time.monotonic()
        if self._closing.is_set():
            return
        if failure:
            self._complain("not_observed", failure)
        self._complaint = failure

    def _look_at_blobs(self) -> None:
        started = time.monotonic()
        if started >= self._next_blobs:
            self.blobs = look_at_blobs(self._directory / "blobs")
            self._next_blobs = started + _BLOBS_SHARE * (time.monotonic() - started)

    def _complain(self, event: str, reason: str) -> None:
        """Once per episode."""
        if self._complaint != reason:
            _log.warning(event, reason=reason)
        self._complaint = reason
