"""The local settlement beside a store: the L1 of development, whose rows nothing else can rebuild."""

from __future__ import annotations

from typing import Final

from microrollup.errors import StoreError
from microrollup.maintenance.scrub.scan import Scan
from microrollup.settlement.local import LocalSettlement

__all__ = ["INBOX_DIRECTORY", "check_inbox_rows"]

INBOX_DIRECTORY: Final = "l1"
"""Where it is in a data directory; a rollup that settles on Ethereum has none."""


def check_inbox_rows(scan: Scan) -> None:
    """Every row carries a check; batches, headers and the queue are those that were attested and hashed."""
    directory = scan.environment.directory / INBOX_DIRECTORY
    if not directory.is_dir():
        return
    try:
        counts = LocalSettlement.check(directory)
    except StoreError as error:
        scan.find(INBOX_DIRECTORY, None, str(error))
        return
    scan.count(INBOX_DIRECTORY, sum(counts.values()))
