"""Waiting for what another thread or process brings about."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable
from typing import AnyStr, Final, TypeVar

__all__ = ["SECONDS", "read_line", "wait_for"]

T = TypeVar("T")

SECONDS: Final = 300.0
"""The limit ends tests that would wait for ever; no claim of a test depends on it."""

_PAUSE_SECONDS: Final = 0.02


def wait_for(condition: Callable[[], T], seconds: float = SECONDS) -> T:
    """What `condition` gives once that is true. It is asked again and again; an exception of it is the caller's."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(_PAUSE_SECONDS)
    return found


def read_line(process: subprocess.Popen[AnyStr]) -> AnyStr:
    """The next line of a process's standard output, empty at its end. One that says nothing for long is killed."""
    assert process.stdout is not None
    limit = threading.Timer(SECONDS, process.kill)
    limit.start()
    try:
        return process.stdout.readline()
    finally:
        limit.cancel()
        limit.join()
