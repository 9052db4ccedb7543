"""Hardhat's node as an L1: `deploy`, `run` and `verify --from-l1` work there too, with batches in calldata."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from command_line import APP
from hardhat import run_hardhat
from l1_node_fixtures import Chain, Miner, RollupSite, Zygote, run_command
from l1_proxy import run_proxy
from microrollup.testing.anvil import DEV_KEYS

FORCER = DEV_KEYS[1]


@pytest.fixture(scope="module")
def chain() -> Iterator[Chain]:
    with run_hardhat() as hardhat, run_proxy(hardhat.url) as proxy:
        miner = Miner(hardhat)
        miner.start()
        try:
            yield Chain(hardhat, proxy, miner)
        finally:
            miner.stop()


def test_a_rollup_on_hardhat(chain: Chain, tmp_path: Path) -> None:
    """An inbox is created, a node settles what it acknowledged and takes in a forced action, and a stranger derives the
    same state from L1 alone.
    """
    with closing(Zygote()) as zygote:
        site = RollupSite(tmp_path, chain, zygote)
        site.deploy("--da", "calldata", depth=2)
        with site.run() as node:
            site.submit(node, 5)
            node.wait_until_settled()
            members = [f"--member={name}=0x{'55' * 32}" for name in ("codeHash", "configHash", "salt")]
            key = tmp_path / "forcer.key"
            key.write_text(FORCER)
            forced = run_command("force", APP, "Register", *members, "--key", key, "--data", site.data)
            assert 0 == forced["index"]
            site.submit(node, 3)
            node.wait_until_settled()
            site.check_settled_once(node, others=1)
            assert 0 == node.command.stop()
        status = run_command("status", site.data)
        assert 1 == status["l1"]["forcedTaken"]
