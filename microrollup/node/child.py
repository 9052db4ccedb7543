"""A child process that answers requests over a pipe: started when it is needed, ended when it takes too long."""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import os
import signal
import sys
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Any, Final, Literal

from microrollup.logs import configure_logging

__all__ = ["Child", "ChildLost", "begin_child"]

START_SECONDS: Final = 60.0
"""What a child may take to load the app."""

_CLOSE_SECONDS: Final = 2.0


class ChildLost(Exception):
    """A child gave no answer: it took too long ("time"), ended ("died"), or does not come up ("start")."""

    def __init__(self, reason: Literal["time", "died", "start"]) -> None:
        super().__init__(reason)
        self.reason = reason


class Child:
    """One process and the pipe to it; one thread drives it, `kill` is any thread's.

    `target(pipe, *arguments)` runs there. It sends one message once it is ready, and one for each that it is sent.
    """

    def __init__(self, target: Callable[..., None], arguments: tuple[str | int, ...]) -> None:
        self._target = target
        self._arguments = arguments
        self._process: SpawnProcess | None = None
        self._pipe: Connection | None = None
        self._lock = threading.Lock()
        self._killed = False

    @property
    def pid(self) -> int | None:
        """The process; None while there is none."""
        process = self._process
        return None if process is None else process.pid

    def ensure(self) -> Connection | None:
        """The pipe to a process that is ready, started now if there is none; None if it does not come up."""
        if self._pipe is not None:
            return self._pipe
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=self._target, args=(theirs, *self._arguments), daemon=True)
        with self._lock:
            if self._killed:
                return None
            process.start()
            self._process = process
        theirs.close()
        try:
            ready = ours.poll(START_SECONDS) and ours.recv_bytes() is not None
        except (OSError, EOFError):
            ready = False
        if not ready:
            ours.close()
            self._end()
            return None
        self._pipe = ours
        return ours

    def ask(self, request: bytes, seconds: float) -> bytes:
        """The answer to a request. Raises `ChildLost`; the process is gone then."""
        pipe = self.ensure()
        if pipe is None:
            raise ChildLost("start")
        reason: Literal["time", "died"] = "died"
        try:
            pipe.send_bytes(request)
            if pipe.poll(seconds):
                return pipe.recv_bytes()
            reason = "time"
        except (OSError, EOFError):
            reason = "died"
        self.close()
        raise ChildLost(reason)

    def _end(self) -> None:
        with self._lock:
            process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.join()
            process.close()

    def close(self) -> None:
        """End the process, and let go of the pipe."""
        if self._pipe is not None:
            self._pipe.close()
            self._pipe = None
        self._end()

    def kill(self) -> None:
        """End the process for good."""
        with self._lock:
            self._killed = True
            process = self._process
            if process is not None:
                process.kill()
                process.join(_CLOSE_SECONDS)


def begin_child() -> None:
    """What a child does first: it ends with its parent, and prints to standard error only."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.stdout = sys.stderr  # the parent's standard output is not for what an app prints here
    configure_logging()
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: Any) -> None:
    """End this process once its parent has: a killed parent cannot tell it."""
    multiprocessing.connection.wait([sentinel])
    os._exit(1)
