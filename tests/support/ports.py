"""Loopback ports for processes that have to be told which one to take."""

from __future__ import annotations

import fcntl
import functools
import itertools
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

__all__ = ["find_port"]

_FIRST: Final = 16_000
_RANGES: Final = 64
_EACH: Final = 250
"""Below 32,768 the system gives no port to anybody who asks for any: nobody has it before its process binds it."""


def find_port() -> int:
    """A free port that no test is given at the same time, in this run or another."""
    numbers = _own_range()
    for port in itertools.islice(numbers, _EACH):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
    raise AssertionError(f"the {_EACH} ports up to {next(numbers)} are all taken")


@functools.cache
def _own_range() -> Iterator[int]:
    """The ports of a range that other processes leave alone, over and over: its lock ends with this process."""
    for number in range(_RANGES):
        lock = (Path(tempfile.gettempdir()) / f"microrollup-ports-{number}.lock").open("ab")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            continue
        _locks.append(lock)
        return itertools.cycle(range(_FIRST + number * _EACH, _FIRST + (number + 1) * _EACH))
    raise AssertionError(f"{_RANGES} processes have a range of ports")


_locks: Final = list[BinaryIO]()
"""Open for as long as this process runs."""
