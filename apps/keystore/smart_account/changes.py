"""The keystore's actions for a configuration: what a wallet signs to register an account, and to rotate it.

The keystore holds hashes and cannot tell whether anything is at the address that a `codeHash` names. An account whose
validator is nowhere is lost on every chain at once, so a `codeHash` that is not a published validator's is asked for
twice.
"""

from __future__ import annotations

from typing import Final

from microrollup.errors import UsageError

from ..transitions import Register, Update
from .configuration import Configuration, compute_data, load_code_hash

__all__ = ["PUBLISHED_VALIDATORS", "check_code_hash", "make_register", "make_update"]

PUBLISHED_VALIDATORS: Final = (
    "ECDSAValidator", "MultisigValidator", "P256Validator", "WebAuthnValidator",
    "P256SolidityValidator", "WebAuthnSolidityValidator",
)  # fmt: skip
"""Contracts of this package that accounts can be configured with."""


def check_code_hash(code_hash: bytes, *, force: bool = False) -> None:
    """Raises `UsageError` for a `codeHash` of no published validator, unless the caller insists."""
    if force or code_hash in [load_code_hash(name) for name in PUBLISHED_VALIDATORS]:
        return
    raise UsageError(
        f"codeHash 0x{code_hash.hex()} is not that of a published validator ({', '.join(PUBLISHED_VALIDATORS)}): where "
        "no contract has this creation code the account is lost on every chain. Repeat it with force if it is meant"
    )


def make_register(configuration: Configuration, salt: bytes, *, force: bool = False) -> Register:
    """The action that registers a first configuration under a 32-byte salt; its signer becomes the vk.

    Raises `UsageError` for a validator that is not published, unless `force`.
    """
    check_code_hash(configuration.code_hash, force=force)
    data = compute_data(configuration)
    return Register(data[:32], data[32:], salt)


def make_update(key: bytes, configuration: Configuration, vk: bytes, *, force: bool = False) -> Update:
    """The action after which this configuration decides over the account of the 32-byte key, and `vk` may change it.

    Raises `UsageError` for a validator that is not published, unless `force`.
    """
    check_code_hash(configuration.code_hash, force=force)
    data = compute_data(configuration)
    return Update(key, data[:32], data[32:], vk)
