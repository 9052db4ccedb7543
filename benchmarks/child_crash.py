"""A process that adds to a store and is killed at it: `DIRECTORY FIRST_SENDER BLOCKS TAIL`.

It leaves closed blocks whose tree files were not synced, and a tail of signed, committed actions in an open block: all
that opening the store has to mend.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from apps.keystore import app
from benchmarks.signing import sign_senders
from benchmarks.stores import LARGE_BLOCK, build_block, execute_block, make_entries
from benchmarks.subprocesses import run_python
from benchmarks.workload import ACTIONS_PER_SENDER, Population
from microrollup.execution.authentication import Authenticated
from microrollup.ledger.ledger import Ledger

__all__ = ["crash_apart"]


def crash_apart(directory: Path, first_sender: int, blocks: int, tail: int) -> None:
    """Let a process add `blocks` blocks and `tail` actions in an open one, and be killed with SIGKILL."""
    numbers = (str(first_sender), str(blocks), str(tail))
    run_python("-m", "benchmarks.child_crash", str(directory), *numbers, expected=-signal.SIGKILL)


def _crash(directory: Path, first_sender: int, blocks: int, tail: int) -> None:
    ledger = Ledger.open(directory, app)
    ledger.sync_tree()
    population = Population(first_sender=first_sender)
    for _ in range(blocks):
        build_block(ledger, population.make_registers(min(LARGE_BLOCK, max(1, tail))))
    lines = sign_senders((first_sender, -(-tail // ACTIONS_PER_SENDER))).lines[:tail]
    outcomes = [ledger.authenticator.authenticate_line(line) for line in lines]
    execute_block(ledger, make_entries([each for each in outcomes if isinstance(each, Authenticated)]))
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    _crash(Path(sys.argv[1]), *(int(argument) for argument in sys.argv[2:5]))
