"""Demo, export and verify on and across the CPython versions that the package supports, as far as they are here."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path

import pytest

from command_line import EXPECTED, LINES, Result, run_process
from kernel_fixtures import make_steps
from microrollup.testing.determinism import assert_deterministic
from microrollup.testing.execution import Senders, next_block
from paths import ROOT
from wheel_fixtures import installed, wheel
from zoo import zoo

__all__ = ["installed", "wheel"]

pytestmark = pytest.mark.slow

MINORS = (11, 12, 13)
(ALICE,) = Senders(1)
VENVS = ROOT / "build" / "interpreters"
"""Environments with the package's dependencies; made once for each version and list of them."""


def test_the_package_names_these_versions() -> None:
    """What is tested here is what the package says that it supports."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    prefix = "Programming Language :: Python :: 3."
    named = [int(name.removeprefix(prefix)) for name in project["classifiers"] if name.startswith(prefix)]
    assert list(MINORS) == named
    assert f">=3.{MINORS[0]},<3.{MINORS[-1] + 1}" == project["requires-python"]


def list_candidates(minor: int) -> list[Path]:
    """Where CPython 3.`minor` may be: this process, the path, pyenv, uv."""
    home = Path.home()
    pyenv = Path(os.environ.get("PYENV_ROOT", home / ".pyenv")) / "versions"
    uv = Path(os.environ.get("UV_PYTHON_INSTALL_DIR", home / ".local" / "share" / "uv" / "python"))
    found = shutil.which(f"python3.{minor}")
    return [
        *([Path(sys.executable)] if sys.version_info[:2] == (3, minor) else []),
        *([Path(found)] if found else []),
        *sorted(pyenv.glob(f"3.{minor}.*/bin/python3.{minor}")),
        *sorted(uv.glob(f"cpython-3.{minor}.*/bin/python3.{minor}")),
    ]


def is_python(path: Path, minor: int) -> bool:
    """Whether it runs and is what its name says; a shim of pyenv may stand for nothing."""
    script = "import sys, venv; print(sys.implementation.name, *sys.version_info[:2])"
    try:
        shown = subprocess.run([path, "-c", script], capture_output=True, text=True, check=False, timeout=60)
    except OSError:
        return False
    return (0, f"cpython 3 {minor}") == (shown.returncode, shown.stdout.strip())


@cache
def prepare(minor: int) -> Path:
    """A CPython 3.`minor` with the package's dependencies. Skips the test where there is none."""
    python = next((path for path in list_candidates(minor) if is_python(path, minor)), None)
    if python is None:
        pytest.skip(f"CPython 3.{minor} is not on this machine")
    if python == Path(sys.executable):
        return python
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    digest = hashlib.sha256("\n".join([str(python), *wanted]).encode()).hexdigest()[:16]
    folder = VENVS / f"3.{minor}-{digest}"
    VENVS.mkdir(parents=True, exist_ok=True)
    with (VENVS / f"3.{minor}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "complete").exists():
            subprocess.run([python, "-m", "venv", "--clear", "--without-pip", folder], check=True, timeout=300)
            pip = [sys.executable, "-m", "pip", "--python", folder, "--disable-pip-version-check"]
            command = [*pip, "install", "-q", "--no-compile", *wanted]
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=500)
            assert 0 == done.returncode, done.stderr
            (folder / "complete").touch()
    return folder / "bin" / "python"


class Machine:
    """The installed package in a directory, on any version."""

    def __init__(self, directory: Path, path: Path) -> None:
        self.directory = directory
        self.path = path

    def run(self, minor: int, *arguments: object, stdin: bytes = b"") -> Result:
        """A command that succeeds silently."""
        python = prepare(minor)
        result = run_process(*arguments, "--json", cwd=self.directory, stdin=stdin, path=self.path, python=python)
        assert (0, "") == (result.code, result.err)
        return result


@pytest.fixture
def machine(installed: Path, tmp_path: Path) -> Machine:
    return Machine(tmp_path, installed)


@pytest.mark.parametrize("minor", MINORS)
def test_demo(minor: int, machine: Machine) -> None:
    """The demo comes to the same state root on every version."""
    assert {EXPECTED["stateRoot"]} == set(machine.run(minor, "demo").document["roots"].values())


@pytest.mark.parametrize("builder", MINORS)
def test_blocks_of_one_are_verified_by_the_others(builder: int, machine: Machine, subtests: pytest.Subtests) -> None:
    """Blocks that one version built are executed again, and found right, by each other version."""
    lines = b"".join(LINES[:200])
    built = machine.run(builder, "import", "keystore", "-", "--data", "data", "--workers", 1, stdin=lines)
    machine.run(builder, "export", "keystore", "--data", "data", "--out", "blocks")
    for verifier in sorted({*MINORS} - {builder}):
        with subtests.test(verifier=verifier):
            verified = machine.run(verifier, "verify", "keystore", "--from", "blocks")
            assert built.document["stateRoot"] == verified.document["stateRoot"]


def test_steps_are_the_same(installed: Path) -> None:
    """Forced actions, escapes among them, take equally many steps and come to equal receipts on every version."""
    script = ROOT / "tests" / "support" / "count_steps.py"
    path = os.pathsep.join([str(installed), str(script.parent)])
    results = {}
    for minor in MINORS:
        command = [prepare(minor), "-P", script, "1500"]
        environment = {"PYTHONPATH": path, "PATH": os.environ["PATH"], "PYTHONHASHSEED": str(minor)}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)
        assert 0 == done.returncode, done.stderr
        results[minor] = json.loads(done.stdout)
    assert results[11] == results[12] == results[13]


def test_an_app_s_steps_are_compared_on_all() -> None:
    """`assert_deterministic` executes the same steps on each version that it is given, and names them."""
    others = [prepare(minor) for minor in MINORS if minor != sys.version_info.minor]
    steps = [(ALICE, make_steps(("set_animal", 1, 7), ("count", 0, 2))), next_block(), (ALICE, make_steps())]
    compared = assert_deterministic(zoo, steps, interpreters=others)
    assert tuple(f"3.{minor}" for minor in MINORS) == compared.versions
    assert () == compared.left_out
