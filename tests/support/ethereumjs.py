"""EthereumJS's execution client as npm ships it, another L1 than anvil, and who tells it when blocks are to be.

A client after the merge makes no blocks of its own accord: `Proposer` asks for each by the engine API, as a consensus
client does. Both listen on free ports of the loopback.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Final

import httpx

from microrollup.testing.anvil import Anvil
from npm import install_npm
from paths import TESTS
from ports import find_port
from waiting import wait_for

ETHEREUMJS: Final = TESTS / "ethereumjs"

_PROGRAM: Final = "node_modules/@ethereumjs/client/dist/esm/bin/cli.js"
_BLOCK_SECONDS: Final = 0.25
_MISSED: Final = 60
"""Blocks in a row that may fail."""
_ROOT: Final = "0x" + "33" * 32
"""Of a beacon block that there is not."""


class _NoBlockError(Exception):
    """The client makes or takes no block now."""


class Proposer(threading.Thread):
    """Has the client make a block every quarter of a second until it is stopped; paused while somebody holds `lock`."""

    def __init__(self, client: Anvil, engine: str) -> None:
        super().__init__(daemon=True)
        self.lock = threading.RLock()
        self._engine = engine
        self._http = httpx.Client(timeout=60)
        self._done = threading.Event()
        self._refusal = ""
        block = client.call("eth_getBlockByNumber", "latest", False)
        self._first = self._head = block["hash"]
        self._time = int(block["timestamp"], 16)

    def run(self) -> None:
        missed = 0
        while not self._done.wait(_BLOCK_SECONDS):
            with self.lock:
                missed = 0 if self._try() else missed + 1
            assert missed < _MISSED, self._refusal

    def _try(self) -> bool:
        """Make a block; False if the client does not, as on a busy machine it says that it is not ready."""
        try:
            self._propose()
        except (_NoBlockError, httpx.HTTPError) as error:
            self._refusal = repr(error)
            return False
        return True

    def stop(self) -> None:
        self._done.set()
        self.join()
        self._http.close()

    def _propose(self) -> None:
        self._time = max(int(time.time()), self._time + 1)
        wanted = {
            "timestamp": hex(self._time),
            "prevRandao": "0x" + "11" * 32,
            "suggestedFeeRecipient": "0x" + "22" * 20,
            "withdrawals": [],
            "parentBeaconBlockRoot": _ROOT,
        }
        made = self._ask("engine_getPayloadV3", self._choose(wanted)["payloadId"])
        payload = made["executionPayload"]
        commitments = [bytes.fromhex(each[2:]) for each in made["blobsBundle"]["commitments"]]
        hashes = ["0x01" + hashlib.sha256(each).hexdigest()[2:] for each in commitments]
        if (said := self._ask("engine_newPayloadV3", payload, hashes, _ROOT))["status"] != "VALID":
            raise _NoBlockError(said)
        self._head = payload["blockHash"]
        self._choose(None)

    def _choose(self, wanted: dict[str, Any] | None) -> Any:
        """Make the newest block the head, and begin the next one if it is wanted."""
        state = {"headBlockHash": self._head, "safeBlockHash": self._head, "finalizedBlockHash": self._first}
        return self._ask("engine_forkchoiceUpdatedV3", state, wanted)

    def _ask(self, method: str, *arguments: Any) -> Any:
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": arguments}
        answer = self._http.post(self._engine, json=body).json()
        if "result" not in answer:
            raise _NoBlockError(method, answer)
        return answer["result"]


@contextmanager
def run_ethereumjs() -> Iterator[tuple[Anvil, Proposer]]:
    """Its JSON-RPC, as that of anvil but for methods that begin with `anvil_` or `evm_`; rules of Cancun."""
    install_npm(ETHEREUMJS)
    with ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="ethereumjs-"))
        said = stack.enter_context(tempfile.TemporaryFile("w+"))
        rpc, engine, peers = find_port(), find_port(), find_port()
        command = [
            "node", ETHEREUMJS / _PROGRAM, "--gethGenesis", ETHEREUMJS / "genesis.json", "--dataDir", directory,
            "--sync", "none", "--isSingleNode", "--rpc", "--rpcAddr", "127.0.0.1", "--rpcPort", rpc,
            "--rpcEngine", "--rpcEngineAddr", "127.0.0.1", "--rpcEnginePort", engine, "--rpcEngineAuth=false",
            "--extIP", "127.0.0.1", "--port", peers, "--saveReceipts", "--logFile", "log",
        ]  # fmt: skip
        process = subprocess.Popen(
            list(map(str, command)), cwd=directory, env=os.environ | {"NO_COLOR": "1"}, stdin=subprocess.DEVNULL,
            stdout=said, stderr=subprocess.STDOUT,
        )  # fmt: skip
        stack.callback(process.wait)
        stack.callback(process.kill)

        def has_started() -> bool:
            said.seek(0)
            text = said.read()
            assert process.poll() is None, text
            return "Client started successfully" in text

        wait_for(has_started)
        client = Anvil(process, f"http://127.0.0.1:{rpc}")
        proposer = Proposer(client, f"http://127.0.0.1:{engine}")
        proposer.start()
        stack.callback(proposer.stop)
        yield client, proposer
