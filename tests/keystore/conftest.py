"""What the room's tests share in one process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bundled_world import BundledWorld, run_bundled_world


@pytest.fixture(scope="session")
def bundled() -> Iterator[BundledWorld]:
    """An L2 with two bundlers, one for all tests of a process; what they make in it is their own."""
    with run_bundled_world() as made:
        yield made
