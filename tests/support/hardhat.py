"""Hardhat's node as npm ships it: another L1 than anvil, on a free port of the loopback, stopped by its process id."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from microrollup.testing.anvil import Anvil
from npm import install_npm
from paths import TESTS
from waiting import SECONDS, wait_for

HARDHAT: Final = TESTS / "hardhat"

_BOOTSTRAP: Final = "node_modules/hardhat/internal/cli/bootstrap.js"
_LISTENING: Final = re.compile(r"JSON-RPC server at (http://127\.0\.0\.1:\d+)")


@contextmanager
def run_hardhat() -> Iterator[Anvil]:
    """Its JSON-RPC: as that of anvil, but for methods that begin with `anvil_`. It mines with each transaction."""
    install_npm(HARDHAT)
    environment = os.environ | {"HARDHAT_DISABLE_TELEMETRY_PROMPT": "true", "CI": "true", "NO_COLOR": "1"}
    command = ["node", _BOOTSTRAP, "node", "--hostname", "127.0.0.1", "--port", "0"]
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(
            command, cwd=HARDHAT, env=environment, stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT
        )

        def find_url() -> str | None:
            said.seek(0)
            text = said.read()
            assert process.poll() is None, text
            found = _LISTENING.search(text)
            return None if found is None else found[1]

        try:
            yield Anvil(process, str(wait_for(find_url)))
        finally:
            process.kill()
            process.wait(SECONDS)
