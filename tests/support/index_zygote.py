"""A process that fills the indexes of a shelf in children of its own, and ends them as by kill -9 at any moment.

Reads lines of `directory seconds`, of CPU time, and answers each with the child's exit code: 0, or minus the number of
the signal that ended it.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from kernel_fixtures import MAP_SIZE
from microrollup.declaration.query import load_reads
from microrollup.ledger.indexes.builder import IndexBuilder
from shelf import app

READS = load_reads(app)


def fill(directory: Path, seconds: float) -> None:
    """Fill all indexes a block at a time; the timer's default action ends the process at once."""
    assert READS is not None
    builder = IndexBuilder(app, READS, directory, map_size=MAP_SIZE)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    while any(status.is_building for status in builder.advance(0.0)):
        pass


for line in sys.stdin:
    place, time = line.rsplit(maxsplit=1)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            fill(Path(place), float(time))
            code = 0
        finally:
            os._exit(code)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)  # noqa: T201
