"""`.ci/run`, and what a run in CI may skip."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from paths import ROOT, TESTS

README = """# A project

<!-- tests -->
```sh
echo "CI is $CI" && exit 3
```

```sh
echo "another block"
```
"""


def test_the_readme_s_command_decides(tmp_path: Path) -> None:
    """It runs what the README says, with CI=true, and ends with its exit code."""
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci" / "run", tmp_path / ".ci")
    (tmp_path / "README.md").write_text(README)
    done = subprocess.run([tmp_path / ".ci" / "run"], capture_output=True, text=True, check=False)
    assert (3, "") == (done.returncode, done.stderr)
    assert "another" not in done.stdout
    assert done.stdout.endswith("CI is true\n")


SKIPPING = """
import pytest

def test_browser():
    pytest.skip("Chromium is not installed")

def test_vectors():
    pytest.skip("third-party vectors are not here")

def test_python():
    pytest.skip("CPython 3.12 is not on this machine")

@pytest.mark.skipif(True, reason="no wallets")
def test_wallet():
    pass

@pytest.mark.xfail
def test_known():
    raise AssertionError
"""


@pytest.mark.parametrize(
    ("value", "counts"), [("true", {"failed": 1, "errors": 2, "skipped": 2}), ("", {"skipped": 5})]
)
def test_what_ci_may_skip(tmp_path: Path, value: str, counts: dict[str, int]) -> None:
    """With CI=true only third-party vectors and other versions of Python are skipped; anything else fails."""
    shutil.copy(TESTS / "conftest.py", tmp_path)
    (tmp_path / "test_skipping.py").write_text(SKIPPING)
    (tmp_path / "test_whole.py").write_text("import pytest\npytest.importorskip('no_such_module')\n")
    environment = {**os.environ, "CI": value, "PYTHONPATH": str(TESTS / "support")}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist"]
    command.append("--continue-on-collection-errors")
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    summary = done.stdout.splitlines()[-1]
    found = {word: int(number) for number, word in re.findall(r"(\d+) (failed|errors|skipped)", summary)}
    assert counts == found, done.stdout
