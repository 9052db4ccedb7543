"""What executing actions may take: in the sequencer, and ten times as much wherever they are executed again."""

from __future__ import annotations

import gc
import mmap
import os
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Final

from microrollup.system import limit, lowered_limit, raised_limit

__all__ = [
    "ACTION_SECONDS",
    "BLAS_THREADS",
    "BLOCK_SECONDS",
    "CLIENT_BURST_SECONDS",
    "CLIENT_SHARE",
    "MEMORY_BYTES",
    "RECURSION_LIMIT",
    "VERIFIER_FACTOR",
    "collect_rarely",
    "limited_memory",
    "relaxed_limits",
    "require_memory",
    "reserved_memory",
    "use_no_linear_algebra",
]

ACTION_SECONDS: Final = 1.0
"""CPU time that one action may take in the sequencer; sixty times as long it may wait without using the CPU."""

BLOCK_SECONDS: Final = 30.0
"""A block closes once its STFs took this long in the sequencer."""

CLIENT_SHARE: Final = 0.25
"""Of the sequencer's execution time, what one client of a node may have in the long run."""

CLIENT_BURST_SECONDS: Final = 2.0
"""What a client saves up of it while it asks for less."""

MEMORY_BYTES: Final = 1 << 30
"""Private memory of a sequencer's process (RLIMIT_DATA); an action that wants more is refused."""

VERIFIER_FACTOR: Final = 10
"""The verifier's limits are higher by this factor, so that what the sequencer admits never hits them by chance."""

RECURSION_LIMIT: Final = 10_000
"""Frames where actions are executed that were admitted elsewhere: `VERIFIER_FACTOR` times CPython's default."""

COLLECTED_OBJECTS: Final = 50_000
"""New containers after which Python looks for cycles among them; 700 otherwise."""

BLAS_THREADS: Final = "OPENBLAS_NUM_THREADS"
"""The variable by which numpy's OpenBLAS is told how many threads to start."""


def collect_rarely() -> None:
    """Have this process look for garbage in cycles less often: executing actions makes many objects, hardly any cycles,
    and looking takes a twentieth of the time. A process that does so more rarely stays as it is.
    """
    young, *older = gc.get_threshold()
    if 0 < young < COLLECTED_OBJECTS:
        gc.set_threshold(COLLECTED_OBJECTS, *older)


def use_no_linear_algebra() -> None:
    """Have numpy start no threads for linear algebra, which nothing here uses: each takes up to 50 ms of CPU when numpy
    is imported. For this process, before that, and those that it starts; what the environment says otherwise stays.
    """
    os.environ.setdefault(BLAS_THREADS, "1")


@contextmanager
def limited_memory(limit_bytes: int) -> Iterator[None]:
    """Bound this process's private memory, as far as the system allows; beyond it allocations raise `MemoryError`.

    Processes that are started meanwhile inherit the bound, and may raise it again.
    """
    with limit("RLIMIT_DATA", limit_bytes):
        yield


def reserved_memory() -> AbstractContextManager[None]:
    """An eighth less memory, for what can be refused: so much remains to close what was not refused."""
    return lowered_limit("RLIMIT_DATA", 8)


def require_memory(size: int) -> None:
    """Raise `MemoryError` unless so many bytes could be had now; none are held.

    LMDB and other libraries end the process where an allocation fails. New pages cost nothing untouched; only
    where there are none, it may be had of what this process has and does not use.
    """
    try:
        mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS).close()
    except OSError:
        bytearray(size)


@contextmanager
def relaxed_limits() -> Iterator[None]:
    """The verifier's limits of memory and recursion, for what nobody can refuse any more.

    That is what was acknowledged and must execute again or close, and what was forced. A limit that is higher already
    stays as it is.
    """
    before = sys.getrecursionlimit()
    with raised_limit("RLIMIT_DATA", MEMORY_BYTES * VERIFIER_FACTOR):
        sys.setrecursionlimit(max(before, RECURSION_LIMIT))
        try:
            yield
        finally:
            sys.setrecursionlimit(before)
