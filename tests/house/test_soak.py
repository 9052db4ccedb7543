"""A short soak: what was acknowledged outlives a kill, a reorg of L1 and a full disk; the figures are there."""

import json
import os
import subprocess
import sys
from pathlib import Path

from l1_fixtures import find_tool
from paths import ROOT

SECONDS = 9


def test_a_short_soak(tmp_path):
    """Each fault once. The command itself holds what is left against a replay, and fails where something is missing."""
    path = os.pathsep.join([str(Path(find_tool("anvil")).parent), os.environ["PATH"]])
    command = [sys.executable, "-m", "benchmarks.soak", "--seconds", str(SECONDS), "--faults", "3", "--out"]
    done = subprocess.run(
        [*command, str(tmp_path / "samples.json")], cwd=ROOT, env={**os.environ, "PATH": path, "TMPDIR": str(tmp_path)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert 0 == done.returncode, done.stderr[-4_000:]
    found, samples = json.loads(done.stdout), json.loads((tmp_path / "samples.json").read_bytes())
    assert {"kill", "reorg", "full disk"} == {*found["silence"], *found["leftOut"]}
    assert found["acknowledged"] > 0 < found["height"]
    assert len(samples["samples"]) > 1
    assert found["memoryMb"]["node, most"] > 20 < found["memoryMb"]["verifier, most"]
    assert [] == list(tmp_path.glob("soak-*"))
