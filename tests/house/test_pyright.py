"""Pyright, the second opinion on types: it reads the libraries too and takes far longer than mypy."""

import os
import subprocess
import sys

import pytest

from paths import ROOT

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (ROOT / "pyproject.toml").exists(), reason="needs the checkout"),
]


def test_pyright_is_content() -> None:
    """Pyright finds nothing in the packages."""
    outcome = subprocess.run(
        [sys.executable, "-m", "pyright", "--pythonpath", sys.executable],
        cwd=ROOT,
        env={**os.environ, "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert 0 == outcome.returncode, outcome.stdout + outcome.stderr
