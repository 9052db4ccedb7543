"""A fresh process that opens a store: `DIRECTORY`. Imports are made here one by one, since they are what is timed."""

from __future__ import annotations

import importlib
import sys
import time
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.subprocesses import run_python

__all__ = ["Opening", "open_apart"]


class Opening(msgspec.Struct, frozen=True):
    """Start-up as a fresh process sees it."""

    import_seconds: float
    open_seconds: float
    open_cpu_seconds: float
    accounts: int
    tail: int
    """Entries after the last checkpoint, which opening executes again."""


def open_apart(directory: Path) -> Opening:
    """Open the keystore in `directory` in a fresh process, and close it again."""
    return msgspec.json.decode(run_python("-m", "benchmarks.child_open", str(directory)), type=Opening)


def _open(directory: Path) -> Opening:
    started = time.perf_counter()
    app: Any = importlib.import_module("apps.keystore").app
    ledger_type: Any = importlib.import_module("microrollup.ledger.ledger").Ledger
    imported, used = time.perf_counter(), time.process_time()
    with ledger_type.open(directory, app) as ledger:
        opened, busy = time.perf_counter(), time.process_time() - used
        tail = 0 if ledger.block is None else len(ledger.block.records)
        return Opening(imported - started, opened - imported, busy, len(ledger.state.app.accounts), tail)


if __name__ == "__main__":
    sys.stdout.buffer.write(msgspec.json.encode(_open(Path(sys.argv[1]))))
