"""Hardhat's node as npm ships it: another L1 than anvil, on a free port of the loopback, stopped by its process id."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import pytest

from microrollup.testing.anvil import Anvil
from paths import TESTS
from waiting import wait_for

HARDHAT: Final = TESTS / "hardhat"

_BOOTSTRAP: Final = "node_modules/hardhat/internal/cli/bootstrap.js"
_LISTENING: Final = re.compile(r"JSON-RPC server at (http://127\.0\.0\.1:\d+)")
_START_SECONDS: Final = 60


@contextmanager
def run_hardhat() -> Iterator[Anvil]:
    """Its JSON-RPC: as that of anvil, but for methods whose names begin with `anvil_`. It mines with each transaction.

    Skips the test where it is not installed: it takes 292 MB, so no test brings it by itself.
    """
    if not (HARDHAT / _BOOTSTRAP).exists():
        pytest.skip("Hardhat is not installed (npm ci in tests/hardhat)")
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
            yield Anvil(process, str(wait_for(find_url, _START_SECONDS)))
        finally:
            process.kill()
            process.wait()
