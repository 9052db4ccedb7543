"""Artifacts: contracts as the compiler gave them, package data, so that deploying needs no compiler."""

from __future__ import annotations

from importlib.resources import files
from typing import Any, Final

import msgspec

from microrollup.errors import DecodeError, UsageError

__all__ = ["Artifact", "load_artifact"]

_MAX_BYTES: Final = 4 * 1024 * 1024


class Artifact(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """A compiled contract, and what it was compiled from and with."""

    contract: str
    compiler: str
    """The compiler's full version."""
    settings: dict[str, Any]
    """The compiler's settings, as in its standard JSON."""
    sources: tuple[str, ...]
    """Names of the source files, sorted."""
    source_hash: str
    """sha256, in hex, over names and texts of the sources; a test holds it against them."""
    abi: tuple[dict[str, Any], ...]
    """The JSON ABI, as libraries take it."""
    bytecode: str
    """The creation code as 0x-hex, without the constructor's arguments."""


def load_artifact(name: str, package: str = "microrollup.contracts") -> Artifact:
    """The artifact of the contract `name` in a package that has a folder `artifacts`.

    Raises `UsageError` if there is none, `DecodeError` if it is not an artifact.
    """
    path = files(package) / "artifacts" / f"{name}.json"
    if not name.isidentifier() or not path.is_file():
        raise UsageError(f"{package} has no artifact of a contract {name!r}")
    raw = path.read_bytes()
    if len(raw) > _MAX_BYTES:
        raise DecodeError("artifact", f"{len(raw)} bytes, the limit is {_MAX_BYTES}")
    try:
        return msgspec.json.decode(raw, type=Artifact)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise DecodeError("artifact", str(error)) from None
