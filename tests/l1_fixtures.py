"""A real L1 for tests: `anvil` as npm ships it, on a free port of the loopback, stopped by its process id."""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TextIO

import pytest

FOUNDRY: Final = Path(__file__).parent / "foundry"
_OFFLINE: Final = (
    "ENOTFOUND", "ECONNREFUSED", "ECONNRESET", "ETIMEDOUT", "EAI_AGAIN", "ENETUNREACH", "ERR_SOCKET_TIMEOUT"
)  # fmt: skip
_INSTALL_SECONDS: Final = 240
_START_SECONDS: Final = 30


def install_foundry() -> Path:
    """The folder with `node_modules` as the lock file pins them; installs them once, whoever asks first.

    Skips the test that asks where Node.js or npm's registry is missing.
    """
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("Node.js and npm are not installed (Debian: apt-get install nodejs npm)")
    wanted = hashlib.sha256((FOUNDRY / "package-lock.json").read_bytes()).hexdigest()
    stamp = FOUNDRY / "node_modules" / ".installed"
    with (FOUNDRY / ".install-lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stamp.exists() or stamp.read_text() != wanted:
            _npm_install(npm)
            stamp.write_text(wanted)
    return FOUNDRY


def _npm_install(npm: str) -> None:
    """`npm ci` would ask for the binaries of every platform, some of which a mirror may not hold."""
    arguments = [
        npm, "install", "--no-save", "--ignore-scripts", "--prefer-offline", "--no-audit", "--no-fund",
        "--fetch-retries=1",
    ]  # fmt: skip
    try:
        completed = subprocess.run(
            arguments, cwd=FOUNDRY, capture_output=True, text=True, timeout=_INSTALL_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        pytest.skip(f"`npm install` did not get the Ethereum tools within {_INSTALL_SECONDS} s")
    offline = [code for code in _OFFLINE if code in completed.stderr]
    if completed.returncode and offline:
        pytest.skip(f"`npm install` cannot reach npm's registry: {offline[0]}")
    assert 0 == completed.returncode, completed.stderr


def find_tool(name: str) -> str:
    """The path of `anvil` or `forge` itself. npm's launchers are Node.js scripts that would outlive a kill."""
    folder = install_foundry() / "node_modules" / "@foundry-rs"
    found = sorted(folder.glob(f"{name}-*/bin/{name}"))
    assert found, f"npm brought no {name} for this machine"
    return str(found[0])


class Anvil:
    """A running anvil: its URL, and its JSON-RPC for what only a test may do."""

    def __init__(self, process: subprocess.Popen[bytes], url: str) -> None:
        self.process = process
        self.url = url

    def call(self, method: str, *params: Any) -> Any:
        """One JSON-RPC call. Raises `AssertionError` with L1's own words if it says no."""
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
        request = urllib.request.Request(self.url, body, {"content-type": "application/json"})  # noqa: S310
        with urllib.request.urlopen(request, timeout=60) as response:  # noqa: S310
            answer = json.loads(response.read())
        assert "error" not in answer, answer["error"]
        return answer["result"]

    def mine(self, count: int = 1) -> None:
        """Let L1 pass by so many blocks of 12 seconds."""
        self.call("anvil_mine", hex(count), hex(12))


@contextmanager
def run_anvil(*arguments: str, timestamp: int | None = None) -> Iterator[Anvil]:
    """An L1 whose blocks come with each transaction, 12 seconds apart; chain id 31337, ten funded accounts."""
    command = [
        find_tool("anvil"), "--host", "127.0.0.1", "--port", "0", "--chain-id", "31337",
        "--timestamp", str(int(time.time()) // 12 * 12 - 120_000 if timestamp is None else timestamp), *arguments,
    ]  # fmt: skip
    with tempfile.TemporaryFile("w+") as said:  # a pipe that nobody reads would stop it once it is full
        process = subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT)
        try:
            anvil = Anvil(process, _wait_for_url(process, said))
            anvil.call("anvil_setBlockTimestampInterval", 12)
            yield anvil
        finally:
            process.kill()
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
        assert process.poll() is None, f"anvil did not start: {text}"
        assert time.monotonic() < deadline, f"anvil does not say where it listens: {text}"
        time.sleep(0.02)
