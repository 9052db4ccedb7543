"""What the room's tests share in one process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bundled_world import BundledWorld, run_bundled_world
from chains_world import ChainsWorld, run_chains_world


@pytest.fixture(scope="session")
def bundled() -> Iterator[BundledWorld]:
    """An L2 with two bundlers, one for all tests of a process; what they make in it is their own."""
    with run_bundled_world() as made:
        yield made


@pytest.fixture(scope="session")
def chains(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChainsWorld]:
    """An L1 and two L2s, one for all tests of a process, with the keystore's contracts on all of them."""
    with run_chains_world(tmp_path_factory.mktemp("chains")) as made:
        code, document = made.deploy("--stake", "1")
        assert 0 == code
        assert all(len(chain["deployed"]) == 13 and chain["stakedWei"] == str(10**18) for chain in document["chains"])
        yield made
