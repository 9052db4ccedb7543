"""Looks out for an announced code, and says what its migration would make of the state as it is now."""

from __future__ import annotations

import threading
from typing import Final

import structlog

from microrollup.errors import MicrorollupError
from microrollup.execution.upgrading import explain_failure
from microrollup.ledger.ledger import Ledger
from microrollup.ledger.trial_upgrade import try_upgrade
from microrollup.settlement.protocol import L1View
from microrollup.settlement.upgrades import find_announced

__all__ = ["UpgradeWatch"]

MAX_TRIAL_ENTRIES: Final = 200_000
"""A larger state is not migrated on trial beside a node's own work: `announce-code`, or a copy of the store, does
that.
"""

_log = structlog.get_logger(__name__)


class UpgradeWatch:
    """Tells of each announcement once. The migration runs on trial in a thread of its own, while the node goes on."""

    def __init__(self, ledger: Ledger, l1: L1View) -> None:
        self._ledger = ledger
        self._l1 = l1
        self._told: tuple[bytes, int] | None = None
        self._thread: threading.Thread | None = None

    def look(self) -> None:
        """To be called now and then by the writer's thread."""
        ledger = self._ledger
        announced = stf_id, since = find_announced(self._l1)
        if announced == self._told or since <= ledger.header.l1_origin or stf_id == ledger.rollup.stf_id:
            return
        if self._thread is not None and self._thread.is_alive():
            return
        self._told = announced
        version = ledger.app.find_version(stf_id)
        if version is None:
            _log.warning("announced_code_missing", stf_id=f"0x{stf_id.hex()}", since=since)
            return
        if sum(ledger.checkpoint.sizes) > MAX_TRIAL_ENTRIES:
            _log.info("upgrade_announced", version=version.version, since=since, rows=None)
            return
        self._thread = threading.Thread(
            target=self._try, args=(stf_id, version.version, since), name="upgrade-trial", daemon=True
        )
        self._thread.start()

    def join(self) -> None:
        """Wait for the trial: nothing may read the store once it is closed."""
        if self._thread is not None:
            self._thread.join()

    def _try(self, stf_id: bytes, version: str, since: int) -> None:
        try:
            tried = try_upgrade(self._ledger.environment, self._ledger.app, stf_id)
        except MicrorollupError as error:
            _log.warning("upgrade_would_fail", version=version, since=since, reason=str(error))
            return
        if tried is None:
            return
        if tried.has_failed:
            _log.warning("upgrade_would_fail", version=version, since=since, reason=explain_failure(tried))
        else:
            _log.info("upgrade_announced", version=version, since=since, rows=len(tried.rows))
