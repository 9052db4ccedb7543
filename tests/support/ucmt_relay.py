"""Chains with a keystore on them, a log of updates, and relayers between: in this process, or as processes."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from eth_abi.abi import decode

import microrollup.testing.anvil
from apps.keystore.ucmt import RootUpdate, app
from apps.keystore.ucmt.published import OWN_KEYSTORE
from apps.keystore.ucmt.relay.service import Relayer, RelayOptions
from apps.keystore.ucmt.relay.store import RelayStore
from apps.keystore.ucmt.relay.table import describe_relay
from apps.keystore.ucmt.relay.worker import ChainLimits
from l1_fixtures import Anvil, find_tool
from microrollup.chain.export import write_blocks
from microrollup.crypto.ecdsa import compute_address
from microrollup.crypto.keccak import keccak256
from microrollup.settlement.ethereum.create2 import DEPLOYER
from microrollup.settlement.ethereum.options import EthereumOptions
from microrollup.testing.execution import Senders, envelope
from microrollup.testing.stored import StoredRollup
from microrollup.verifier.source import StoreSource
from paths import ROOT
from ucmt_world import User, encode_raw, list_deployments, make_key
from waiting import SECONDS, wait_for

__all__ = ["RELAYER", "Log", "RelayChain", "RelayProcess", "relay_once", "run_chain"]

RELAYER: Final = make_key("relayer")
UPDATED: Final = "0x" + keccak256(b"RootHashUpdated(bytes32,address,bytes32,uint256,bool)").hex()
ETHER: Final = 10**18
LIMITS: Final = ChainLimits(ETHER, 20)


class RelayChain:
    """An anvil with the keystore and its verifiers."""

    def __init__(self, anvil: Anvil, chain_id: int) -> None:
        self.anvil = anvil
        self.chain_id = chain_id
        self.url = anvil.url
        anvil.call("anvil_setBalance", "0x" + compute_address(RELAYER).hex(), hex(ETHER))

    def deploy(self) -> None:
        """By the deterministic deployment proxy."""
        sender = self.anvil.call("eth_accounts")[0]
        for address, code in list_deployments().items():
            data = "0x" + bytes(32).hex() + code.hex()
            transaction = {"from": sender, "to": "0x" + DEPLOYER.hex(), "data": data, "gas": hex(5_000_000)}
            self.anvil.call("eth_sendTransaction", transaction)
            wait_for(lambda address=address: self.anvil.call("eth_getCode", "0x" + address.hex(), "latest") != "0x")

    def list_events(self) -> list[tuple[bytes, bytes, bytes, int, bool]]:
        """(refHash, account, next root, nonce, success) of all updates, in the chain's order."""
        query = {"fromBlock": "0x0", "address": "0x" + OWN_KEYSTORE.hex(), "topics": [UPDATED]}
        found = []
        for log in self.anvil.call("eth_getLogs", query):
            topics = [bytes.fromhex(topic[2:]) for topic in log["topics"]]
            nonce, success = decode(["uint256", "bool"], bytes.fromhex(log["data"][2:]))
            found.append((topics[1], topics[2][12:], topics[3], nonce, success))
        return found

    def read_root(self, user: User) -> bytes:
        """`getRootHash`."""
        data = keccak256(b"getRootHash(bytes32,address)")[:4] + user.ref_hash + bytes(12) + user.account
        call = {"to": "0x" + OWN_KEYSTORE.hex(), "data": "0x" + data.hex()}
        return bytes.fromhex(self.anvil.call("eth_call", call, "latest")[2:])

    def send(self, update: RootUpdate) -> None:
        """By somebody else than the relayer."""
        sender = self.anvil.call("eth_accounts")[1]
        data = "0x" + encode_raw(update).hex()
        transaction = {"from": sender, "to": "0x" + OWN_KEYSTORE.hex(), "data": data, "gas": hex(5_000_000)}
        digest = self.anvil.call("eth_sendTransaction", transaction)
        receipt: Any = wait_for(lambda: self.anvil.call("eth_getTransactionReceipt", digest))
        assert "0x1" == receipt["status"]

    def count_reverted(self) -> int:
        """Transactions of the relayer that are included and have failed."""
        number, sender = int(self.anvil.call("eth_blockNumber"), 16), "0x" + compute_address(RELAYER).hex()
        receipts = [each for block in range(number + 1) for each in self.anvil.call("eth_getBlockReceipts", hex(block))]
        return len([each for each in receipts if each["from"] == sender and each["status"] == "0x0"])

    def list_inputs(self) -> list[bytes]:
        """The calldata of all transactions."""
        number = int(self.anvil.call("eth_blockNumber"), 16)
        blocks = [self.anvil.call("eth_getBlockByNumber", hex(each), True) for each in range(number + 1)]
        return [bytes.fromhex(each["input"][2:]) for block in blocks for each in block["transactions"]]


@contextmanager
def run_chain(chain_id: int, *, deploy: bool = True) -> Iterator[RelayChain]:
    """A chain of its own."""
    with microrollup.testing.anvil.run_anvil([find_tool("anvil")], "--hardfork", "osaka", chain_id=chain_id) as anvil:
        chain = RelayChain(anvil, chain_id)
        if deploy:
            chain.deploy()
        yield chain


class Log:
    """The rollup's log, as a block file."""

    def __init__(self, root: Path) -> None:
        self.directory = root / "rollup"
        self.path = root / "log.blocks"
        self._is_new = True
        self.add()

    def add(self, *updates: RootUpdate) -> None:
        """A block with these updates, which must execute."""
        self.directory.mkdir(exist_ok=True)
        with StoredRollup(self.directory, app, Senders(1), create=self._is_new) as rollup:
            self._is_new = False
            for update in updates:
                outcome: Any = rollup.apply(envelope("ucmt", encode_raw(update)))
                assert 0 == outcome.receipt.status, outcome
            rollup.close_block()
        with StoreSource(self.directory / "store") as source:
            write_blocks(self.path, source.genesis, source.read_blocks())


def relay_once(
    log: Log | str, directory: Path, urls: Sequence[str], *, limits: ChainLimits = LIMITS, retry: bool = False,
    **changes: Any,
) -> dict[str, Any]:  # fmt: skip
    """A relayer that works until nothing is left that could be sent; what it knows then."""
    chains = tuple([
        EthereumOptions(url, bump_seconds=2, settle_seconds=20, retries=1, **changes) for url in urls
    ])  # fmt: skip
    source = log if isinstance(log, str) else str(log.path)
    options = RelayOptions(source, chains, limits, poll_seconds=0.05, once=True, patience=2, retry=retry)

    async def run(store: RelayStore) -> None:
        await Relayer(store, options, RELAYER).run()

    with RelayStore(directory) as store:
        asyncio.run(run(store))
        return describe_relay(store)


def count_statuses(document: dict[str, Any], chain_id: int) -> dict[str, int]:
    """How many updates have each status on a chain."""
    (chain,) = [chain for chain in document["chains"] if chain["chainId"] == chain_id]
    names = ("done", "sent", "pending", "refused", "diverged")
    return {name: chain[name] for name in names if chain[name]}


class RelayProcess:
    """`python -m apps.keystore.ucmt relay`."""

    def __init__(self, source: str, directory: Path, urls: Sequence[str], key: Path, *more: object) -> None:
        self.directory = directory
        arguments = ["--from", source, "--data", directory, "--key", key, *more]
        for url in urls:
            arguments += ["--chain", url]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "apps.keystore.ucmt", "relay", *map(str, arguments)],
            cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def read(self) -> dict[str, Any]:
        """What its store says while it runs."""
        try:
            with RelayStore(self.directory, read_only=True) as store:
                return describe_relay(store)
        except Exception:
            return {"chains": [], "rows": [], "updates": []}

    def kill(self) -> None:
        """Without a warning."""
        self.process.kill()
        self.process.communicate(timeout=SECONDS)

    def close(self) -> None:
        """End it whatever it does."""
        if self.process.poll() is None:
            self.kill()

    def stop(self) -> tuple[int, dict[str, Any]]:
        """By a signal: exit code and what it printed."""
        self.process.send_signal(signal.SIGTERM)
        out, err = self.process.communicate(timeout=SECONDS)
        assert out, err.decode()
        return self.process.returncode, json.loads(out)
