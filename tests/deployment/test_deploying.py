"""A rollup's inbox on a real L1, and the data directory that knows it."""

from __future__ import annotations

from pathlib import Path

import pytest

from deployment_fixtures import ROLLUP
from l1_fixtures import run_anvil
from microrollup.crypto.ecdsa import compute_address, load_private_key
from microrollup.deployment.deploying import deploy_rollup, fund_builder
from microrollup.deployment.directory import open_rollup
from microrollup.deployment.place_file import find_place
from microrollup.deployment.status import read_directory_status
from microrollup.errors import UsageError
from microrollup.keys.files import builder_key_path, read_key
from microrollup.settlement.place import EthereumPlace
from microrollup.testing.anvil import DEV_KEYS

PAYER = load_private_key(bytes.fromhex(DEV_KEYS[0]))


def test_deploy_and_fund(tmp_path: Path) -> None:
    """The directory has its keys, knows its inbox and opens on it; the builder has its ether; twice is refused."""
    with run_anvil("--hardfork", "osaka") as anvil:
        anvil.mine(3)
        place = EthereumPlace(anvil.url, f"0x{'00' * 20}", depth=1)
        deployed = deploy_rollup(ROLLUP, tmp_path, place, PAYER)
        assert deployed.place == find_place(tmp_path, None)
        assert deployed.genesis.builder == compute_address(read_key(builder_key_path(tmp_path)))
        fund_builder(deployed, PAYER, 10**17)
        assert 10**17 == int(anvil.call("eth_getBalance", f"0x{deployed.genesis.builder.hex()}", "latest"), 16)
        with open_rollup(tmp_path, ROLLUP) as opened:
            assert deployed.genesis == opened.l1.get_genesis() == opened.ledger.genesis
        assert deployed.place.inbox == read_directory_status(tmp_path)["l1"]["inbox"]
        with pytest.raises(UsageError, match="holds a rollup already"):
            deploy_rollup(ROLLUP, tmp_path, place, PAYER)
