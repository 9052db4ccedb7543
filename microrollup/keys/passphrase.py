"""Passphrases of key files: from a file, else asked for at the terminal; never from an option or a variable."""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from microrollup.errors import UsageError

__all__ = ["PASSPHRASE_VARIABLE", "find_passphrase", "read_passphrase"]

PASSPHRASE_VARIABLE: Final = "MICROROLLUP_PASSPHRASE_FILE"  # noqa: S105  # a name
"""Names the file that holds the passphrase, where no option does."""

_MAX_BYTES: Final = 1024


def read_passphrase(path: Path) -> str:
    """The first line of a file. Raises `UsageError` for an empty or too long one, `OSError`."""
    with path.open("rb") as file:
        raw = file.read(_MAX_BYTES + 1)
    line = raw.splitlines()[0] if raw else b""
    if not line or len(line) > _MAX_BYTES:
        raise UsageError(f"{path} holds no passphrase: its first line is one, of at most {_MAX_BYTES} bytes")
    try:
        return line.decode()
    except UnicodeDecodeError:
        raise UsageError(f"the passphrase in {path} is not UTF-8") from None


def find_passphrase(what: str, file: Path | None = None, environ: Mapping[str, str] = os.environ) -> str:
    """The passphrase for a key, which `what` names. Raises `UsageError` where there is nobody to ask."""
    named = file or (Path(environ[PASSPHRASE_VARIABLE]) if environ.get(PASSPHRASE_VARIABLE) else None)
    if named is not None:
        return read_passphrase(named)
    if not sys.stdin.isatty():
        raise UsageError(f"{what} has a passphrase: name the file that holds it, --passphrase-file FILE")
    return getpass.getpass(f"passphrase of {what}: ")
