"""A real L1 for tests: `anvil` as npm ships it, on a free port of the loopback, stopped by its process id."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

import microrollup.testing.anvil
from microrollup.testing.anvil import Anvil

__all__ = ["Anvil", "find_tool", "install_foundry", "run_anvil"]

FOUNDRY: Final = Path(__file__).parent / "foundry"
_OFFLINE: Final = (
    "ENOTFOUND", "ECONNREFUSED", "ECONNRESET", "ETIMEDOUT", "EAI_AGAIN", "ENETUNREACH", "ERR_SOCKET_TIMEOUT"
)  # fmt: skip
_INSTALL_SECONDS: Final = 240


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


@contextmanager
def run_anvil(*arguments: str, timestamp: int | None = None) -> Iterator[Anvil]:
    """An L1 of the installed anvil."""
    with microrollup.testing.anvil.run_anvil([find_tool("anvil")], *arguments, timestamp=timestamp) as anvil:
        yield anvil
