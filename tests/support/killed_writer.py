"""A writer that is killed at the worst moment: its last commit is on disk, and LMDB's readers have not been told of it.

That moment is a few instructions long. What it leaves behind is made here: a killed process that was writing alone, and
a lock file whose number of the newest transaction is one too low. Readers go by that number; whoever writes next finds
that the writer before died, and puts it right.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

from waiting import read_line

__all__ = ["hide_last_commit"]

_HOLD_A_WRITE: Final = """
import sys, lmdb
with lmdb.open(sys.argv[1], max_dbs=32, map_size=1 << 30).begin(write=True):
    print("alone", flush=True)
    sys.stdin.read()
"""

_HEAD_BYTES: Final = 256


def hide_last_commit(directory: Path, newest: int) -> None:
    """Kill a writer of an environment that is open elsewhere too; `newest` is the number of its last transaction."""
    lock = directory / "lock.mdb"
    command = [sys.executable, "-c", _HOLD_A_WRITE, str(directory)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as writer:
        assert "alone\n" == read_line(writer)
        place = lock.read_bytes()[:_HEAD_BYTES].index(newest.to_bytes(8, sys.byteorder))
        with lock.open("r+b") as file:
            file.seek(place)
            file.write((newest - 1).to_bytes(8, sys.byteorder))
        writer.kill()
