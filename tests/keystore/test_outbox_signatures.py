"""Signatures by the outbox: byte by byte as the contract reads them."""

from __future__ import annotations

import pytest
from eth_abi.packed import encode_packed

from apps.keystore.smart_account.configuration import Configuration
from apps.keystore.smart_account.outbox import (
    ChainEntry,
    compute_delegate_tree_key,
    compute_intent_tree_key,
    encode_delegate_signature,
    encode_intent_signature,
)
from microrollup.crypto.keccak import keccak256
from microrollup.errors import UsageError

KEY, VALUE = b"\x11" * 32, b"\x22" * 64


def test_places() -> None:
    """An integer key has 32 bytes."""
    assert keccak256(encode_packed(["uint16", "bytes32", "uint256"], [6, KEY, 9])) == compute_intent_tree_key(KEY, 9)
    assert keccak256(encode_packed(["uint16", "bytes32", "uint256"], [7, KEY, 1])) == compute_delegate_tree_key(KEY, 1)


def test_intent() -> None:
    """Mode, slot, times, value, two proofs after their lengths."""
    expected = bytes.fromhex("03000900000000000000050000000000000006") + VALUE + b"\0\3abc" + b"\0\2de"
    assert expected == encode_intent_signature(9, 5, 6, VALUE, b"abc", b"de")


def test_delegate() -> None:
    """For one chain, and for every chain with what says that this one has no entry of its own."""
    delegate = Configuration(b"\x33" * 32, b"config")
    head = b"\4" + b"\x33" * 32 + b"\0\6config" + b"\0\3sig"
    rest = bytes(7) + b"\7" + VALUE + b"\0\1a" + b"\0\1b"
    assert head + b"\0" + rest == encode_delegate_signature(delegate, b"sig", 7, VALUE, b"a", b"b")
    for is_deleted in (False, True):
        entry = ChainEntry(is_deleted, b"c")
        found = encode_delegate_signature(delegate, b"sig", 7, VALUE, b"a", b"b", entry)
        assert head + b"\1" + rest + bytes((is_deleted,)) + b"\0\1c" == found


def test_parts_too_long() -> None:
    """Lengths have two bytes."""
    with pytest.raises(UsageError):
        encode_intent_signature(9, 5, 6, VALUE, bytes(65_536), b"")
