"""Who signs: a private key in memory, or anything that has an address and signs digests or typed data."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol, TypeAlias

from microrollup.codec.json import read_hex
from microrollup.crypto.ecdsa import PrivateKey, compute_address, sign_digest
from microrollup.crypto.signatures.statement import Statement
from microrollup.errors import RefusedError, UsageError

__all__ = ["DigestSigner", "Signer", "StatementSigner", "TypedDataSigner", "get_address", "sign_with"]

_ADDRESS_BYTES: Final = 20


class DigestSigner(Protocol):
    """Signs 32-byte digests by any scheme: a hardware module, or a passkey."""

    @property
    def address(self) -> bytes | str:
        """The sender: 20 bytes, or as 0x-hex."""
        ...

    def sign_digest(self, digest: bytes, /) -> bytes | Awaitable[bytes]:
        """A signature in any form that authentication takes."""
        ...


class TypedDataSigner(Protocol):
    """Signs what `eth_signTypedData_v4` takes, as `eth_account`'s accounts do."""

    @property
    def address(self) -> bytes | str:
        """The sender: 20 bytes, or as 0x-hex."""
        ...

    def sign_typed_data(self, *, full_message: dict[str, Any]) -> Any:
        """A signature, or an object that has it as `signature`; an awaitable of either."""
        ...


class StatementSigner(Protocol):
    """Signs with more than the digest before it: a group, ML-DSA, or the keys of `microrollup.testing.keys`."""

    @property
    def sender(self) -> bytes:
        """20 bytes."""
        ...

    def sign_statement(self, statement: Statement, /) -> bytes | Awaitable[bytes]:
        """A signature in any form that authentication takes."""
        ...


class KeyPair(Protocol):
    """The keys of `microrollup.testing.passkey`."""

    @property
    def sender(self) -> bytes:
        """20 bytes."""
        ...

    def sign(self, digest: bytes, /) -> bytes:
        """A signature."""
        ...


Signer: TypeAlias = PrivateKey | DigestSigner | TypedDataSigner | StatementSigner | KeyPair


def get_address(signer: Signer) -> bytes:
    """The 20-byte sender of a signer's actions. Raises `UsageError` for anything that is not a signer."""
    if isinstance(signer, PrivateKey):
        return compute_address(signer)
    address = getattr(signer, "address", None) or getattr(signer, "sender", None)
    if isinstance(address, str):
        try:
            address = read_hex(address, "address")
        except RefusedError as error:
            raise UsageError(error.detail) from None
    if not isinstance(address, bytes) or len(address) != _ADDRESS_BYTES:
        raise UsageError("a signer is a private key, or has an `address` of 20 bytes")
    return address


async def sign_with(signer: Signer, statement: Statement, describe: Callable[[], dict[str, Any]]) -> bytes:
    """The signature of a signer over a statement, or over the typed data that `describe` gives and that has its digest.

    Raises `UsageError` if it can do neither; what the signer itself raises goes through.
    """
    if isinstance(signer, PrivateKey):
        return sign_digest(signer, statement.digest)
    able: Any = signer
    if hasattr(able, "sign_digest"):
        found = able.sign_digest(statement.digest)
    elif hasattr(able, "sign_statement"):
        found = able.sign_statement(statement)
    elif hasattr(able, "sign_typed_data"):
        found = able.sign_typed_data(full_message=describe())
    elif hasattr(able, "sign"):
        found = able.sign(statement.digest)
    else:
        raise UsageError("a signer has `sign_digest`, `sign_statement` or `sign_typed_data`")
    if inspect.isawaitable(found):
        found = await found
    return bytes(getattr(found, "signature", found))
