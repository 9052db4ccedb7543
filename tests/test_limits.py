"""Limits of time, memory and recursion, and how they relate."""

from __future__ import annotations

import subprocess
import sys

import pytest

from microrollup.limits import MEMORY_BYTES, RECURSION_LIMIT, VERIFIER_FACTOR, relaxed_recursion


def descend(depth: int) -> int:
    return 0 if depth == 0 else 1 + descend(depth - 1)


def test_relaxed_recursion() -> None:
    """Recursion may go ten times deeper for a while, and the limit is what it was afterwards, whatever happens."""
    before = sys.getrecursionlimit()
    assert RECURSION_LIMIT == 1_000 * VERIFIER_FACTOR
    with relaxed_recursion():
        assert 5_000 == descend(5_000)
    with pytest.raises(KeyError), relaxed_recursion():
        raise KeyError
    assert before == sys.getrecursionlimit()


def test_relaxing_never_tightens() -> None:
    """A limit that is higher already stays."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(RECURSION_LIMIT + 500)
    try:
        with relaxed_recursion():
            assert RECURSION_LIMIT + 500 == sys.getrecursionlimit()
    finally:
        sys.setrecursionlimit(before)


def test_limited_memory() -> None:
    """Beyond the limit an allocation raises `MemoryError` and the process goes on; afterwards the limit is as before.

    A lower hard limit is respected.
    """
    code = f"""
import resource
from microrollup.limits import limited_memory
with limited_memory({MEMORY_BYTES}):
    try:
        bytes({MEMORY_BYTES})
        print("allocated")
    except MemoryError:
        print("refused", len(bytes({MEMORY_BYTES // 4})))
print("then", len(bytes({MEMORY_BYTES})))
resource.setrlimit(resource.RLIMIT_DATA, ({MEMORY_BYTES}, {MEMORY_BYTES}))
with limited_memory({MEMORY_BYTES * VERIFIER_FACTOR}):
    print(resource.getrlimit(resource.RLIMIT_DATA)[0])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert f"refused {MEMORY_BYTES // 4}\nthen {MEMORY_BYTES}\n{MEMORY_BYTES}\n" == done.stdout
