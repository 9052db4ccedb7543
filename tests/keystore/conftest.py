"""What the room's tests share in one process: an L2 with two bundlers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from account_world import World, run_world
from bundlers import Bundler, run_bundlers


@pytest.fixture(scope="session")
def bundled_world() -> Iterator[tuple[World, Bundler, Bundler]]:
    """An L2 on the newest rules, with a bundler that trusts simulation alone, and one that checks ERC-7562's rules."""
    with run_world("--hardfork", "osaka") as world, run_bundlers(world.anvil, False, True) as (unsafe, safe):
        yield world, unsafe, safe
