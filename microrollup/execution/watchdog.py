"""A watchdog over STFs: interrupts the one that uses more CPU time than a limit, at no cost to the others."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Final, Self

from microrollup.execution.block_context import BlockContext, Interrupted
from microrollup.system import make_thread_clock

__all__ = ["Watchdog"]

_LOOKS: Final = 4
"""Looks per limit: an STF is interrupted after 1 to 1.25 limits of CPU time."""

_WAITING_FACTOR: Final = 60
"""So many limits an STF may wait without using the CPU, counted in looks: a process that was stopped has not looked.
More than the 30 s after which Linux gives up a disk that does not answer.
"""


class Watchdog:
    """Looks at the context of the thread that made it a few times per limit, and raises `Interrupted` there when one
    STF is still running. Python code is interrupted; a single call into C that never returns is not.

    What counts is the thread's CPU time, so that no action is refused because the machine was busy or stood still.
    """

    def __init__(self, limit_seconds: float) -> None:
        """Watch the calling thread."""
        self._limit = limit_seconds
        self._read_used = make_thread_clock()
        self._interrupt = partial(
            ctypes.pythonapi.PyThreadState_SetAsyncExc,
            ctypes.c_ulong(threading.get_ident()),
            ctypes.py_object(Interrupted),
        )
        self._context: BlockContext | None = None
        self._seen: tuple[int, int] | None = None
        self._since = 0.0
        """What the thread had used when what was seen at the last look was seen first."""
        self._looks = 0
        """At the same STF since then."""
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
            try:
                used = self._read_used()
            except OSError:
                return  # the thread has ended, and nothing executes in it
            self._look(used)

    def _look(self, used: float) -> None:
        """Interrupt what has used a limit, or waited for many, since the look that saw it first. `used`: CPU seconds of
        the thread.
        """
        context = self._context
        ticket = 0 if context is None else context.ticket
        running = (id(context), ticket) if ticket & 1 else None
        if context is None or running is None or running != self._seen:
            self._seen, self._since, self._looks = running, used, 0
            return
        self._looks += 1
        if used - self._since >= self._limit or self._looks >= _LOOKS * _WAITING_FACTOR:
            self._since, self._looks = used, 0
            if context.ticket == ticket:  # no other thread runs between this and the interruption
                context.interrupted = True
                self._interrupt()
