"""Stackup's interface in Solidity: unit and fuzz tests and the gas snapshot, run by forge.

They are in `tests/foundry/ucmt`. After a change that is meant to change gas:
`python tests/keystore/test_ucmt_forge.py`.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Final

from l1_fixtures import FOUNDRY, find_tool

PROJECT: Final = FOUNDRY / "ucmt"
SNAPSHOT: Final = PROJECT / "snapshots" / "ucmt.json"
FORGE_SECONDS: Final = 300

STACKUP: Final = {
    "1. registerNode": 76_859,
    "2. validate (with proof)": 12_338,
    "3. validate (without proof)": 5_215,
    "4. handleUpdates (with proof)": 63_774,
    "5. handleUpdates (without proof)": 56_642,
}
"""The gas snapshot of stackup-wallet/keystore at 806fc6a, for the same tree, node and proof."""

STACKUP_OPERATIONS: Final = {
    "handleOps: account made, node registered": 337_944,
    "handleOps: registered node": 91_598,
    "handleOps: proof again": 96_705,
    "handleOps: another node's first use": 156_266,
}
"""Execution gas of Stackup's contracts for an operation that sends one wei, with a tree of four nodes."""


def run_forge(snapshots: Path) -> subprocess.CompletedProcess[str]:
    """All forge tests of the project; the gas that they measure goes into a folder."""
    environment = {**os.environ, "FOUNDRY_SNAPSHOTS": str(snapshots), "FORGE_SNAPSHOT_CHECK": "false", "NO_COLOR": "1"}
    command = [find_tool("forge"), "test"]
    return subprocess.run(
        command, cwd=PROJECT, env=environment, capture_output=True, text=True, timeout=FORGE_SECONDS, check=False
    )


def read_gas(path: Path) -> dict[str, int]:
    """What a snapshot says."""
    return {name: int(gas) for name, gas in json.loads(path.read_text()).items()}


def test_forge(tmp_path: Path) -> None:
    """Every forge test passes, and each measured figure is the one under version control."""
    outcome = run_forge(tmp_path)
    assert 0 == outcome.returncode, outcome.stdout[-8_000:] + outcome.stderr[-2_000:]
    assert read_gas(SNAPSHOT) == read_gas(tmp_path / "ucmt.json")


def test_gas_is_not_above_stackups() -> None:
    """Each of the five calls, and each kind of operation, costs no more than with Stackup's contracts."""
    kept = read_gas(SNAPSHOT)
    above = {name: kept[name] for name, gas in {**STACKUP, **STACKUP_OPERATIONS}.items() if kept[name] > gas}
    assert {} == above


if __name__ == "__main__":
    print(run_forge(SNAPSHOT.parent).stdout)  # noqa: T201
