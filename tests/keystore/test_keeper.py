"""`relay`: one keeper brings a root to three chains and pushes it to 50 accounts on each, whatever happens."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import pytest

from apps.keystore.chains.pushing import MAX_PUSHES, encode_pushes
from apps.keystore.chains.relaying import _render
from apps.keystore.chains.store import ChainStore
from apps.keystore.story.chain import Chain
from apps.keystore.story.stand_ins import set_l1_block
from chains_world import ChainsWorld, run_command
from l1_proxy import L1Proxy, run_proxy
from microrollup.codec.json import hex0x
from microrollup.crypto.ecdsa import compute_address, load_private_key
from microrollup.crypto.keccak import keccak256
from microrollup.testing.anvil import DEV_KEYS
from paths import ROOT
from ports import find_port
from waiting import SECONDS, wait_for

ACCOUNTS: Final = 50
KEYS: Final = [keccak256(b"kept %d" % number) for number in range(ACCOUNTS)]
PAYER: Final = compute_address(load_private_key(bytes.fromhex(DEV_KEYS[2])))
BUDGET: Final = 10**17


def test_a_chain_that_never_had_a_root_shows_none() -> None:
    """No height and no age; roots that a bridge brings are said to come by one."""
    table = _render(
        [
            {"chainId": 1, "rootsBy": "none", "root_height": 0, "root_shown_age_seconds": 9},
            {"chainId": 2, "rootsBy": "proof", "root_height": 5, "root_shown_age_seconds": 0},
        ]
    )
    shown = {str(column.header): list(column.cells) for column in table.columns}
    assert (["1", "2"], ["a bridge", "proof"]) == (shown["chain"], shown["roots by"])
    assert (["-", "5"], ["-", "0"]) == (shown["root height"], shown["shown, s"])


class FailingProxy(L1Proxy):
    """A chain's node that does not answer for a while."""

    is_down = True

    def answer(self, body: bytes) -> bytes | None:
        return None if self.is_down else super().answer(body)


@pytest.fixture(scope="module")
def arguments(chains: ChainsWorld, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., list[str]]:
    """The command's, for some URLs and a directory of its own; the keys' accounts are deployed with an older root."""
    directory = tmp_path_factory.mktemp("keeper")
    (directory / "key").write_text(DEV_KEYS[2])
    (directory / "accounts").write_text("".join(f"{hex0x(key)}\n" for key in KEYS))

    def make(urls: list[str], data: str, *more: object) -> list[str]:
        places = [word for url in urls for word in ("--chain", url)]
        return [
            "relay", *places, "--l1", chains.urls[0], "--key", str(directory / "key"), "--data", str(directory / data),
            "--book", str(chains.book), "--accounts", str(directory / "accounts"), *map(str, more),
        ]  # fmt: skip

    code, document = run_command(*make(chains.urls, "first", "--once"))
    assert 0 == code, document
    assert [chains.height] * 3 == [row["root_height"] for row in document["chains"]]
    assert [0, 0, 0] == [row["accounts_deployed"] for row in document["chains"]]
    for chain in chains.chains:
        chains.create_accounts(chain, KEYS)
    return make


def read_roots(world: ChainsWorld, chain: Chain) -> list[bytes]:
    """The copies of all accounts."""
    return [chain.ask(world.plan.get_account(key), keccak256(b"getRoots()")[:4])[:32] for key in KEYS]


def list_costs(chain: Chain) -> list[int]:
    """Wei of each transaction of the keeper's that the chain has."""
    number = int(chain.anvil.call("eth_blockNumber"), 16)
    receipts = [each for block in range(number + 1) for each in chain.anvil.call("eth_getBlockReceipts", hex(block))]
    own = [each for each in receipts if each["from"] == hex0x(PAYER)]
    assert all(each["status"] == "0x1" for each in own)
    return [int(each["gasUsed"], 16) * int(each["effectiveGasPrice"], 16) for each in own]


class KeeperProcess:
    """A keeper as a process."""

    def __init__(self, arguments: list[str]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "apps.keystore", *arguments, "--json"],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip

    def stop(self) -> tuple[int, dict[str, Any]]:
        """End it as a service manager does: its exit code, and what it says."""
        self.process.send_signal(signal.SIGTERM)
        said, _ = self.process.communicate(timeout=SECONDS)
        return self.process.returncode, json.loads(said)

    def close(self) -> None:
        """As `kill -9`."""
        self.process.kill()
        self.process.wait(SECONDS)
        if self.process.stdout is not None:
            self.process.stdout.close()


@pytest.fixture
def proxy(chains: ChainsWorld) -> Iterator[FailingProxy]:
    """In front of the second L2."""
    made = FailingProxy(chains.second.anvil.url)
    with run_proxy(chains.second.anvil.url, made):
        yield made


def test_fifty_accounts(
    chains: ChainsWorld, arguments: Callable[..., list[str]], proxy: FailingProxy, tmp_path: Path
) -> None:
    """A keeper is killed while a transaction waits, a chain is down, another is reorganised; the budget holds."""
    chains.l1.anvil.mine(100)
    root = chains.settle()
    paid = [len(list_costs(chain)) for chain in chains.chains]
    port = find_port()
    given = arguments(
        [chains.urls[0], chains.urls[1], proxy.url], "run", "--poll", 0.1, "--bump", 2, "--budget", "0.1",
        "--metrics", port,
    )  # fmt: skip
    data = Path(given[given.index("--data") + 1])
    chains.first.anvil.call("evm_setAutomine", False)
    with closing(KeeperProcess(given)):
        wait_for(lambda: {root} == set(read_roots(chains, chains.l1)))
        wait_for(lambda: chains.first.anvil.call("txpool_status")["pending"] == "0x1")
    chains.first.anvil.call("evm_setAutomine", True)
    chains.first.anvil.mine()
    with closing(KeeperProcess(given)) as process:
        wait_for(lambda: {root} == set(read_roots(chains, chains.first)))
        assert root not in read_roots(chains, chains.second)
        proxy.is_down = False
        wait_for(lambda: {root} == set(read_roots(chains, chains.second)))
        asked = proxy.seen["eth_chainId"]
        wait_for(lambda: proxy.seen["eth_chainId"] > asked + 2)  # once in a round: so the pushes' block was seen
        assert 'keystore_keeper_reorgs_total{chain="8453"} 0.0' in read_metrics(port)
        chains.second.anvil.call("anvil_reorg", 3, [])
        assert root not in read_roots(chains, chains.second)
        chains.show_l1()
        wait_for(lambda: {root} == set(read_roots(chains, chains.second)))
        wait_for(lambda: 'keystore_keeper_reorgs_total{chain="8453"} 1.0' in read_metrics(port))
        wait_for(lambda: 3 == len(re.findall(r"keystore_keeper_up{.*} 1\.0", read_metrics(port))))  # no round fails
        code, document = process.stop()
    assert 0 == code, document
    assert ["", "", ""] == [row["error"] for row in document["chains"]]
    with ChainStore(data, read_only=True) as store:
        notes = {note.chain_id: note for note in store.list_chains()}
    for chain, before in zip(chains.chains, paid, strict=True):
        costs = list_costs(chain)[before:]
        assert len(costs) <= 4  # the pushes to 50 accounts are one transaction
        assert sum(costs) <= notes[chain.chain_id].spent <= BUDGET
    assert sum(list_costs(chains.l1)[paid[0] :]) == notes[31337].spent


def read_metrics(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=SECONDS) as response:
        return response.read().decode()


def test_a_budget_that_is_spent(chains: ChainsWorld, arguments: Callable[..., list[str]]) -> None:
    """Nothing is sent, and the row says why."""
    chains.l1.anvil.mine(100)
    chains.settle()
    heads = [chain.anvil.get_head() for chain in chains.chains]
    code, document = run_command(*arguments(chains.urls, "poor", "--once", "--poll", 0.05, "--budget", "0.00000000001"))
    assert 1 == code
    assert all("raise --budget" in row["error"] and row["spent_wei"] == 0 for row in document["chains"])
    assert heads == [chain.anvil.get_head() for chain in chains.chains]


def test_how_often(chains: ChainsWorld, arguments: Callable[..., list[str]]) -> None:
    """A root that came a moment after another waits; so does an account's push."""
    chains.l1.anvil.mine(100)
    first = chains.settle()
    assert 0 == run_command(*arguments(chains.urls, "often", "--once", "--poll", 0.05))[0]
    chains.settle()
    code, document = run_command(*arguments(chains.urls, "often", "--once", "--poll", 0.05))
    assert 0 == code
    assert [(0, 0)] * 3 == [(row["roots"], row["pushes"]) for row in document["chains"]]
    code, document = run_command(*arguments(chains.urls, "often", "--once", "--poll", 0.05, "--root-every", 0))
    assert [(1, 0)] * 3 == [(row["roots"], row["pushes"]) for row in document["chains"]]
    assert all({first} == set(read_roots(chains, chain)) for chain in chains.chains)


def test_a_proof_that_is_not_taken_costs_nothing(chains: ChainsWorld, arguments: Callable[..., list[str]]) -> None:
    """An L2 whose clock is behind L1's takes none; its L1 block's hash is not paid for either, however often."""
    chains.l1.anvil.mine(300)
    chains.settle_on_l1()
    set_l1_block(chains.first.anvil, chains.l1.anvil.call("eth_getBlockByNumber", "latest", False))
    head = chains.first.anvil.get_head()
    code, document = run_command(*arguments(chains.urls[1:2], "early", "--once", "--poll", 0.05))
    assert 1 == code
    (row,) = document["chains"]
    assert "FutureRoot" in row["error"]
    assert (0, 0) == (row["spent_wei"], row["up"])
    assert head == chains.first.anvil.get_head()
    chains.show_l1()


def test_wrong_code_is_paid_for_by_nobody(chains: ChainsWorld, arguments: Callable[..., list[str]]) -> None:
    """Where other code is in the place of the roots' contract nothing is sent; a chain that is away has a row too."""
    chains.l1.anvil.mine(100)
    chains.settle()
    roots = hex0x(chains.plan.roots)
    kept = chains.first.anvil.call("eth_getCode", roots, "latest")
    head = chains.first.anvil.get_head()
    try:
        chains.first.anvil.call("anvil_setCode", roots, kept + "00")
        urls = [chains.urls[1], "http://127.0.0.1:1"]
        code, document = run_command(*arguments(urls, "wrong", "--once", "--poll", 0.05))
    finally:
        chains.first.anvil.call("anvil_setCode", roots, kept)
    assert 1 == code
    known, away = document["chains"]
    assert "the code of KeystoreRoots" in known["error"]
    assert (None, 0) == (away["chainId"], away["up"])
    assert head == chains.first.anvil.get_head()


def test_status_compares_copies(chains: ChainsWorld, arguments: Callable[..., list[str]]) -> None:
    """An account goes by the same configuration where its copies are one root; where it is older it may not."""
    chains.l1.anvil.mine(100)
    root = chains.settle()
    assert 0 == run_command(*arguments(chains.urls[:2], "compared", "--once", "--poll", 0.05))[0]
    code, rows = chains.ask_status(KEYS[0])
    assert 0 == code
    assert ["yes", "yes", "older"] == [row["sameConfiguration"] for row in rows]
    assert [hex0x(root)] * 2 == [row["copyRoot"] for row in rows[:2]]
    assert all(0 < row["copyLeft"] <= 7 * 86_400 for row in rows)


def test_a_push_takes_no_more_than_its_part(chains: ChainsWorld, arguments: Callable[..., list[str]]) -> None:
    """Whatever is at an address, the accounts after it are pushed to, and a limit too low for all undoes all."""
    del arguments
    thief = keccak256(b"takes all gas")[12:]
    chains.l1.anvil.call("anvil_setCode", hex0x(thief), "0x5b5f56")  # JUMPDEST PUSH0 JUMP, for ever
    chains.l1.anvil.mine(100)
    root = chains.settle()
    chains.l1.send(chains.plan.roots, keccak256(b"readInbox()")[:4])
    accounts = [thief, *[chains.plan.get_account(key) for key in KEYS]]
    form = {"from": hex0x(chains.l1.funder), "data": hex0x(encode_pushes(accounts))}
    gas = int(chains.l1.anvil.call("eth_estimateGas", form), 16)
    assert gas < 16_000_000
    chains.l1.anvil.call("eth_sendTransaction", form | {"gas": hex(gas)})
    wait_for(lambda: {root} == set(read_roots(chains, chains.l1)))
    assert len(encode_pushes([thief] * MAX_PUSHES)) < 49_152
