"""Starting a verifier in a process of its own, perturbed on purpose, and listening to it."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from microrollup.errors import LimitExceeded, MicrorollupError
from microrollup.verifier.events import DivergenceEvent, ErrorEvent, Event, Progress, Report, Request

__all__ = ["run_verifier"]

_EVENT_DECODER: Final[msgspec.json.Decoder[Event]] = msgspec.json.Decoder(Event)


def run_verifier(
    request: Request, on_progress: Callable[[Progress], None] = lambda _: None
) -> Report | DivergenceEvent | ErrorEvent:
    """Run a request in a process of its own and return how it ended.

    The process has another hash seed, time zone, locale and working directory than this one, and an environment with
    nothing else in it. Raises `LimitExceeded` if it ends without a word, as when the system kills it.
    """
    environment = {
        "PATH": os.defpath,
        "PYTHONPATH": _find_package(),
        "PYTHONHASHSEED": str(secrets.randbelow(2**32)),
        "PYTHONDONTWRITEBYTECODE": "1",
        "TZ": "VRF-11:37",
        "LC_ALL": "C",
    }
    with (
        tempfile.TemporaryDirectory() as elsewhere,
        subprocess.Popen(
            [sys.executable, "-P", "-m", "microrollup.verifier.process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=elsewhere,
            env=environment,
        ) as process,
    ):
        try:
            return _converse(process, request, on_progress)
        finally:
            process.kill()


def _find_package() -> str:
    """Where this very package lies, installed or not, and then whatever this process was told to search."""
    told = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    searched = [str(Path(__file__).parents[2]), *[str(Path(path).absolute()) for path in told if path]]
    return os.pathsep.join(dict.fromkeys(searched))


def _converse(
    process: subprocess.Popen[bytes], request: Request, on_progress: Callable[[Progress], None]
) -> Report | DivergenceEvent | ErrorEvent:
    if process.stdin is None or process.stdout is None:
        raise AssertionError("the process was started with pipes")
    with suppress(BrokenPipeError):  # it has ended already; its exit code says more
        process.stdin.write(msgspec.json.encode(request))
        process.stdin.close()
    outcome: Event | None = None
    for line in process.stdout:
        try:
            outcome = _EVENT_DECODER.decode(line)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise MicrorollupError(f"the verifier's process wrote something else than an event: {error}") from None
        if isinstance(outcome, Progress):
            on_progress(outcome)
    process.wait()
    if outcome is None or isinstance(outcome, Progress):
        raise LimitExceeded(f"the verifier's process ended without a report (exit code {process.returncode})")
    return outcome
