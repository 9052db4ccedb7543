"""Accounts: what the keystore keeps for a smart account, where, and what of it the state root commits to.

An account is `(data, vk)`, two byte strings, at a key that its first configuration determines; so the key is known
before anything is registered, and an account that never changed is proven by its absence (Axiom's counterfactual rule).
"""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Struct

from microrollup import Bytes, Bytes32, Map, State, leaf_value
from microrollup.crypto.keccak import keccak256

__all__ = ["Account", "Keystore", "compute_account_key", "encode_account_leaf", "is_known_vk"]

_ZERO_ADDRESS: Final = bytes(20)


class Account(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What is authoritative for a key now."""

    data: Bytes
    """`codeHash(32) || configHash(32)`: validator and configuration by which contracts authenticate the account."""
    vk: Bytes
    """Verification key: chooses the rule by which changes are authorised. 20 bytes: that sender."""


def encode_account_leaf(account: Account) -> bytes:
    """The 64 bytes that the tree commits to: `keccak256(data) || keccak256(vk)`."""
    return keccak256(account.data) + keccak256(account.vk)


class Keystore(State, frozen=True):
    """All accounts, by key."""

    accounts: Annotated[Map[Bytes32, Account], leaf_value(encode_account_leaf)] = Map()


def compute_account_key(salt: bytes, data: bytes, vk: bytes) -> bytes:
    """`keccak256(salt(32) || keccak256(data) || keccak256(vk))`, of the account's first data and vk."""
    return keccak256(salt + keccak256(data) + keccak256(vk))


def is_known_vk(vk: bytes) -> bool:
    """Whether a rule exists for this vk: today a 20-byte sender that is not the zero address."""
    return len(vk) == 20 and vk != _ZERO_ADDRESS
