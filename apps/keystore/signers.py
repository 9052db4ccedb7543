"""Who signs for a configuration of a published validator, and what is left of it without one of them."""

from __future__ import annotations

from typing import Final

import msgspec

from microrollup import Revert

from .smart_account.configuration import load_code_hash

__all__ = ["SignerEntry", "list_signers"]

_ADDRESS_BYTES: Final = 20
_POINT_BYTES: Final = 64
_SINGLE: Final = {
    load_code_hash("ECDSAValidator"): _ADDRESS_BYTES,
    load_code_hash("P256Validator"): _POINT_BYTES,
    load_code_hash("P256SolidityValidator"): _POINT_BYTES,
    load_code_hash("WebAuthnValidator"): _POINT_BYTES,
    load_code_hash("WebAuthnSolidityValidator"): _POINT_BYTES,
}
"""codeHash of a validator of one key -> bytes of its configuration."""
_MULTISIG: Final = load_code_hash("MultisigValidator")


class SignerEntry(msgspec.Struct, frozen=True):
    """A signer, and the configuration without it."""

    signer: bytes
    """20 bytes of an address, or 64 of a point."""
    rest: bytes | None
    """As the validator reads it; None if nothing is left that could sign."""
    outcome: str
    """What revoking it comes to, in words."""


def list_signers(code_hash: bytes, configuration: bytes) -> list[SignerEntry]:
    """The signers of a configuration, by the 32-byte hash of its validator's creation code.

    Raises `Revert` for a validator that is not published, and for what its validator would not take.
    """
    size = _SINGLE.get(code_hash)
    if size is not None and len(configuration) == size:
        outcome = "the only key: without it nobody signs. Give the hash of a configuration with another key"
        return [SignerEntry(configuration, None, outcome)]
    if code_hash != _MULTISIG:
        raise Revert("the validator is not a published one, or does not take this configuration")
    threshold, owners = int.from_bytes(configuration[:1], "big"), configuration[1:]
    listed = [owners[start : start + _ADDRESS_BYTES] for start in range(0, len(owners), _ADDRESS_BYTES)]
    if len(owners) % _ADDRESS_BYTES or listed != sorted(set(listed)) or not 1 <= threshold <= len(listed) <= 255:
        raise Revert("the multisig validator does not take this configuration")
    return [_drop(threshold, listed, owner) for owner in listed]


def _drop(threshold: int, owners: list[bytes], owner: bytes) -> SignerEntry:
    """As few signatures as before are enough, or one fewer where no owner could be spared."""
    rest = [each for each in owners if each != owner]
    if not rest:
        return SignerEntry(owner, None, "the only owner: give the hash of a configuration with another one")
    needed = min(threshold, len(rest))
    outcome = f"leaves {needed} of {len(rest)}"
    if needed < threshold:
        outcome += f": one signature fewer than now, {threshold} of {len(owners)}. To keep {threshold}, put another in"
    return SignerEntry(owner, bytes((needed,)) + b"".join(rest), outcome)
