"""How a key is named: a file, or a signer's URL with the key's address after `#`."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final, TypeAlias

import msgspec

from microrollup.crypto.bls_shares import BlsKey
from microrollup.crypto.ecdsa import SigningKey, compute_address
from microrollup.errors import UsageError
from microrollup.keys.files import is_exposed, read_attesting_key
from microrollup.keys.remote import RemoteKey

__all__ = [
    "SIGNED_SUFFIX",
    "KeyReference",
    "NamedKey",
    "list_key_warnings",
    "list_secret_warnings",
    "open_key",
    "read_reference",
]

SIGNED_SUFFIX: Final = ".signed"

KeyReference: TypeAlias = Path | str
"""A file, or `http://HOST:PORT#0xADDRESS`."""


def read_reference(text: str) -> KeyReference:
    """What a text names."""
    return text if "://" in text else Path(text)


class NamedKey(msgspec.Struct, frozen=True):
    """A key that was opened, and how it was named."""

    reference: KeyReference
    key: SigningKey | BlsKey

    @property
    def address(self) -> bytes:
        """20 bytes; of a BLS key, its 96 public ones."""
        return self.key.public if isinstance(self.key, BlsKey) else compute_address(self.key)

    @property
    def signing_key(self) -> SigningKey:
        """The key, which may sign anything. Raises `UsageError` for one of BLS."""
        if isinstance(self.key, BlsKey):
            raise UsageError(f"{self.reference} holds a BLS key, which signs attestations alone")
        return self.key

    @property
    def signed_path(self) -> str | None:
        """Beside a key's file, where what it has signed is written down: it must outlive every store."""
        return f"{self.reference.absolute()}{SIGNED_SUFFIX}" if isinstance(self.reference, Path) else None


def open_key(reference: KeyReference, passphrase_file: Path | None = None) -> NamedKey:
    """The key, ready to sign. Raises what reading a file or asking a signer raises."""
    key = read_attesting_key(reference, passphrase_file) if isinstance(reference, Path) else RemoteKey.open(reference)
    return NamedKey(reference, key)


def list_secret_warnings(files: Sequence[Path], what: str) -> list[str]:
    """Which of the files of a key, a token or a passphrase others may read; pipes and the like are not files."""
    found = [path for path in dict.fromkeys(files) if path.is_file() and is_exposed(path)]
    return [f"others may read the {what} in {path}: chmod 600 {shlex.quote(str(path))}" for path in found]


def list_key_warnings(builder: KeyReference, verifiers: Sequence[KeyReference], quorum: int) -> list[str]:
    """What is dangerous about where keys are: files that others may read, and a quorum of keys in one directory."""
    found = list_secret_warnings([each for each in (builder, *verifiers) if isinstance(each, Path)], "key")
    places = Counter(path.resolve().parent for path in verifiers if isinstance(path, Path))
    found += [
        f"{count} verifiers' keys lie in {place}, and {quorum} settle: who reads that directory can settle anything"
        for place, count in places.items()
        if count >= max(quorum, 2)
    ]
    return found
