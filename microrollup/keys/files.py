"""Key files: 64 hex digits of a secp256k1 private key, or a Web3 Secret Storage file (v3) under a passphrase.

A verifier's BLS12-381 key is `bls12381:` and 64 hex digits. All are readable by their owner only. v3 files are those of
geth, ethers and eth-account; the library `eth-keyfile` reads and writes them.
"""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path
from typing import Any, Final

from microrollup.codec.json import read_hex
from microrollup.crypto.bls_shares import BlsKey, load_bls_key
from microrollup.crypto.ecdsa import PrivateKey, compute_address, load_private_key
from microrollup.errors import RefusedError, UsageError
from microrollup.keys.errors import WrongPassphrase
from microrollup.keys.passphrase import find_passphrase
from microrollup.system import sync_directory, sync_file

__all__ = [
    "builder_key_path",
    "create_bls_key",
    "create_key",
    "is_exposed",
    "make_key",
    "read_attesting_key",
    "read_key",
    "verifier_key_path",
]

BLS_PREFIX: Final = "bls12381:"

_MAX_KEY_FILE_BYTES: Final = 8192
_MAX_MEMORY: Final = 1 << 29
"""Bytes that scrypt may take: twice what geth's files take."""

_MAX_ITERATIONS: Final = 10_000_000
_MAX_LANES: Final = 16


def builder_key_path(directory: Path) -> Path:
    """Where a data directory keeps the builder's key."""
    return directory / "keys" / "builder.key"


def verifier_key_path(directory: Path) -> Path:
    """Where a data directory keeps the development verifier's key."""
    return directory / "keys" / "verifier.key"


def is_exposed(path: Path) -> bool:
    """Whether others than its owner may read or write a file."""
    return bool(path.stat().st_mode & 0o077)


def read_key(path: Path, passphrase_file: Path | None = None) -> PrivateKey:
    """The private key in a file. Raises `UsageError`, `WrongPassphrase`, `OSError`."""
    with path.open("rb") as file:
        text = file.read(_MAX_KEY_FILE_BYTES + 1).decode("latin-1").strip()
    if text[:1] == "{":
        return _open_v3(path, text, passphrase_file)
    try:
        raw = read_hex(text if text[:2] == "0x" else f"0x{text}", "key")
        if len(raw) == 32:
            return load_private_key(raw)
    except (RefusedError, ValueError):
        pass
    if text.startswith(BLS_PREFIX):
        raise UsageError(f"{path} holds a BLS key, with which verifiers attest and nothing else is signed")
    raise UsageError(
        f"{path} holds no private key: 64 hex digits of a number that the curve has, or a Web3 Secret Storage file"
    )


def read_attesting_key(path: Path, passphrase_file: Path | None = None) -> PrivateKey | BlsKey:
    """The same of a verifier's key, which may be one of BLS12-381."""
    with path.open("rb") as file:
        text = file.read(_MAX_KEY_FILE_BYTES + 1).decode("latin-1").strip()
    if not text.startswith(BLS_PREFIX):
        return read_key(path, passphrase_file)
    try:
        return load_bls_key(read_hex(f"0x{text.removeprefix(BLS_PREFIX)}", "key"))
    except (RefusedError, ValueError):
        raise UsageError(f"{path} holds no BLS key: after `{BLS_PREFIX}` 64 hex digits of a scalar") from None


def _open_v3(path: Path, text: str, passphrase_file: Path | None) -> PrivateKey:
    keyfile = _load_library()
    try:
        document = json.loads(text)
        _check_cost(document["crypto" if "crypto" in document else "Crypto"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UsageError(f"{path} is not a Web3 Secret Storage file of version 3: {error!r}") from None
    passphrase = find_passphrase(str(path), passphrase_file)
    try:
        secret = keyfile.decode_keyfile_json(document, passphrase.encode())
        key = load_private_key(secret)
    except ValueError as error:
        if "MAC" in str(error):
            raise WrongPassphrase(path) from None
        raise UsageError(f"{path} cannot be opened: {error}") from None
    except (KeyError, TypeError, NotImplementedError) as error:
        raise UsageError(f"{path} is not a Web3 Secret Storage file of version 3: {error!r}") from None
    named = str(document.get("address") or "").lower().removeprefix("0x")
    if named and named != compute_address(key).hex():
        raise UsageError(f"{path} names the address 0x{named[:40]}, and its key has 0x{compute_address(key).hex()}")
    return key


def _check_cost(crypto: dict[str, Any]) -> None:
    """Raise `ValueError` for parameters that would take minutes, or more memory than there may be."""
    if crypto["cipher"] != "aes-128-ctr":
        raise ValueError("its cipher is not aes-128-ctr")
    parameters = crypto["kdfparams"]
    numbers = {name: parameters[name] for name in ("n", "r", "p", "c", "dklen") if name in parameters}
    if not all(type(number) is int and number > 0 for number in numbers.values()):
        raise ValueError("a parameter of the key derivation is not a positive number")
    if numbers.get("dklen") != 32:
        raise ValueError("the derived key has not 32 bytes")
    memory = 128 * numbers.get("n", 1) * numbers.get("r", 1)
    if memory > _MAX_MEMORY or numbers.get("p", 1) > _MAX_LANES or numbers.get("c", 1) > _MAX_ITERATIONS:
        raise ValueError("its key derivation costs too much")


def _load_library() -> Any:
    try:
        import eth_keyfile  # noqa: PLC0415  # an extra
    except ImportError as error:
        raise UsageError(f"{error}: key files with a passphrase need `pip install 'microrollup[ethereum]'`") from None
    return eth_keyfile


def create_key(path: Path, passphrase: str | None = None) -> PrivateKey:
    """A new key in a file that does not exist yet; with a passphrase, a v3 file.

    Raises `UsageError` if the file exists: keys are never overwritten.
    """
    if path.exists() or path.is_symlink():
        raise UsageError(f"{path} exists already; a key is never overwritten")
    secret = _make_secret()
    key = load_private_key(bytes.fromhex(secret))
    if passphrase is not None:
        document = _load_library().create_keyfile_json(bytes.fromhex(secret), passphrase.encode())
        secret = json.dumps(document | {"address": compute_address(key).hex()}, indent=1)  # as geth writes it
    _write(path, secret)
    return key


def create_bls_key(path: Path) -> BlsKey:
    """A new BLS12-381 key in a file that does not exist yet. Raises `UsageError` if it does."""
    if path.exists() or path.is_symlink():
        raise UsageError(f"{path} exists already; a key is never overwritten")
    while True:
        try:
            key = load_bls_key(secrets.token_bytes(32))
        except ValueError:  # not below the group's order
            continue
        _write(path, BLS_PREFIX + key.secret.hex())
        return key


def make_key(path: Path) -> PrivateKey:
    """The key in a file, made now if there is none; the file is whole or absent, whatever happens."""
    if not path.exists():
        _write(path, _make_secret())
    return read_key(path)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    aside = path.with_name(f"{path.name}.{os.getpid()}")
    with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text + "\n")
        file.flush()
        sync_file(file.fileno())
    aside.replace(path)
    sync_directory(path.parent)  # an inbox may be made for this key next, and cannot be unmade


def _make_secret() -> str:
    """64 hex digits of a key that the curve has."""
    while True:
        secret = secrets.token_bytes(32)
        try:
            load_private_key(secret)
        except ValueError:
            continue
        return secret.hex()
