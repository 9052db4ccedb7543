"""Work that needs an interpreter of its own: memory, start-up and crashes are a whole process's."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Final, TypeVar

import msgspec

__all__ = ["BuildResult", "OpenResult", "build_in_process", "run_module"]

T = TypeVar("T")

_ROOT: Final = Path(__file__).resolve().parent.parent


class BuildResult(msgspec.Struct, frozen=True):
    """A store that a process of its own built, and what that took."""

    directory: str
    accounts: int
    seconds: float
    base_mb: float
    """Anonymous memory once everything is imported."""
    peak_mb: float
    end_mb: float


class OpenResult(msgspec.Struct, frozen=True):
    """Start-up as a fresh process sees it."""

    import_seconds: float
    open_seconds: float
    height: int
    tail: int
    """Entries behind the last checkpoint, which opening executes again."""
    anonymous_mb: float


def run_module(module: str, *arguments: str, expected: int = 0) -> bytes:
    """Run `python -m module` with this environment's packages; its standard output.

    Raises `RuntimeError` with its standard error unless it ends with `expected`.
    """
    path = os.pathsep.join(part for part in (str(_ROOT), os.environ.get("PYTHONPATH", "")) if part)
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        check=False,
    )
    if done.returncode != expected:
        raise RuntimeError(f"{module} ended with {done.returncode}: {done.stderr.decode(errors='replace')[-2000:]}")
    return done.stdout


def build_in_process(directory: Path, accounts: int) -> BuildResult:
    """Build a store of that many accounts."""
    return msgspec.json.decode(run_module("benchmarks.child_build", str(directory), str(accounts), "0"), type=BuildResult)
