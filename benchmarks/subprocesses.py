"""Work that needs an interpreter of its own: memory, start-up and crashes are a whole process's."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Final

__all__ = ["read_children_cpu", "run_python"]

_ROOT: Final = Path(__file__).resolve().parent.parent


def run_python(*arguments: str, expected: int = 0) -> bytes:
    """Run this interpreter on `arguments`, with the same packages; its standard output.

    Raises `RuntimeError` with its standard error unless it ends with `expected` (negative: by that signal).
    """
    path = os.pathsep.join(part for part in (str(_ROOT), os.environ.get("PYTHONPATH", "")) if part)
    done = subprocess.run(
        [sys.executable, *arguments], env={**os.environ, "PYTHONPATH": path}, capture_output=True, check=False
    )
    if done.returncode != expected:
        detail = done.stderr.decode(errors="replace")[-2000:]
        raise RuntimeError(f"{' '.join(arguments)} ended with {done.returncode}: {detail}")
    return done.stdout


def read_children_cpu() -> float:
    """Seconds of CPU, user and system, of all that this process has started and that has ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
