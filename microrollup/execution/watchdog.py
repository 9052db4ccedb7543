"""A watchdog over STFs: interrupts the one that runs longer than a limit, at no cost to the others."""

from __future__ import annotations

import ctypes
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Self

from microrollup.execution.block_context import BlockContext, Interrupted

__all__ = ["Watchdog"]

_LOOKS: Final = 4
"""Looks per limit: an STF is interrupted after 1 to 1.25 limits."""


class Watchdog:
    """Looks at the context of the thread that made it a few times per limit, and raises `Interrupted` there when one
    STF is still running. Python code is interrupted; a single call into C that never returns is not.
    """

    def __init__(self, limit_seconds: float) -> None:
        """Watch the calling thread."""
        self._limit = limit_seconds
        self._thread_id = threading.get_ident()
        self._context: BlockContext | None = None
        self._seen: tuple[int, int] | None = None
        self._since = 0.0
        """When what was seen at the last look was seen first."""
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="stf-watchdog", daemon=True)
        self._thread.start()

    def watch(self, context: BlockContext | None) -> None:
        """The context to look at from now on; None for none."""
        self._context = context

    @contextmanager
    def patient(self, factor: int) -> Iterator[None]:
        """Allow so many times the limit meanwhile. For the watched thread."""
        limit = self._limit
        self._limit = limit * factor
        try:
            yield
        finally:
            self._limit = limit

    def close(self) -> None:
        """Stop watching."""
        self._stopped.set()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _watch(self) -> None:
        while not self._stopped.wait(self._limit / _LOOKS):
            self._look(time.monotonic())

    def _look(self, now: float) -> None:
        """Interrupt what has run since a look that is a limit ago."""
        context = self._context
        running = None if context is None or not context.ticket & 1 else (id(context), context.ticket)
        if context is None or running is None or running != self._seen:
            self._seen, self._since = running, now
        elif now - self._since >= self._limit:
            context.interrupted, self._since = True, now
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(self._thread_id), ctypes.py_object(Interrupted))
