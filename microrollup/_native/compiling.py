"""Compiling the native helper. Imports nothing of the package: the build hook loads this file alone."""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Final

__all__ = ["LIBRARY_FILE", "CompileFailed", "compile_library", "compute_source_hash", "find_compiler"]

LIBRARY_FILE: Final = "fast.library"
"""The compiled library, beside its source. It is no module of Python, and not called like one."""

_SOURCE: Final = "fast.c"
_INCLUDED: Final = "lanes.h"
_COMPILERS: Final = ("cc", "gcc", "clang")
_FLAGS: Final = ("-std=c11", "-O3", "-fPIC", "-shared", "-fvisibility=hidden")
_SECONDS: Final = 300
_MAX_REASON: Final = 500


class CompileFailed(Exception):
    """There is no compiler, or it refused the source; the text says which."""


def compute_source_hash(directory: Path) -> str:
    """SHA-256, in hex, of the source in `directory`. The library names the one that it was built from."""
    return hashlib.sha256(b"".join([(directory / name).read_bytes() for name in (_SOURCE, _INCLUDED)])).hexdigest()


def find_compiler() -> list[str]:
    """The command of the C compiler: what `CC` holds, else cc, gcc or clang of the path.

    Raises `CompileFailed` if there is none.
    """
    named = shlex.split(os.environ.get("CC", ""))
    for command in [named] if named else [[name] for name in _COMPILERS]:
        if shutil.which(command[0]):
            return command
    raise CompileFailed("there is no C compiler: neither cc, gcc nor clang" if not named else f"no compiler {named[0]}")


def compile_library(directory: Path, target: Path, flags: Iterable[str] = ()) -> None:
    """Compile the source in `directory` into the shared library `target`, which changes only if all went well.

    Raises `CompileFailed`.
    """
    fresh = target.with_name(f"{target.name}.{os.getpid()}")
    command = [*find_compiler(), *_FLAGS, *flags, f"-DSOURCE_HASH={compute_source_hash(directory)}"]
    try:
        done = subprocess.run(  # noqa: S603 - the compiler that the builder has chosen
            [*command, str(directory / _SOURCE), "-o", str(fresh)],
            capture_output=True, text=True, errors="replace", check=False, timeout=_SECONDS,
        )  # fmt: skip
        if done.returncode != 0:
            raise CompileFailed(f"{command[0]} failed: {done.stderr.strip()[-_MAX_REASON:]}")
        fresh.replace(target)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CompileFailed(f"{command[0]} could not be run: {error}") from error
    finally:
        fresh.unlink(missing_ok=True)
