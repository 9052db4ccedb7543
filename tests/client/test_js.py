"""The JavaScript client: its own tests, on Node.js, against nodes of this checkout."""

import sys
from pathlib import Path

import pytest

from npm import run_package_tests
from paths import ROOT


@pytest.mark.slow
def test_the_package() -> None:
    """Vectors, a real node, a lying one, types, and the packed package in a fresh project."""
    command = Path(sys.executable).parent / "microrollup"
    run_package_tests(ROOT / "microrollup" / "client" / "js", MICROROLLUP=str(command))
