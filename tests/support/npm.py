"""What npm brings for tests: folders with a `package.json`, installed once, whoever asks first."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest

__all__ = ["install_npm", "lend_package", "run_package_tests"]

_OFFLINE: Final = (
    "ENOTFOUND", "ECONNREFUSED", "ECONNRESET", "ETIMEDOUT", "EAI_AGAIN", "ENETUNREACH", "ERR_SOCKET_TIMEOUT"
)  # fmt: skip
_SECONDS: Final = 240


def install_npm(folder: Path, then: tuple[str, ...] = ()) -> Path:
    """The folder with `node_modules` as its lock file pins them; `then` is a script to run with Node.js afterwards.

    Skips the test that asks where Node.js or npm's registry is missing.
    """
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("Node.js and npm are not installed (Debian: apt-get install nodejs npm)")
    wanted = hashlib.sha256((folder / "package-lock.json").read_bytes()).hexdigest()
    stamp = folder / "node_modules" / ".installed"
    with (folder / ".install-lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stamp.exists() or stamp.read_text() != wanted:
            _install(npm, folder)
            if then:
                subprocess.run([node, *then], cwd=folder, check=True, timeout=_SECONDS)
            stamp.write_text(wanted)
    return folder


def lend_package(folder: Path, name: str, into: Path) -> None:
    """A package of an installed folder, and what it needs, in another folder: `npm install NAME` there finds it up to
    date, at the version that the lock file pins.
    """
    lock = json.loads((folder / "package-lock.json").read_text())
    pending, lent = [name], dict[str, Any]()
    while pending:
        place = f"node_modules/{pending.pop()}"
        if place in lent or place not in lock["packages"]:
            continue
        shutil.copytree(folder / place, into / place, copy_function=_link)
        inside = {each: entry for each, entry in lock["packages"].items() if f"{each}/".startswith(f"{place}/")}
        pending += [needed for entry in inside.values() for needed in entry.get("dependencies", {})]
        lent |= inside
    pinned = {"dependencies": {name: lent[f"node_modules/{name}"]["version"]}}
    (into / "package.json").write_text(json.dumps(pinned))
    (into / "package-lock.json").write_text(json.dumps(lock | {"packages": {"": pinned, **lent}}))


def _link(source: str, target: str) -> None:
    """The file under a second name; a copy where the other folder is on another file system."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def run_package_tests(folder: Path, **environment: str) -> None:
    """Run `npm test` of a package of this checkout, and fail as it does."""
    install_npm(folder, then=("node_modules/esbuild/install.js",))
    npm = shutil.which("npm")
    assert npm is not None
    completed = subprocess.run(
        [npm, "test"], cwd=folder, env=os.environ | environment,
        capture_output=True, text=True, timeout=2 * _SECONDS, check=False,
    )  # fmt: skip
    assert 0 == completed.returncode, completed.stdout[-8_000:] + completed.stderr[-2_000:]
    assert "# fail 0" in completed.stdout


def _install(npm: str, folder: Path) -> None:
    """`npm ci` would ask for the binaries of every platform, some of which a mirror may not hold."""
    arguments = [
        npm, "install", "--no-save", "--ignore-scripts", "--prefer-offline", "--no-audit", "--no-fund",
        "--fetch-retries=1",
    ]  # fmt: skip
    try:
        completed = subprocess.run(arguments, cwd=folder, capture_output=True, text=True, timeout=_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        pytest.skip(f"`npm install` did not get {folder.name} within {_SECONDS} s")
    offline = [code for code in _OFFLINE if code in completed.stderr]
    if completed.returncode and offline:
        pytest.skip(f"`npm install` cannot reach npm's registry: {offline[0]}")
    assert 0 == completed.returncode, completed.stderr
