"""The queue of forced actions: hashes that a contract computes alike, and that bind every part of every entry."""

from __future__ import annotations

from eth_abi.abi import encode as abi_encode
from hypothesis import given
from hypothesis import strategies as st

from microrollup.crypto.keccak import keccak256
from microrollup.settlement.forced import EMPTY_QUEUE_HASH, compute_forced_id, compute_queue_hash

SENDER = bytes(range(20))


@given(
    st.binary(min_size=32, max_size=32),
    st.binary(min_size=20, max_size=20),
    st.integers(0, 2**64 - 1),
    st.binary(max_size=99),
)
def test_queue_hash_is_solidity_abi(previous: bytes, sender: bytes, block: int, payload: bytes) -> None:
    """`keccak256(abi.encode(previous, sender, inclusionBlock, keccak256(payload)))`, as eth_abi encodes it."""
    encoded = abi_encode(["bytes32", "address", "uint64", "bytes32"], [previous, sender, block, keccak256(payload)])
    assert keccak256(encoded) == compute_queue_hash(previous, sender, block, payload)


def test_queue_hash_binds_every_part() -> None:
    """Another predecessor, sender, block or payload gives another hash."""
    hashes = {
        compute_queue_hash(EMPTY_QUEUE_HASH, SENDER, 7, b"payload"),
        compute_queue_hash(keccak256(b""), SENDER, 7, b"payload"),
        compute_queue_hash(EMPTY_QUEUE_HASH, SENDER[::-1], 7, b"payload"),
        compute_queue_hash(EMPTY_QUEUE_HASH, SENDER, 8, b"payload"),
        compute_queue_hash(EMPTY_QUEUE_HASH, SENDER, 7, b"payload\x00"),
    }
    assert 5 == len(hashes)


def test_hashes_are_pinned() -> None:
    """The empty queue is 32 zero bytes; the first entry's hash and identity keep their values."""
    assert bytes(32) == EMPTY_QUEUE_HASH
    assert (
        "5f740519240c46d4ef3d0d6ce84d1752a7f88225e179f51c39432823129c9e49"
        == compute_queue_hash(EMPTY_QUEUE_HASH, SENDER, 7, b"payload").hex()
    )
    assert (
        "dadff09f7c02093812a7f7ea8522f760d9ec36efeac62cefc83b45bb4f3764bf"
        == compute_forced_id(keccak256(b"rollup"), 1).hex()
    )


@given(st.binary(min_size=32, max_size=32), st.integers(0, 2**64 - 1))
def test_identity_is_solidity_abi(rollup_id: bytes, index: int) -> None:
    """`keccak256(abi.encode(rollupId, i))`."""
    assert keccak256(abi_encode(["bytes32", "uint256"], [rollup_id, index])) == compute_forced_id(rollup_id, index)
