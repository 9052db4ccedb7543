"""A watchdog over STFs: interrupts the one that runs longer than a limit, at no cost to the others."""

from __future__ import annotations

import ctypes
import threading
import time
from typing import Final, Self

from microrollup.stf import BlockContext, Interrupted

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
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="stf-watchdog", daemon=True)
        self._thread.start()

    def watch(self, context: BlockContext | None) -> None:
        """The context to look at from now on; None for none."""
        self._context = context

    def close(self) -> None:
        """Stop watching."""
        self._stopped.set()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _watch(self) -> None:
        seen: tuple[int, int] | None = None
        since = time.monotonic()
        while not self._stopped.wait(self._limit / _LOOKS):
            context = self._context
            now = None if context is None or not context.ticket & 1 else (id(context), context.ticket)
            if now is None or now != seen:
                seen, since = now, time.monotonic()
            elif context is not None and time.monotonic() - since >= self._limit:
                context.interrupted = True
                ctypes.pythonapi.PyThreadState_SetAsyncExc(
                    ctypes.c_ulong(self._thread_id), ctypes.py_object(Interrupted)
                )
                since = time.monotonic()
