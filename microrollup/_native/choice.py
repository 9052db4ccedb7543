"""Which path this process takes: the compiled library, or Python alone. Both give the same bytes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import msgspec
from sha3 import keccak_256

from microrollup._native.compiling import LIBRARY_FILE, compute_source_hash
from microrollup._native.library import FastLibrary, LibraryUnfit

__all__ = ["SWITCH", "Choice", "choose", "describe_path", "get_library", "take", "warn_of_fault"]

_ROOM: Final = Path(__file__).parent
SWITCH: Final = "MICROROLLUP_NATIVE"
"""The variable that switches the helper off where it is 0."""


def _hash(data: bytes) -> bytes:
    digest: bytes = keccak_256(data).digest()
    return digest


class Choice(msgspec.Struct, frozen=True):
    """Which path, and why."""

    library: FastLibrary | None
    reason: str
    """Why there is no library; with one, its instructions."""
    is_fault: bool = False
    """Whether there is a library that should have been used."""


def choose(directory: Path = _ROOM) -> Choice:
    """Load the library in `directory`, unless `MICROROLLUP_NATIVE` is 0, and try it."""
    if os.environ.get(SWITCH) == "0":
        return Choice(None, f"{SWITCH} is 0")
    path = directory / LIBRARY_FILE
    if not path.is_file():
        return Choice(None, "not built")
    try:
        library = FastLibrary(path, compute_source_hash(directory))
        _try(library)
    except OSError as error:
        return Choice(None, f"its source cannot be read: {error.strerror}", is_fault=True)
    except (LibraryUnfit, ValueError) as error:
        return Choice(None, str(error), is_fault=True)
    return Choice(library, library.level)


def _try(library: FastLibrary) -> None:
    """Raises `LibraryUnfit` unless it gives known bytes: hashes of all lengths around a block, a tree of five items and
    one recovery, with a signature that nobody made beside it.
    """
    items = [bytes(range(length % 256)) + bytes(length // 256) for length in range(0, 290, 3)]
    if library.hash_items(items) != [_hash(item) for item in items]:
        raise LibraryUnfit("its hashes are wrong")
    rows = bytes(range(99)) * 9
    if bytes(library.hash_rows(rows, 99)) != _hash(rows[:99]) * 9:
        raise LibraryUnfit("its hashes of rows are wrong")
    a, b, c = (_hash(b"\x00" + item) for item in items[:3])
    if library.fold_items(items[:3]) != _hash(b"\x01" + _hash(b"\x01" + a + b) + c):
        raise LibraryUnfit("its trees are wrong")
    if library.recover_addresses(_DIGESTS, _SIGNATURES) != [_ADDRESS, None]:
        raise LibraryUnfit("the senders that it recovers are wrong")


_DIGESTS: Final = [_hash(b"microrollup")] * 2
_SIGNATURES: Final = [
    bytes.fromhex(
        "2ac6dcadc23c17d7037f13a1e3065749f791c0c9014888c6e3cdb34b825f4a7876da6fd70c5d240d892dcd7ff3efa8f24623a481da90908ab2f8df9d89889bc700"
    ),
    bytes(65),
]
_ADDRESS: Final = bytes.fromhex("b0e5863d0ddf7e105e409fee0ecc0123a362e14b")
"""Of the key that is 42 in each of its bytes."""


class _Process:
    """What this process has chosen."""

    choice = choose()
    has_warned = False


def get_library() -> FastLibrary | None:
    """The library if this process takes the native path."""
    return _Process.choice.library


def take(choice: Choice) -> Choice:
    """Take another path from now on; returns the one until now. For tests and measurements: the bytes are the same."""
    before, _Process.choice, _Process.has_warned = _Process.choice, choice, False
    return before


def describe_path() -> str:
    """`native (avx512)`, or `pure (not built)` with the reason, as `microrollup status` shows it."""
    choice = _Process.choice
    return f"{'pure' if choice.library is None else 'native'} ({choice.reason})"


def warn_of_fault() -> None:
    """Log, once, that there is a library that is not used."""
    choice = _Process.choice
    if choice.is_fault and not _Process.has_warned:
        _Process.has_warned = True
        import structlog  # noqa: PLC0415  # 70 ms for every program that imports an app

        _log = structlog.get_logger(__name__)
        _log.warning("native_helper_unused", reason=choice.reason)
