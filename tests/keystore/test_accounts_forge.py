"""Validators, account and factory in Solidity: unit and fuzz tests and the gas snapshot, run by forge.

They are in `tests/foundry/accounts`. After a change that is meant to change gas:
`python tests/keystore/test_accounts_forge.py`.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from l1_fixtures import FOUNDRY, find_tool

PROJECT = FOUNDRY / "accounts"
SNAPSHOT = PROJECT / "snapshots" / "accounts.json"
FORGE_SECONDS = 300


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
    assert read_gas(SNAPSHOT) == read_gas(tmp_path / "accounts.json")


def test_figures_are_below_the_bars() -> None:
    """At depth 30 `validateUserOp` costs less than Stackup's `validate` alone at depth 5, in less than 1,200 bytes.

    The bytes are those beyond the validator's signature. Storage is cold here, at Stackup perhaps not. What the outbox
    opens has two proofs.
    """
    kept = read_gas(SNAPSHOT)
    assert kept["validateUserOp, storage cold: inclusion, no check"] < 12_338
    assert kept["validateUserOp, storage cold: exclusion, no check"] < 12_338
    assert kept["validateUserOp, storage cold: cached, no check"] < 5_215
    sizes = {name: size - 65 for name, size in kept.items() if name.startswith("signature bytes")}
    outbox = [sizes.pop(f"signature bytes: {name}") for name in ("intent", "delegate, ECDSA")]
    assert max(sizes.values()) < 1_200
    assert max(outbox) < 2_200
    assert kept["validator: multisig 255 of 255, call"] < 1_500_000


if __name__ == "__main__":
    print(run_forge(SNAPSHOT.parent).stdout)  # noqa: T201
