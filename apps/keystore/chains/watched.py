"""`chains.json` in a node's data directory: the chains of which the node tells what they know."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from microrollup.errors import DecodeError, UsageError
from microrollup.settlement.ethereum.headers import read_header
from microrollup.settlement.ethereum.options import EthereumOptions

__all__ = ["WATCHED_FILE", "WatchedChain", "read_watched"]

WATCHED_FILE: Final = "chains.json"

_MAX_CHAINS: Final = 8
_MAX_BYTES: Final = 64 << 10
_MAX_NAME: Final = 40
_ANSWER_BYTES: Final = 4 << 20
"""The codes of all contracts of a chain fit, with room."""
_TIMEOUT_SECONDS: Final = 3.0


class _Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    url: str
    headers: tuple[str, ...] = ()


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    book: str
    chains: tuple[_Entry, ...]


class WatchedChain(msgspec.Struct, frozen=True):
    """A chain that the operator names."""

    name: str
    """What readers see; its URL, which may hold a key, is told to nobody."""
    options: EthereumOptions
    book: Path
    """The directory of address books."""


def read_watched(directory: Path) -> tuple[WatchedChain, ...]:
    """The chains that `chains.json` in a data directory names; none without the file.

    Raises `DecodeError` for another file, `UsageError` for a header that is none, `OSError`.
    """
    path = directory / WATCHED_FILE
    try:
        with path.open("rb") as file:
            raw = file.read(_MAX_BYTES)
    except FileNotFoundError:
        return ()
    try:
        found = msgspec.json.decode(raw, type=_File)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise DecodeError(WATCHED_FILE, str(error)) from None
    names = [entry.name for entry in found.chains]
    if len(names) > _MAX_CHAINS or len(set(names)) != len(names):
        raise DecodeError(WATCHED_FILE, f"it has {len(names)} chains: at most {_MAX_CHAINS}, each with another name")
    if not all(0 < len(name) <= _MAX_NAME and name.isprintable() for name in names):
        raise DecodeError(WATCHED_FILE, f"a chain's name has 1 to {_MAX_NAME} printable characters")
    for entry in found.chains:
        if not entry.url.startswith(("http://", "https://")):
            raise UsageError(f"{WATCHED_FILE}: the URL of {entry.name} begins with http:// or https://")
    return tuple([_make_chain(entry, directory / found.book) for entry in found.chains])


def _make_chain(entry: _Entry, book: Path) -> WatchedChain:
    headers = tuple([read_header(text) for text in entry.headers])
    options = EthereumOptions(
        entry.url, headers, timeout_seconds=_TIMEOUT_SECONDS, retries=1, patience_seconds=0, answer_bytes=_ANSWER_BYTES
    )
    return WatchedChain(entry.name, options, book)
