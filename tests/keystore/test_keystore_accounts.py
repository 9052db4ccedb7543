"""Accounts of the keystore: keys, leaves and kinds of verification keys, to the byte."""

from __future__ import annotations

import pytest

from apps.keystore.accounts import Account, Keystore, compute_account_key, encode_account_leaf, is_known_vk
from microrollup.crypto.keccak import keccak256
from microrollup.declaration.state import describe_state

DATA = bytes(range(64))
VK = bytes(range(20))


def test_key() -> None:
    """A key is keccak256 of salt, hash of data and hash of vk, each of which it binds."""
    key = compute_account_key(b"\x01" * 32, DATA, VK)
    assert keccak256(b"\x01" * 32 + keccak256(DATA) + keccak256(VK)) == key
    others = {
        compute_account_key(b"\x02" * 32, DATA, VK),
        compute_account_key(b"\x01" * 32, DATA[:-1], VK),
        compute_account_key(b"\x01" * 32, DATA, VK[:-1]),
        compute_account_key(b"\x01" * 32, VK, DATA),
    }
    assert 4 == len(others - {key})


def test_leaf() -> None:
    """The tree commits to 64 bytes: the hashes of data and vk, which cannot run into each other."""
    assert keccak256(DATA) + keccak256(VK) == encode_account_leaf(Account(DATA, VK))
    assert encode_account_leaf(Account(b"ab", b"c")) != encode_account_leaf(Account(b"a", b"bc"))
    field = describe_state(Keystore).get_field("accounts")
    assert (0, True, 64) == (field.number, field.settled, len(field.encode_leaf(Account(b"", b""))))


@pytest.mark.parametrize(
    ("vk", "known"),
    [
        (VK, True),
        (b"\x00" * 19 + b"\x01", True),
        (bytes(20), False),
        (VK[:-1], False),
        (VK + b"\x00", False),
        (b"", False),
    ],
)
def test_known_vk(vk: bytes, known: bool) -> None:
    """Known is a 20-byte sender that is not the zero address, and nothing else today."""
    assert known is is_known_vk(vk)
