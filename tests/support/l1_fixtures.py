"""A real L1 for tests: `anvil` as npm ships it, on a free port of the loopback, stopped by its process id."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import microrollup.testing.anvil
from microrollup.testing.anvil import CHAIN_ID, Anvil
from npm import install_npm
from paths import FOUNDRY

__all__ = ["Anvil", "find_tool", "install_foundry", "run_anvil"]


def install_foundry() -> Path:
    """The folder with `node_modules` as the lock file pins them. Skips the test where they cannot be had."""
    return install_npm(FOUNDRY)


def find_tool(name: str) -> str:
    """The path of `anvil` or `forge` itself. npm's launchers are Node.js scripts that would outlive a kill."""
    folder = install_foundry() / "node_modules" / "@foundry-rs"
    found = sorted(folder.glob(f"{name}-*/bin/{name}"))
    assert found, f"npm brought no {name} for this machine"
    return str(found[0])


@contextmanager
def run_anvil(*arguments: str, timestamp: int | None = None, chain_id: int = CHAIN_ID) -> Iterator[Anvil]:
    """An L1 of the installed anvil."""
    command = [find_tool("anvil")]
    with microrollup.testing.anvil.run_anvil(command, *arguments, timestamp=timestamp, chain_id=chain_id) as anvil:
        yield anvil
