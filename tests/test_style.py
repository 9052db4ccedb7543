"""The house style, as far as tools can see it."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MAX_LINES = 400

pytestmark = pytest.mark.skipif(not (ROOT / "pyproject.toml").exists(), reason="needs the checkout")


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)


def test_ruff_is_content() -> None:
    """Ruff, with all rules but those that pyproject.toml ignores for a reason, finds nothing."""
    outcome = run("ruff", "check", "--no-cache", "microrollup", "apps", "benchmarks")
    assert (0, "") == (outcome.returncode, outcome.stdout.replace("All checks passed!\n", ""))


def test_mypy_is_content() -> None:
    """mypy in strict mode finds nothing."""
    outcome = run("mypy")
    assert 0 == outcome.returncode, outcome.stdout


def test_files_are_small() -> None:
    """A file holds one noun: none is longer than 400 lines."""
    long_files = {
        str(path.relative_to(ROOT)): count
        for folder in ("microrollup", "apps", "benchmarks")
        for path in (ROOT / folder).rglob("*.py")
        if (count := len(path.read_text().splitlines())) > MAX_LINES
    }
    assert {} == {name: count for name, count in long_files.items() if "testing" not in name}
