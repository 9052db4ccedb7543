"""An L1 for the tests of a file, and an inbox on it for each test; suites of backends have their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ethereum_site import Site, make_site, run_l1
from l1_fixtures import Anvil


@pytest.fixture(scope="module")
def anvil() -> Iterator[Anvil]:
    with run_l1() as anvil:
        yield anvil


@pytest.fixture
def site(anvil: Anvil) -> Iterator[Site]:
    with make_site(anvil, da="calldata") as site:
        yield site


@pytest.fixture
def blob_site(anvil: Anvil) -> Iterator[Site]:
    with make_site(anvil) as site:
        yield site
