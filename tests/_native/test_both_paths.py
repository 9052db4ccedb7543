"""What uses the native helper, on Python's path: the rest of this run takes the path that was installed."""

from __future__ import annotations

import os
import subprocess
import sys

from paths import ROOT

USERS = (
    "tests/crypto/test_crypto.py", "tests/crypto/test_indexed.py", "tests/crypto/test_items.py",
    "tests/crypto/test_levels.py", "tests/execution/test_authentication.py", "tests/ledger/test_ledger.py",
    "tests/store/test_tree.py",
)  # fmt: skip


def test_the_users_pass_without_the_helper() -> None:
    """Hashes, trees, recovery, authentication and closing, with `MICROROLLUP_NATIVE=0`."""
    environment = {**os.environ, "MICROROLLUP_NATIVE": "0"}
    environment.pop("PYTEST_XDIST_WORKER", None)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", "0", *USERS]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=500)
    assert 0 == done.returncode, done.stdout[-2_000:]
