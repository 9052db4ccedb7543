"""What a node of the keystore computes for its pages, of hashes and what readers know of them."""

from __future__ import annotations

from typing import Final

import msgspec

from microrollup import Address, Bytes, Bytes32, NodeView
from microrollup.crypto.keccak import keccak256

from .queries import accounts_of
from .signers import list_signers

__all__ = ["Revocation", "revocations"]

_MAX_ACCOUNTS: Final = 200
_WORD: Final = 32


class Revocation(msgspec.Struct, frozen=True):
    """A key of an account's present configuration, and the `Update` after which the account has no such key."""

    key: Bytes32
    """The account's."""
    signer: Bytes
    """An address of 20 bytes, or the point of a P-256 key or passkey, of 64."""
    outcome: str
    code_hash: Bytes32
    config_hash: Bytes32 | None
    """Of the configuration without the signer; null where nothing would be left: another one has to be given."""
    vk: Bytes
    """The present one, which stays."""


def revocations(node: NodeView, sender: Address, configuration: Bytes) -> list[Revocation]:
    """How each key of a configuration is revoked, of the accounts that a sender may change and that are configured so.

    The keystore holds hashes: the configuration, as the validator reads it, comes from who asks. It must be the present
    one. Of the sender's first 200 accounts.
    """
    config_hash, found = keccak256(configuration), list[Revocation]()
    for item in accounts_of(node.view(), sender, limit=_MAX_ACCOUNTS).items:
        if item.data[_WORD:] != config_hash:
            continue
        code_hash = item.data[:_WORD]
        for each in list_signers(code_hash, configuration):
            rest = None if each.rest is None else keccak256(each.rest)
            found.append(Revocation(item.key, each.signer, each.outcome, code_hash, rest, item.vk))
    return found
