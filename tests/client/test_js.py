"""The JavaScript client: its own tests, on Node.js, against nodes of this checkout."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from npm import install_npm
from paths import ROOT

PACKAGE = ROOT / "microrollup" / "client" / "js"
SECONDS = 300

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def package() -> Path:
    """The package as `npm install` leaves it."""
    return install_npm(PACKAGE, then=("node_modules/esbuild/install.js",))


def test_its_tests_pass(package: Path) -> None:
    """Vectors, a real node, a lying one, types, and the packed package in a fresh project."""
    npm = shutil.which("npm")
    assert npm is not None
    command = Path(sys.executable).parent / "microrollup"
    completed = subprocess.run(
        [npm, "test"],
        cwd=package,
        env=os.environ | {"MICROROLLUP": str(command)},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert 0 == completed.returncode, completed.stdout[-8_000:] + completed.stderr[-2_000:]
    assert "# fail 0" in completed.stdout
