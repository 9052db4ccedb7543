"""The Ethereum settlement against anvil: the contract suite with blobs and with calldata."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ethereum_harness import KEYS, EthereumHarness, fund
from l1_fixtures import Anvil, run_anvil
from microrollup.settlement.ethereum.options import EthereumOptions
from microrollup.testing.settlement_suite import BasedContract, SettlementContract


@pytest.fixture(scope="class")
def anvil() -> Iterator[Anvil]:
    with run_anvil("--hardfork", "osaka") as anvil:
        fund(anvil, *KEYS)
        anvil.mine(5)
        yield anvil


@pytest.fixture(autouse=True)
def short_chain(anvil: Anvil) -> Iterator[None]:
    """L1 forgets each test: what anvil does for a block or a jump grows with all that it has."""
    kept = anvil.call("evm_snapshot")
    yield
    assert anvil.call("evm_revert", kept)


class TestBlobs(SettlementContract):
    """Every rule of the inbox, with batches in blobs."""

    @pytest.fixture
    def harness(self, anvil: Anvil) -> Iterator[EthereumHarness]:
        harness = EthereumHarness(
            anvil, EthereumOptions(anvil.url, da="blobs", poll_seconds=0, blob_sources=(anvil.url,), settle_seconds=120)
        )
        yield harness
        harness.close()


class TestCalldata(SettlementContract):
    """The same with batches in calldata."""

    @pytest.fixture
    def harness(self, anvil: Anvil) -> Iterator[EthereumHarness]:
        harness = EthereumHarness(anvil, EthereumOptions(anvil.url, da="calldata", poll_seconds=0, settle_seconds=120))
        yield harness
        harness.close()


class TestBased(BasedContract):
    """The rules of an inbox without a builder."""

    @pytest.fixture
    def harness(self, anvil: Anvil) -> Iterator[EthereumHarness]:
        harness = EthereumHarness(anvil, EthereumOptions(anvil.url, da="calldata", poll_seconds=0, settle_seconds=120))
        yield harness
        harness.close()
