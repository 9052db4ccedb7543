"""A process that is killed while it upgrades: the next one finds the state before, or the whole of the one after.

With `MICROROLLUP_ACCOUNTS=100000` the migration is one of so many entries.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from microrollup.ledger.ledger import Ledger
from paths import SUPPORT
from shop.big import make_app, prepare

COUNT = int(os.environ.get("MICROROLLUP_ACCOUNTS", "2000"))
STAGES = {"migrating": 1, "migrated": 1, "writing": 1, "committed": 2, "applied": 2}
"""Where it dies, and the height that is found afterwards."""


def upgrade(root: Path, seconds: float, stage: str = "") -> int:
    """Build the upgrade in a process of its own, which may die at a stage; its exit code."""
    command = [sys.executable, "-m", "shop.big", str(root), str(COUNT), str(seconds), stage]
    path = os.pathsep.join([str(SUPPORT), str(SUPPORT.parent.parent)])
    return subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, check=False).returncode


def test_killed_while_upgrading(tmp_path: Path) -> None:
    seconds, app = prepare(tmp_path / "first", COUNT), make_app(COUNT)
    for stage in STAGES:
        shutil.copytree(tmp_path / "first", tmp_path / stage)
    assert 0 == upgrade(tmp_path / "first", seconds)
    with Ledger.open(tmp_path / "first" / "builder", app) as ledger:
        built = ledger.header
        assert (2, "2") == (built.height, ledger.rollup.version)
    for stage, height in STAGES.items():
        assert -signal.SIGKILL == upgrade(tmp_path / stage, seconds, stage)
        with Ledger.open(tmp_path / stage / "builder", app) as ledger:
            assert (height, str(height)) == (ledger.header.height, ledger.rollup.version)
            assert COUNT + 1 == len(ledger.state.app.accounts)
        if height == 1:
            assert 0 == upgrade(tmp_path / stage, seconds)
        with Ledger.open(tmp_path / stage / "builder", app) as ledger:
            assert built == ledger.header
            assert built.state_root == ledger.tree.root()
