"""What holds for all tests."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

RECURSION_LIMIT = sys.getrecursionlimit()


@pytest.fixture(autouse=True)
def python_s_own_recursion_limit() -> Iterator[None]:
    """Every test runs under CPython's recursion limit: importing `eth_account`, which some tests compare with, sets it
    to 100,000 for the whole process.
    """
    sys.setrecursionlimit(RECURSION_LIMIT)
    yield
    sys.setrecursionlimit(RECURSION_LIMIT)
