"""Keeping a lease: the thread that says that a leader lives, and hears when it is to hand over."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import structlog

from microrollup.replication.errors import Fenced, ReplicationError
from microrollup.replication.protocol import RENEW_SECONDS, Leadership, ReplicatedLog

__all__ = ["LeaseKeeper"]

_log = structlog.get_logger(__name__)


class LeaseKeeper:
    """Renews a leadership's lease with a session of its own."""

    def __init__(
        self,
        log: ReplicatedLog,
        leadership: Leadership,
        url: str,
        *,
        get_length: Callable[[], int],
        get_kept: Callable[[], int],
        on_lost: Callable[[str], None],
        on_handover: Callable[[str], None],
    ) -> None:
        """`get_length` is the number of this node's next record, `get_kept` that of the first that must be kept.

        `on_lost` and `on_handover` are called by the thread, at most once each.
        """
        self.leadership = leadership
        self.slowest = 0
        """Records that the slowest registered node has not taken."""
        self._renewed_at = time.monotonic()
        self._log = log
        self._url = url
        self._get_length = get_length
        self._get_kept = get_kept
        self._on_lost = on_lost
        self._on_handover = on_handover
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lease", daemon=True)

    @property
    def epoch(self) -> int:
        """That of the leadership."""
        return self.leadership.epoch

    @property
    def age(self) -> float:
        """Seconds since the lease was renewed."""
        return time.monotonic() - self._renewed_at

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def leads(self) -> bool:
        """Whether the log says at this moment that this node leads; from any thread. No if it cannot be asked."""
        with self._lock:
            try:
                leader = self._log.get_leader()
            except ReplicationError as error:
                _log.warning("lease_not_renewed", reason=str(error))
                return False
        return (leader.epoch, leader.node) == (self.leadership.epoch, self.leadership.node)

    def close(self, *, release: bool) -> None:
        """End the thread; `release`: give the lease back, so that another node may lead at once."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join()
        with self._lock:
            try:
                if release:
                    self._log.release(self.leadership)
            except ReplicationError as error:
                _log.warning("lease_not_renewed", reason=str(error))
            finally:
                self._log.close()

    def _run(self) -> None:
        handed = False
        while not self._stopping.wait(RENEW_SECONDS):
            try:
                with self._lock:
                    successor = self._log.renew(self.leadership)
                    self._renewed_at = time.monotonic()
                    self._keep_order()
            except Fenced as error:
                self._on_lost(str(error))
                return
            except ReplicationError as error:
                _log.warning("lease_not_renewed", reason=str(error))
                continue
            if successor is not None and successor != self.leadership.node and not handed:
                handed = True
                self._on_handover(successor)

    def _keep_order(self) -> None:
        """Say how far this node is, and forget what nobody needs any more."""
        length = self._get_length()
        self._log.register(self.leadership.node, self._url, length)
        self.slowest = length - min(each.taken for each in self._log.list_nodes())
        pruned = self._log.prune(self._get_kept())
        if pruned:
            _log.info("log_pruned", records=pruned)
