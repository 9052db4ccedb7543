"""Where a data directory says that its rollup settles: `l1.json`, or the local settlement beside it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import msgspec

from microrollup.errors import StoreFormat
from microrollup.settlement.place import EthereumPlace, L1Place, LocalPlace
from microrollup.system import sync_directory, sync_file

__all__ = ["find_place", "keep_place", "local_place", "place_path"]

_FILE: Final = "l1.json"
"""In a data directory: where its rollup settles, unless that is the local settlement beside it."""


def local_place(directory: Path) -> LocalPlace:
    """The local settlement in a directory."""
    return LocalPlace(str(directory.absolute()))


def place_path(directory: Path) -> Path:
    """Where a data directory says on which L1 its rollup settles."""
    return directory / _FILE


def find_place(directory: Path, given: L1Place | None) -> L1Place:
    """What was named, or what the data directory says, or the local settlement in it. Raises `StoreFormat`."""
    if given is not None:
        return given
    try:
        raw = (directory / _FILE).read_bytes()
    except FileNotFoundError:
        return local_place(directory / "l1")
    try:
        return msgspec.json.decode(raw, type=EthereumPlace)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise StoreFormat(f"{directory / _FILE} does not say where the rollup settles: {error}") from None


def keep_place(directory: Path, place: EthereumPlace) -> None:
    """Let a data directory say where its rollup settles; the commands need no options from then on."""
    directory.mkdir(parents=True, exist_ok=True)
    aside = directory / f"{_FILE}.part"
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)  # a URL may hold a key
    with os.fdopen(descriptor, "wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(place)) + b"\n")
        file.flush()
        sync_file(file.fileno())
    aside.replace(place_path(directory))
    sync_directory(directory)
