"""The scan's own process: `python -m microrollup.maintenance.scrub.process`, started by `launch`.

It reads one `ScrubRequest` from standard input and writes one JSON line per event to standard output. Before it touches
a table it says so: if it dies, its starter knows where, and starts another one after that.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import lmdb
import msgspec

from microrollup.declaration.rollup import load_rollup
from microrollup.errors import MicrorollupError, StoreCorrupt, StoreError, UsageError, WrongRollup
from microrollup.ledger.code import OtherCode
from microrollup.limits import limited_memory
from microrollup.maintenance.scrub.blocks import check_blocks, check_index, check_receipts
from microrollup.maintenance.scrub.history import check_history
from microrollup.maintenance.scrub.inbox import INBOX_DIRECTORY, check_inbox_rows
from microrollup.maintenance.scrub.indexes import check_indexes
from microrollup.maintenance.scrub.log import check_log, check_meta, check_openings, check_settled
from microrollup.maintenance.scrub.pages import check_pages
from microrollup.maintenance.scrub.report import Failed, Finished, Found, Reading, ScrubEvent, ScrubRequest
from microrollup.maintenance.scrub.scan import Scan, show
from microrollup.maintenance.scrub.state import check_nodes, check_state, check_tree
from microrollup.store.environment import DATA_FILE, TABLES, Environment
from microrollup.store.index_store import INDEXES_DIRECTORY
from microrollup.store.tables import LOG_START_KEY
from microrollup.system import forbid_core_dumps

__all__ = ["main"]

SCAN_BYTES: Final = 8 << 30
"""RLIMIT_DATA: damaged lengths must not take the machine with them."""

_Check = Callable[[Scan], None]

_CHECKS: Final[tuple[tuple[str, tuple[str, ...], _Check], ...]] = (
    ("meta", (), check_meta),
    ("log", ("meta",), check_log),
    ("openings", ("log",), check_openings),
    ("blocks", ("meta", "log"), check_blocks),
    ("receipts", ("meta", "log", "blocks"), check_receipts),
    ("index", ("meta", "blocks", "receipts"), check_index),
    ("settled", ("meta",), check_settled),
    ("tree", ("meta", "blocks", "undo_tree"), check_tree),
    ("state", ("meta", "blocks", "tree", "undo_tree", "changes"), check_state),
    ("nodes", ("meta", "blocks", "undo_tree"), check_nodes),
    ("undo_tree", ("meta", "blocks", "tree", "state", "changes", "undo_checkpoint"), check_history),
    (INBOX_DIRECTORY, (), check_inbox_rows),
    (INDEXES_DIRECTORY, ("blocks",), check_indexes),
)
"""What is checked once the pages of all tables are read: the table in question, and those that it is compared with."""


def main() -> int:
    """Read a request, scan, report."""
    request = msgspec.json.decode(sys.stdin.buffer.read(), type=ScrubRequest)
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what an app prints while it is imported is not an event

    def emit(event: ScrubEvent) -> None:
        output.write(msgspec.json.encode(event) + b"\n")
        output.flush()

    forbid_core_dumps()
    try:
        with limited_memory(SCAN_BYTES):
            emit(_scan(request, emit))
    except MicrorollupError as error:
        emit(Failed(type(error).__name__, str(error)))
    return 0


def _scan(request: ScrubRequest, emit: Callable[[ScrubEvent], None]) -> Finished:
    """Raises `WrongRollup` and `UsageError`; everything else is damage."""
    try:
        rollup = load_rollup(request.app)
    except MicrorollupError as error:
        raise UsageError(str(error)) from error
    stages = 1 + len(TABLES) + len(_CHECKS)
    emit(Reading(request.first_stage, DATA_FILE))
    try:
        environment = Environment(Path(request.directory), read_only=True)
    except (StoreError, lmdb.Error) as error:
        emit(Found(DATA_FILE, f"it cannot be opened: {error}", unreadable=True))
        return Finished(restored=False)
    with environment:
        scan = Scan(environment, rollup, request, emit)
        for stage in range(request.first_stage, stages):
            scan.begin_stage()
            if stage == 0:
                emit(Reading(stage, "pages"))
                _run_check(scan, DATA_FILE, (), check_pages)
            elif stage <= len(TABLES):
                table = TABLES[stage - 1]
                emit(Reading(stage, table))
                _read_rows(scan, table)
            else:
                table, needed, check = _CHECKS[stage - 1 - len(TABLES)]
                emit(Reading(stage, table))
                _run_check(scan, table, needed, check)
            scan.end_stage()
        return Finished(restored=_was_restored(scan))


def _was_restored(scan: Scan) -> bool:
    return "meta" not in scan.unreadable and scan.get_number(LOG_START_KEY) is not None


def _read_rows(scan: Scan, table: str) -> None:
    """Read every row of a table in order, and find each by its key."""
    database = scan.tables[table]
    last: bytes | None = None
    lost: bytes | None = None
    count = 0
    try:
        if any(database.flags().values()):
            scan.find(table, None, "its flags are not those of any table here", unreadable=True)
            return
        total = scan.txn.stat(database)["entries"]
        for key, value in scan.iterate(table):
            if (last is not None and key <= last) or count >= total:
                scan.find(table, show(key), "its key is not in order", unreadable=True)
                return
            if lost is None and scan.get(table, key) != value:
                lost = key
                scan.find(table, show(key), "the row is there and is not found by its key", unreadable=True)
            last = key
            count += 1
            scan.report(table, count, total)
        if count != total:
            scan.find(table, None, f"{count} rows where {total} are counted", unreadable=True)
    except (lmdb.Error, MemoryError) as error:
        after = "" if last is None else f" after {show(last)}"
        scan.find(table, None, f"its pages cannot be read{after}: {error}", unreadable=True)
        scan.recover()
    scan.count(table, count)


def _run_check(scan: Scan, table: str, needed: tuple[str, ...], check: _Check) -> None:
    """Run a check, unless a table that it reads is unreadable; what stops it is damage."""
    broken = sorted(scan.unreadable & {table, *needed})
    if broken:
        scan.skip(f"{table}: not compared with other tables, because {', '.join(broken)} cannot be read")
        return
    scan.hold()
    try:
        check(scan)
    except WrongRollup:
        raise
    except OtherCode as error:
        if "blocks" not in scan.wrong:  # else what names the code may itself be damaged
            raise UsageError(str(error)) from None
        scan.skip(f"{table}: the app that is loaded is not the code that its blocks name")
    except StoreCorrupt as error:
        where, _, key = error.where.partition("/")
        scan.find(where, key or None, error.reason)
    except Exception as error:
        scan.find(table, None, f"the check cannot be done: {type(error).__name__}: {error}")
        scan.recover()
    scan.release(table)


if __name__ == "__main__":
    sys.exit(main())
