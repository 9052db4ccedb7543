"""A real L1 for demonstrations and tests: Foundry's `anvil` on a free port of the loopback.

Its blocks come with each transaction and lie 12 seconds apart; ten funded accounts that all know.
"""

from __future__ import annotations

import copy
import gzip
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final, TextIO

from microrollup.errors import UsageError

__all__ = ["ANVIL_VERSION", "CHAIN_ID", "DEV_KEYS", "Anvil", "AnvilRefused", "find_anvil", "pass_blocks", "run_anvil"]

ANVIL_VERSION: Final = "1.7.1"

CHAIN_ID: Final = 31337
"""As development chains have it."""

DEV_KEYS: Final = (
    "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80",
    "59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d",
    "5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a",
)
"""Private keys of the first funded accounts, from the mnemonic that all development chains share."""

_START_SECONDS: Final = 60
_CALL_SECONDS: Final = 60
_SECONDS_AGO: Final = 120_000
"""The chain begins in the past: its blocks are 12 seconds apart, however fast they come."""
_BLOCK_SECONDS: Final = 12
_KEPT_STATES: Final = 500
"""Blocks of which it keeps the state, in memory. Unasked, it writes older states to its user's home directory, up to
3,600 of them, and leaves them there when it is killed.
"""
_MINED_BLOCKS: Final = 70
"""Blocks that are really mined after a jump: more than the window that a follower keeps."""


class AnvilRefused(AssertionError):
    """anvil said no; `data` is what a call reverted with, empty for any other refusal."""

    def __init__(self, method: str, error: dict[str, Any]) -> None:
        super().__init__(f"{method}: {error}")
        data = error.get("data")
        self.data = bytes.fromhex(data[2:]) if isinstance(data, str) and data.startswith("0x") else b""


class Anvil:
    """A running anvil: its URL, and its JSON-RPC for what only a test may do."""

    def __init__(self, process: subprocess.Popen[bytes], url: str) -> None:
        self.process = process
        self.url = url

    def call(self, method: str, *params: Any) -> Any:
        """One JSON-RPC call. Raises `AnvilRefused` with L1's own words if it says no."""
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
        request = urllib.request.Request(self.url, body, {"content-type": "application/json"})  # noqa: S310
        with urllib.request.urlopen(request, timeout=_CALL_SECONDS) as response:  # noqa: S310
            answer = json.loads(response.read())
        if "error" in answer:
            raise AnvilRefused(method, answer["error"])
        return answer["result"]

    def mine(self, count: int = 1) -> None:
        """Let L1 pass by so many blocks of 12 seconds."""
        self.call("anvil_mine", hex(count), hex(_BLOCK_SECONDS))

    def get_head(self) -> tuple[int, int]:
        """Number and time of the newest block."""
        block = self.call("eth_getBlockByNumber", "latest", False)
        return int(block["number"], 16), int(block["timestamp"], 16)


def find_anvil() -> list[str]:
    """The command that starts anvil: the one on PATH, or npm's through `npx`. Raises `UsageError` with what to do."""
    anvil = shutil.which("anvil")
    if anvil is not None:
        return [anvil]
    npx = shutil.which("npx")
    if npx is not None:
        return [npx, "--yes", f"@foundry-rs/anvil@{ANVIL_VERSION}"]
    raise UsageError(
        f"no L1 can be started: install Foundry's anvil, or Node.js, whose npm has @foundry-rs/anvil@{ANVIL_VERSION}"
    )


@contextmanager
def run_anvil(
    command: Sequence[str], *arguments: str, timestamp: int | None = None, chain_id: int = CHAIN_ID
) -> Iterator[Anvil]:
    """Start it and end it. Raises `UsageError` if it does not start."""
    started = int(time.time()) // 12 * 12 - _SECONDS_AGO if timestamp is None else timestamp
    full = [
        *command, "--host", "127.0.0.1", "--port", "0", "--chain-id", str(chain_id), "--timestamp", str(started),
        "--prune-history", str(_KEPT_STATES), *arguments,
    ]  # fmt: skip
    with tempfile.TemporaryFile("w+") as said:  # a pipe that nobody reads would stop it once it is full
        process = subprocess.Popen(  # noqa: S603  # the command is the user's own
            full, stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT, process_group=0
        )
        try:
            anvil = Anvil(process, _wait_for_url(process, said))
            anvil.call("anvil_setBlockTimestampInterval", _BLOCK_SECONDS)
            yield anvil
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # npm's launcher has a child
            process.wait()


def _wait_for_url(process: subprocess.Popen[bytes], said: TextIO) -> str:
    """The address on which it says that it listens."""
    deadline = time.monotonic() + _START_SECONDS
    while True:
        said.seek(0)
        text = said.read()
        for line in text.splitlines(keepends=True):
            if line.startswith("Listening on ") and line.endswith("\n"):
                return f"http://{line.removeprefix('Listening on ').strip()}"
        if process.poll() is not None or time.monotonic() > deadline:
            raise UsageError(f"anvil did not start: {text.strip()[-500:] or 'it said nothing'}")
        time.sleep(0.02)


def pass_blocks(anvil: Anvil, count: int) -> None:
    """Let L1 pass by so many blocks.

    anvil mines them in quadratic time (10,000 take a minute), so long ways are jumped: its state is dumped, its newest
    block gets a higher number, and the state is loaded again. In between there are no blocks.
    """
    if count > 3 * _MINED_BLOCKS:
        _jump(anvil, count - _MINED_BLOCKS)
        count = _MINED_BLOCKS
    if count:
        anvil.mine(count)


def _jump(anvil: Anvil, count: int) -> None:
    state: Any = json.loads(gzip.decompress(bytes.fromhex(anvil.call("anvil_dumpState")[2:])))
    newest = max(state["blocks"], key=lambda block: int(block["header"]["number"], 16))
    block = copy.deepcopy(newest) | {"transactions": []}
    header = block["header"]
    number, time_ = int(header["number"], 16) + count, int(header["timestamp"], 16) + _BLOCK_SECONDS * count
    header |= {"number": hex(number), "timestamp": hex(time_)}
    state |= {"blocks": [block], "transactions": [], "historical_states": None, "accounts": {}}  # what it has, stays
    state["block"] |= {"number": hex(number), "timestamp": hex(time_)}
    state["best_block_number"] = number
    if not anvil.call("anvil_loadState", f"0x{gzip.compress(json.dumps(state).encode(), 1).hex()}"):
        raise AnvilRefused("anvil_loadState", {})
    anvil.call("evm_setNextBlockTimestamp", hex(time_ + _BLOCK_SECONDS))
