"""Key files: 64 hex digits of a secp256k1 private key, readable by their owner only."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Final

from microrollup.codec.json import read_hex
from microrollup.crypto.ecdsa import PrivateKey, load_private_key
from microrollup.errors import RefusedError, UsageError
from microrollup.system import sync_directory, sync_file

__all__ = ["builder_key_path", "create_key", "make_key", "read_key", "verifier_key_path"]

_MAX_KEY_FILE_BYTES: Final = 256


def builder_key_path(directory: Path) -> Path:
    """Where a data directory keeps the builder's key."""
    return directory / "keys" / "builder.key"


def verifier_key_path(directory: Path) -> Path:
    """Where a data directory keeps the development verifier's key."""
    return directory / "keys" / "verifier.key"


def read_key(path: Path) -> PrivateKey:
    """The private key in a file: 32 bytes as hex digits. Raises `UsageError`, `OSError`."""
    with path.open("rb") as file:
        text = file.read(_MAX_KEY_FILE_BYTES).decode("latin-1").strip()
    try:
        raw = read_hex(text if text[:2] == "0x" else f"0x{text}", "key")
        if len(raw) == 32:
            return load_private_key(raw)
    except (RefusedError, ValueError):
        pass
    raise UsageError(f"{path} holds no private key: 64 hex digits of a number that the curve has")


def create_key(path: Path) -> PrivateKey:
    """A new key in a file that does not exist yet. Raises `UsageError` if it does: keys are never overwritten."""
    if path.exists() or path.is_symlink():
        raise UsageError(f"{path} exists already; a key is never overwritten")
    return make_key(path)


def make_key(path: Path) -> PrivateKey:
    """The key in a file, made now if there is none; the file is whole or absent, whatever happens."""
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        aside = path.with_name(f"{path.name}.{os.getpid()}")
        with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(_make_secret() + "\n")
            file.flush()
            sync_file(file.fileno())
        aside.replace(path)
        sync_directory(path.parent)  # an inbox may be made for this key next, and cannot be unmade
    return read_key(path)


def _make_secret() -> str:
    """64 hex digits of a key that the curve has."""
    while True:
        secret = secrets.token_bytes(32)
        try:
            load_private_key(secret)
        except ValueError:
            continue
        return secret.hex()
