"""The inbox's own tests, in Solidity: unit, fuzz and invariant tests and the gas snapshot, run by forge.

They are in `tests/foundry/inbox`. After a change that is meant to change gas:
`python tests/settlement/test_inbox_contract.py`.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from l1_fixtures import FOUNDRY, find_tool

PROJECT = FOUNDRY / "inbox"
SNAPSHOTS = PROJECT / "snapshots"
SNAPSHOT = SNAPSHOTS / "inbox.json"
FORGE_SECONDS = 300


def run_forge(snapshots: Path) -> subprocess.CompletedProcess[str]:
    """All forge tests of the project; the gas that they measure goes into a folder."""
    environment = {**os.environ, "FOUNDRY_SNAPSHOTS": str(snapshots), "NO_COLOR": "1"}
    command = [find_tool("forge"), "test"]
    return subprocess.run(
        command, cwd=PROJECT, env=environment, capture_output=True, text=True, timeout=FORGE_SECONDS, check=False
    )


def test_forge(tmp_path: Path) -> None:
    """Every forge test passes, and each measured gas is the one under version control."""
    outcome = run_forge(tmp_path)
    assert 0 == outcome.returncode, outcome.stdout[-8_000:] + outcome.stderr[-2_000:]
    for kept in SNAPSHOTS.glob("*.json"):
        measured = json.loads((tmp_path / kept.name).read_text())
        assert json.loads(kept.read_text()) == measured, kept.name


def test_gas_is_below_the_bars() -> None:
    """A batch with two of three attestations costs less than a rough inbox did, whatever the number of its blobs."""
    kept = {name: int(gas) for name, gas in json.loads(SNAPSHOT.read_text()).items()}
    later = [
        gas for name, gas in kept.items() if name.startswith("settle, later") and "blob" in name and "2 of 3" in name
    ]
    assert 4 == len(later)
    assert max(later) < 97_000
    assert kept["settle, first, 1 blob, 2 of 3"] < 120_000


def test_quorums() -> None:
    """128 of 192 BLS keys settle for less than 260,000 gas and 2,000 bytes; at 48 they are cheaper."""
    kept = {name: int(gas) for name, gas in json.loads((SNAPSHOTS / "quorums.json").read_text()).items()}
    assert kept["BLS 192, a third absent"] < 260_000
    assert kept["BLS 192, a third absent, calldata"] < 2_000
    for count, cheaper in ((3, False), (12, False), (24, False), (48, True), (96, True), (192, True)):
        assert cheaper == (kept[f"BLS {count}, a third absent"] < kept[f"ECDSA {count}"])


if __name__ == "__main__":
    print(run_forge(SNAPSHOTS).stdout)  # noqa: T201
