"""A node in a process of its own, started by the command that an operator would give."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec

from microrollup.errors import MicrorollupError

__all__ = ["NodeProcess", "run_microrollup", "wait_until"]

_START_SECONDS: Final = 60.0
_STOP_SECONDS: Final = 60.0
_COMMAND_SECONDS: Final = 300.0
_LOOK_SECONDS: Final = 0.05


class _Started(msgspec.Struct):
    url: str


def _make_command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "microrollup", *map(str, arguments)]


def _make_environment() -> dict[str, str]:
    """The environment of this process, in which the apps of this package are found from any directory."""
    package = sys.modules[__name__.partition(".")[0]]
    roots = [str(Path(path).parent) for path in package.__path__]
    known = os.environ.get("PYTHONPATH")
    return {**os.environ, "PYTHONPATH": os.pathsep.join([*roots, *([known] if known else [])])}


def run_microrollup(directory: Path, *arguments: object) -> dict[str, Any]:
    """What `microrollup ARGUMENTS --json` answers, in a directory. Raises `MicrorollupError` unless it is all right."""
    done = subprocess.run(  # noqa: S603  # this package's own command
        _make_command(*arguments, "--json"),
        cwd=directory,
        env=_make_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=_COMMAND_SECONDS,
        check=False,
    )
    if done.returncode:
        raise MicrorollupError(
            f"microrollup {arguments[0]} ended with {done.returncode}: {done.stderr.decode()[-500:]}"
        )
    found: dict[str, Any] = msgspec.json.decode(done.stdout.splitlines()[-1])
    return found


class NodeProcess:
    """`microrollup run NAME`, from the directory in which NAME.py lies."""

    def __init__(self, name: str, directory: Path, data: Path, *options: str) -> None:
        self._log = directory / "node.log"
        self._out = directory / "node.out"
        command = _make_command(
            "run", name, "--data", data, "--port", 0, "--block-time", "100ms", "--rate", 0, "--json", "--log-json",
            *options,
        )  # fmt: skip
        with self._out.open("wb") as out, self._log.open("wb") as log:
            self.process = subprocess.Popen(  # noqa: S603  # this package's own command
                command, cwd=directory, env=_make_environment(), stdin=subprocess.DEVNULL, stdout=out, stderr=log
            )
        self.url = self._wait_for_url()

    def _wait_for_url(self) -> str:
        deadline = time.monotonic() + _START_SECONDS
        while True:
            first, newline, _ = self._out.read_bytes().partition(b"\n")
            if newline:
                return msgspec.json.decode(first, type=_Started).url
            if self.process.poll() is not None or time.monotonic() > deadline:
                said = self._log.read_text(errors="replace")[-500:]
                self.kill()
                raise MicrorollupError(f"the node did not start: {said}")
            time.sleep(_LOOK_SECONDS)

    def stop(self) -> None:
        """As an operator does it."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.kill()

    def kill(self) -> None:
        """Without a word. Its verifier's process ends with it."""
        self.process.kill()
        self.process.wait()


def wait_until(what: str, is_so: Callable[[], bool], seconds: float = 60.0) -> None:
    """Ask again and again. Raises `MicrorollupError` with what did not come in so many seconds."""
    deadline = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > deadline:
            raise MicrorollupError(f"{what}: not within {seconds:.0f} s")
        time.sleep(_LOOK_SECONDS)
