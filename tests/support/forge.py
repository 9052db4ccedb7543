"""Projects of contracts' tests in `tests/foundry`, run by forge: all pass, and the gas is as under version control."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Final

from l1_fixtures import FOUNDRY, find_tool

__all__ = ["ForgeProject"]

_SECONDS: Final = 300


class ForgeProject:
    """One project."""

    def __init__(self, name: str) -> None:
        self._directory = FOUNDRY / name
        self._snapshots = self._directory / "snapshots"

    def _run(self, snapshots: Path) -> subprocess.CompletedProcess[str]:
        """All tests; the gas that they measure goes into a folder."""
        more = {"FOUNDRY_SNAPSHOTS": str(snapshots), "FORGE_SNAPSHOT_CHECK": "false", "NO_COLOR": "1"}
        return subprocess.run(
            [find_tool("forge"), "test"], cwd=self._directory, env=os.environ | more, capture_output=True, text=True,
            timeout=_SECONDS, check=False,
        )  # fmt: skip

    def check(self, measured: Path) -> None:
        """Every test passes, and each figure, written to the folder `measured`, is the one that is kept."""
        outcome = self._run(measured)
        assert 0 == outcome.returncode, outcome.stdout[-8_000:] + outcome.stderr[-2_000:]
        kept = {path.stem: self.read_gas(path.stem) for path in self._snapshots.glob("*.json")}
        assert kept == {name: _read(measured / f"{name}.json") for name in kept}

    def read_gas(self, name: str) -> dict[str, int]:
        """What a snapshot under version control says."""
        return _read(self._snapshots / f"{name}.json")

    def update(self) -> None:
        """Keep what is measured now, and show what forge says."""
        print(self._run(self._snapshots).stdout)  # noqa: T201


def _read(path: Path) -> dict[str, int]:
    return {name: int(gas) for name, gas in json.loads(path.read_text()).items()}
