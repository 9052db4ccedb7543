"""Files and directories that arguments name: `-` is standard input, and a directory may be a temporary one."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

__all__ = ["find_file", "open_directory", "open_input"]

_STDIN = "-"


def find_file(name: str) -> Path | None:
    """The path that an argument names; None for standard input."""
    return None if name == _STDIN else Path(name)


@contextmanager
def open_input(name: str) -> Iterator[BinaryIO]:
    """The file that an argument names, or standard input, which stays open. Raises `OSError`."""
    path = find_file(name)
    if path is None:
        yield sys.stdin.buffer
        return
    with path.open("rb") as file:
        yield file


@contextmanager
def open_directory(given: Path | None, command: str) -> Iterator[Path]:
    """The directory that was given, or a temporary one."""
    if given is not None:
        yield given
        return
    with tempfile.TemporaryDirectory(prefix=f"microrollup-{command}-") as temporary:
        yield Path(temporary)
