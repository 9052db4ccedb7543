"""What decides over a smart account: a validator, and the configuration that it reads.

The keystore holds `data = codeHash || configHash`; the account's user shows the configuration itself. The layouts are
those of the validators in `apps/keystore/contracts`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Final

from msgspec import Struct

from microrollup.contracts import load_artifact
from microrollup.crypto.bls_points import load_curve, read_point
from microrollup.crypto.keccak import keccak256
from microrollup.crypto.signatures.p256 import POINT_BYTES, is_point
from microrollup.errors import BadSignature, UsageError

__all__ = [
    "Configuration",
    "compute_data",
    "configure_bls",
    "configure_ecdsa",
    "configure_multisig",
    "configure_p256",
    "configure_webauthn",
    "load_code_hash",
    "load_creation_code",
]

_CONTRACTS: Final = __name__.removesuffix(".smart_account.configuration") + ".contracts"
"""The package with the artifacts."""

_ADDRESS_BYTES: Final = 20
_MAX_OWNERS: Final = 255


class Configuration(Struct, frozen=True):
    """A validator, and what it reads."""

    code_hash: bytes
    """keccak256 of the validator's creation code: names its address on every chain."""
    config: bytes
    """The validator's own layout; at most 65,535 bytes."""


def compute_data(configuration: Configuration) -> bytes:
    """The 64 bytes `codeHash || configHash` that the keystore holds as an account's data."""
    return configuration.code_hash + keccak256(configuration.config)


def load_creation_code(contract: str) -> bytes:
    """The creation code of one of the keystore's contracts, without arguments. Raises `UsageError` if there is none."""
    return bytes.fromhex(load_artifact(contract, _CONTRACTS).bytecode.removeprefix("0x"))


@cache
def load_code_hash(validator: str) -> bytes:
    """The `codeHash` of one of the keystore's validators, by the name of its contract. Raises `UsageError`."""
    return keccak256(load_creation_code(validator))


def configure_ecdsa(owner: bytes) -> Configuration:
    """One Ethereum key, by its 20-byte address. Raises `UsageError`, also for the zero address, which has no key."""
    _check_owner(owner)
    return Configuration(load_code_hash("ECDSAValidator"), owner)


def configure_multisig(threshold: int, owners: Sequence[bytes]) -> Configuration:
    """`threshold` of the Ethereum keys with these 20-byte addresses, in any order.

    Raises `UsageError` for a threshold that cannot be reached or that nobody need reach, for more than 255 owners, and
    if one comes twice or is zero.
    """
    for owner in owners:
        _check_owner(owner)
    if not 1 <= threshold <= len(owners) <= _MAX_OWNERS:
        raise UsageError(f"{threshold} of {len(owners)} owners cannot be; there are at most {_MAX_OWNERS} owners")
    if len(set(owners)) != len(owners):
        raise UsageError("an owner comes twice")
    return Configuration(load_code_hash("MultisigValidator"), bytes((threshold,)) + b"".join(sorted(owners)))


def configure_bls(key: bytes) -> Configuration:
    """One BLS12-381 key that signs hashes themselves, 48 bytes of a point of G1; on chains with EIP-2537 (Prague).

    The key may be the sum of several: check the proof of possession of each before it is added, or the last one could
    be chosen to cancel the others. Raises `UsageError` for anything but a point of the subgroup, or infinity.
    """
    try:
        point = read_point(load_curve().G1Point, key, "a BLS key")
    except BadSignature as error:
        raise UsageError(str(error)) from None
    return Configuration(load_code_hash("BlsValidator"), bytes(point.to_xy_bytes_be()))


def configure_p256(point: bytes, *, precompile: bool = True) -> Configuration:
    """One P-256 key that signs hashes themselves, by its point `x(32) || y(32)`.

    Without `precompile` its validator never asks address 0x100, for bundlers that take it for an address without code
    (ERC-7562, OP-041); it takes 230,000 gas instead of 9,000. A configuration holds on all chains of the key. Raises
    `UsageError` for anything but a point of the curve.
    """
    _check_point(point)
    return Configuration(load_code_hash("P256Validator" if precompile else "P256SolidityValidator"), point)


def configure_webauthn(point: bytes, *, precompile: bool = True) -> Configuration:
    """One passkey, by its point `x(32) || y(32)`; `precompile` as for `configure_p256`.

    Raises `UsageError` for anything but a point of the curve.
    """
    _check_point(point)
    return Configuration(load_code_hash("WebAuthnValidator" if precompile else "WebAuthnSolidityValidator"), point)


def _check_owner(owner: bytes) -> None:
    """An account that nobody can sign for is lost, and no contract can tell: the keystore holds hashes."""
    _check_length("an owner's address", owner, _ADDRESS_BYTES)
    if not any(owner):
        raise UsageError("nobody has the key of the zero address")


def _check_point(point: bytes) -> None:
    _check_length("a point", point, POINT_BYTES)
    if not is_point(point):
        raise UsageError("these are not coordinates of a point of P-256")


def _check_length(what: str, found: bytes, size: int) -> None:
    if len(found) != size:
        raise UsageError(f"{what} has {size} bytes, not {len(found)}")
