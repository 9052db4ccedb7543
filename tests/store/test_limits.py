"""Limits of time, memory and recursion, and how they relate."""

from __future__ import annotations

import subprocess
import sys

import pytest

from microrollup.limits import MEMORY_BYTES, RECURSION_LIMIT, VERIFIER_FACTOR, relaxed_limits


def descend(depth: int) -> int:
    return 0 if depth == 0 else 1 + descend(depth - 1)


def test_relaxed_limits() -> None:
    """Recursion may go ten times deeper for a while, and the limit is what it was afterwards, whatever happens."""
    before = sys.getrecursionlimit()
    assert RECURSION_LIMIT == 1_000 * VERIFIER_FACTOR
    with relaxed_limits():
        assert 5_000 == descend(5_000)
    with pytest.raises(KeyError), relaxed_limits():
        raise KeyError
    assert before == sys.getrecursionlimit()


def test_relaxing_never_tightens() -> None:
    """A limit that is higher already stays."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(RECURSION_LIMIT + 500)
    try:
        with relaxed_limits():
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


def test_relaxed_memory() -> None:
    """Ten times the memory for a while, also within itself; a hard limit and a higher limit stay as they are."""
    code = f"""
import resource
from microrollup.limits import limited_memory, relaxed_limits
soft = lambda: resource.getrlimit(resource.RLIMIT_DATA)[0] // {MEMORY_BYTES}
with limited_memory({MEMORY_BYTES}):
    with relaxed_limits():
        with relaxed_limits():
            print(soft())
        print(soft())
    print(soft())
with limited_memory({MEMORY_BYTES * 20}), relaxed_limits():
    print(soft())
before = resource.getrlimit(resource.RLIMIT_DATA)
with relaxed_limits():
    print(before == resource.getrlimit(resource.RLIMIT_DATA))
resource.setrlimit(resource.RLIMIT_DATA, ({MEMORY_BYTES}, {MEMORY_BYTES * 3}))
with relaxed_limits():
    print(soft())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ["10", "10", "1", "20", "True", "3"] == done.stdout.split()


def test_reserved_memory() -> None:
    """An eighth is held back for a while, and there again afterwards; a process without a limit gets none."""
    code = f"""
import resource
from microrollup.limits import limited_memory, require_memory, reserved_memory
soft = lambda: resource.getrlimit(resource.RLIMIT_DATA)[0]
with reserved_memory():
    print(soft() == resource.RLIM_INFINITY)
with limited_memory({MEMORY_BYTES}):
    with reserved_memory():
        print(soft() * 8 == {MEMORY_BYTES} * 7)
    print(soft() == {MEMORY_BYTES})
    require_memory({MEMORY_BYTES // 2})
    try:
        require_memory({MEMORY_BYTES})
    except MemoryError:
        print("not there")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ["True", "True", "True", "not", "there"] == done.stdout.split()
