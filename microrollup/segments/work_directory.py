"""A directory for what a verification leaves between its runs: its owner's alone, since what lies there is believed."""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from microrollup.errors import UsageError
from microrollup.system import lock_file

__all__ = ["hold_directory", "make_private"]

_LOCK: Final = "lock"


def make_private(directory: Path) -> None:
    """Make a directory into which nobody else may write, unless it is there.

    Raises `UsageError` if it is there and others may, and `OSError`.
    """
    directory.parent.mkdir(parents=True, exist_ok=True)
    directory.mkdir(mode=0o700, exist_ok=True)
    found = directory.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise UsageError(
            f"others may write into {directory}, and what lies there would be believed: name another directory for the"
            f" work, or remove this one (`rm -r {shlex.quote(str(directory))}`)"
        )


@contextmanager
def hold_directory(directory: Path) -> Iterator[None]:
    """Have a private directory to oneself, which is made if it is missing; it is removed if it is empty in the end.

    Raises `UsageError` if others may write into it or another process holds it, and `OSError`.
    """
    while True:
        make_private(directory)
        try:
            handle = lock_file(directory / _LOCK, create=True)
        except FileNotFoundError:  # who held it before removed it just now
            continue
        if handle is None:
            raise UsageError(
                f"another verification is at work in {directory}: wait for it, or name another directory for the work"
            )
        if _is_at(handle, directory / _LOCK):
            break
        os.close(handle)
    try:
        yield
    finally:
        with suppress(OSError):
            (directory / _LOCK).unlink()
            directory.rmdir()
        os.close(handle)


def _is_at(handle: int, path: Path) -> bool:
    """Whether an open file is the one that lies at a path now."""
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False
