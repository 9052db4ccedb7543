"""Starting a verifier in a process of its own, perturbed on purpose, and listening to it."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final, Self

import msgspec

from microrollup.errors import LimitExceeded, MicrorollupError
from microrollup.limits import BLAS_THREADS
from microrollup.verifier.events import (
    DivergenceEvent,
    ErrorEvent,
    Report,
    Tick,
    VerifierEvent,
    VerifierProgress,
    VerifierRequest,
)

__all__ = ["VerifierProcess", "run_verifier"]

_EVENT_DECODER: Final[msgspec.json.Decoder[VerifierEvent]] = msgspec.json.Decoder(VerifierEvent)


def run_verifier(
    request: VerifierRequest, on_progress: Callable[[VerifierProgress], None] = lambda _: None
) -> Report | DivergenceEvent | ErrorEvent:
    """Run a request in a process of its own and return how it ended.

    The process has another hash seed, time zone, locale and working directory than this one, and an environment with
    nothing else in it. Raises `LimitExceeded` if it ends without a word, as when the system kills it.
    """
    with VerifierProcess(request) as verifier:
        verifier.end_input()
        outcome: VerifierEvent | None = None
        for outcome in verifier.read_events():
            if isinstance(outcome, VerifierProgress):
                on_progress(outcome)
        code = verifier.wait()
    if outcome is None or isinstance(outcome, VerifierProgress):
        raise LimitExceeded(f"the verifier's process ended without a report (exit code {code})")
    return outcome


class VerifierProcess:
    """A verifier in a process of its own. Leaving its `with` statement ends the process, whatever it does."""

    def __init__(self, request: VerifierRequest) -> None:
        self._elsewhere = tempfile.TemporaryDirectory()
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "microrollup.verifier"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                cwd=self._elsewhere.name,
                env=_make_environment(),
                process_group=0 if request.follow else None,
            )
        except BaseException:
            self._elsewhere.cleanup()
            raise
        self._write(request)

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    def tick(self, tick: Tick) -> None:
        """Tell one that follows to look for new blocks."""
        self._write(tick)

    def _write(self, message: VerifierRequest | Tick) -> None:
        if self._process.stdin is None:
            raise AssertionError("the process was started with pipes")
        with suppress(BrokenPipeError, ValueError):  # it has ended already; its exit code says more
            self._process.stdin.write(msgspec.json.encode(message) + b"\n")
            self._process.stdin.flush()

    def end_input(self) -> None:
        """Nothing more will be asked: the process ends when it has done what was."""
        if self._process.stdin is not None:
            with suppress(BrokenPipeError):
                self._process.stdin.close()

    def read_events(self) -> Iterator[VerifierEvent]:
        """What the process says, until it ends. Raises `MicrorollupError` for anything but an event."""
        if self._process.stdout is None:
            raise AssertionError("the process was started with pipes")
        for line in self._process.stdout:
            try:
                yield _EVENT_DECODER.decode(line)
            except msgspec.MsgspecError as error:
                raise MicrorollupError(f"the verifier's process wrote something else than an event: {error}") from None

    def wait(self, timeout: float | None = None) -> int:
        """The exit code, once it has ended. Raises `subprocess.TimeoutExpired`."""
        return self._process.wait(timeout)

    def kill(self) -> None:
        """End it now."""
        self._process.kill()

    def close(self) -> None:
        """End it if it has not ended, and let go of its pipes and directory."""
        self._process.kill()
        self.end_input()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._elsewhere.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _make_environment() -> dict[str, str]:
    """Nothing of this process's environment but where to find the package, and everything else unlike it."""
    return {
        "PATH": os.defpath,
        "PYTHONPATH": _find_package(),
        "PYTHONHASHSEED": str(secrets.randbelow(2**32)),
        "PYTHONDONTWRITEBYTECODE": "1",
        BLAS_THREADS: "1",
        "TZ": "VRF-11:37",
        "LC_ALL": "C",
    }


def _find_package() -> str:
    """Where this very package lies, installed or not, and then whatever this process was told to search."""
    told = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    searched = [str(Path(__file__).parents[2]), *[str(Path(path).absolute()) for path in told if path]]
    return os.pathsep.join(dict.fromkeys(searched))
