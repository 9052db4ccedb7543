"""EthereumJS's client as an L1: `deploy`, `run`, `force`, announcements and `verify --from-l1`, batches in calldata."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, TypeVar

import pytest

from command_line import APP, CommandLine, cli
from ethereumjs import run_ethereumjs
from l1_node_fixtures import Chain, RollupSite, Zygote, run_command
from l1_proxy import run_proxy
from microrollup.testing.anvil import DEV_KEYS

__all__ = ["cli"]

T = TypeVar("T")


@pytest.fixture(scope="module")
def chain() -> Iterator[Chain]:
    with run_ethereumjs() as (client, proposer), run_proxy(client.url) as proxy:
        miner: Any = proposer
        yield Chain(client, proxy, miner)


def persist(work: Callable[[], T]) -> T:
    """Run a command again that failed: on a busy machine the client calls a contract in vain now and then, without a
    reason. Each of these commands goes on from what is there.
    """
    for _ in range(4):
        with suppress(AssertionError):
            return work()
    return work()


def test_a_rollup_on_ethereumjs(chain: Chain, cli: CommandLine, tmp_path: Path) -> None:
    """An inbox is created, a node settles what it acknowledged and takes in a forced action, a stranger derives the
    same state; what the inbox refuses is told by its name.
    """
    with closing(Zygote()) as zygote:
        site = RollupSite(tmp_path, chain, zygote)
        persist(lambda: site.deploy("--da", "calldata", depth=2))
        payer = tmp_path / "payer.key"
        with site.run("--clock", "l1") as node:
            site.submit(node, 5)
            node.wait_until_settled()
            members = [f"--member={name}=0x{'55' * 32}" for name in ("codeHash", "configHash", "salt")]
            force = ("force", APP, "Register", *members, "--key", payer, "--data", site.data)
            assert 0 == persist(lambda: run_command(*force))["index"]
            site.submit(node, 3)
            node.wait_until_settled()
            site.check_settled_once(node, others=1)
            assert 0 == node.command.stop()
        inbox = ("--l1-url", chain.proxy.url, "--inbox", site.inbox)
        (verifier,) = persist(lambda: run_command("announced", *inbox))["verifiers"]["members"]
        stranger = tmp_path / "stranger.key"
        stranger.write_text(DEV_KEYS[1])
        announce = ("announce-verifiers", "--verifier", verifier, "--quorum", 1, *inbox, "--key")

        def is_refused() -> None:
            assert "is not the owner" in cli.refuse(*announce, stranger)

        persist(is_refused)
        assert "verifiers" == persist(lambda: run_command(*announce, payer, "--dry-run"))["kind"]
