"""EthereumJS's client as an L1: `deploy`, `run`, `force`, announcements and `verify --from-l1`, batches in calldata."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from command_line import APP, CommandLine, cli
from ethereumjs import run_ethereumjs
from l1_node_fixtures import Chain, RollupSite, Zygote, run_command
from l1_proxy import run_proxy
from microrollup.testing.anvil import DEV_KEYS

__all__ = ["cli"]


@pytest.fixture(scope="module")
def chain() -> Iterator[Chain]:
    with run_ethereumjs() as (client, proposer), run_proxy(client.url) as proxy:
        miner: Any = proposer
        yield Chain(client, proxy, miner)


def test_a_rollup_on_ethereumjs(chain: Chain, cli: CommandLine, tmp_path: Path) -> None:
    """An inbox is created, a node settles what it acknowledged and takes in a forced action, a stranger derives the
    same state; what the inbox refuses is told by its name.
    """
    with closing(Zygote()) as zygote:
        site = RollupSite(tmp_path, chain, zygote)
        site.deploy("--da", "calldata", depth=2)
        payer = tmp_path / "payer.key"
        with site.run("--clock", "l1") as node:
            site.submit(node, 5)
            node.wait_until_settled()
            members = [f"--member={name}=0x{'55' * 32}" for name in ("codeHash", "configHash", "salt")]
            assert 0 == run_command("force", APP, "Register", *members, "--key", payer, "--data", site.data)["index"]
            site.submit(node, 3)
            node.wait_until_settled()
            site.check_settled_once(node, others=1)
            assert 0 == node.command.stop()
        inbox = ("--l1-url", chain.proxy.url, "--inbox", site.inbox)
        (verifier,) = run_command("announced", *inbox)["verifiers"]["members"]
        stranger = tmp_path / "stranger.key"
        stranger.write_text(DEV_KEYS[1])
        announce = ("announce-verifiers", "--verifier", verifier, "--quorum", 1, *inbox, "--key")
        assert "is not the owner" in cli.refuse(*announce, stranger)
        assert "verifiers" == run_command(*announce, payer, "--dry-run")["kind"]
