"""What executing actions may take: in the sequencer, and ten times as much wherever they are executed again."""

from __future__ import annotations

import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

__all__ = [
    "ACTION_SECONDS",
    "BLOCK_SECONDS",
    "MEMORY_BYTES",
    "RECURSION_LIMIT",
    "VERIFIER_FACTOR",
    "limited_memory",
    "relaxed_recursion",
]

ACTION_SECONDS: Final = 1.0
"""What one action may take in the sequencer."""

BLOCK_SECONDS: Final = 30.0
"""A block closes once its STFs took this long in the sequencer."""

MEMORY_BYTES: Final = 1 << 30
"""Private memory of a sequencer's process (RLIMIT_DATA); an action that wants more is refused."""

VERIFIER_FACTOR: Final = 10
"""The verifier's limits are higher by this factor, so that what the sequencer admits never hits them by chance."""

RECURSION_LIMIT: Final = 10_000
"""Frames where actions are executed that were admitted elsewhere: `VERIFIER_FACTOR` times CPython's default."""


@contextmanager
def limited_memory(limit_bytes: int) -> Iterator[None]:
    """Bound this process's private memory, as far as the system allows; beyond it allocations raise `MemoryError`.

    Processes that are started meanwhile inherit the bound, and may raise it again.
    """
    before, hard = resource.getrlimit(resource.RLIMIT_DATA)
    soft = limit_bytes if hard == resource.RLIM_INFINITY else min(limit_bytes, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (before, hard))


@contextmanager
def relaxed_recursion() -> Iterator[None]:
    """What was acknowledged must execute again, however deep the caller stands on the stack this time."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, RECURSION_LIMIT))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)
