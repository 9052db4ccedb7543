"""Headers, block hashes and rollup ids, as a contract computes them."""

from __future__ import annotations

import msgspec
import pytest
from eth_abi.abi import encode as abi_encode

from kernel_fixtures import Chain, fast_directory, make_test_genesis
from microrollup.chain.block import (
    Header,
    compute_block_hash,
    compute_genesis_header,
    compute_rollup_id,
    compute_verifiers_hash,
)
from microrollup.chain.record import Genesis
from microrollup.crypto.keccak import keccak256
from zoo import zoo

HEADER = Header(
    rollup_id=b"\x01" * 32,
    height=2,
    parent_hash=b"\x03" * 32,
    timestamp=4,
    stf_id=b"\x05" * 32,
    l1_origin=6,
    forced_count=7,
    forced_hash=b"\x08" * 32,
    first_seq=9,
    action_count=10,
    actions_root=b"\x0b" * 32,
    receipts_root=b"\x0c" * 32,
    state_root=b"\x0d" * 32,
    metadata_root=b"\x0e" * 32,
)
WORDS = [
    "bytes32", "uint256", "bytes32", "uint256", "bytes32", "uint256", "uint256", "bytes32", "uint256", "uint256",
    "bytes32", "bytes32", "bytes32", "bytes32",
]  # fmt: skip
GENESIS = make_test_genesis(zoo)


def test_block_hash() -> None:
    """The hash is keccak256 of `abi.encode` of fourteen words in their order; pinned."""
    values = msgspec.structs.astuple(HEADER)
    assert 14 == len(values)
    assert keccak256(abi_encode(WORDS, values)) == compute_block_hash(HEADER)
    assert "0f344992cc778e893158f228887523afeb46ea4d21791bfcda156112ed5bb9d1" == compute_block_hash(HEADER).hex()


@pytest.mark.parametrize("field", Header.__struct_fields__)
def test_every_word_counts(field: str) -> None:
    """No two headers that differ in a word have one hash."""
    value = getattr(HEADER, field)
    for other in (value + 1, 0, 2**64 - 1) if isinstance(value, int) else (bytes(32), value[:-1] + b"\xff"):
        changed = msgspec.structs.replace(HEADER, **{field: other})
        assert compute_block_hash(HEADER) != compute_block_hash(changed)


@pytest.mark.parametrize("field", Genesis.__struct_fields__)
def test_what_the_rollup_id_binds(field: str) -> None:
    """The id binds everything of the genesis but its format and signing domain, which L1 cannot know."""
    value = getattr(GENESIS, field)
    others: dict[str, object] = {
        "name": "other",
        "verifiers": (b"\x01" * 20,),
        "domain": msgspec.structs.replace(GENESIS.domain, verifying_contract=b"\x01" * 20),
    }
    if field not in others:
        others[field] = value + 1 if isinstance(value, int) else b"\x77" * len(value)
    changed = msgspec.structs.replace(GENESIS, **{field: others[field]})
    assert (field in ("format", "domain")) is (compute_rollup_id(GENESIS) == compute_rollup_id(changed))


def test_rollup_id() -> None:
    """The id is keccak256 of `abi.encode` of the design's ten values, verifiers as the hash of their array."""
    types = [
        "string",
        "uint256",
        "uint256",
        "bytes32",
        "bytes32",
        "address",
        "bytes32",
        "uint256",
        "uint256",
        "bytes32",
    ]
    values = [
        GENESIS.name, GENESIS.l1_chain_id, GENESIS.genesis_time, GENESIS.state_root, GENESIS.metadata_root,
        GENESIS.builder, compute_verifiers_hash(GENESIS.verifiers), GENESIS.quorum, GENESIS.l1_start, GENESIS.salt,
    ]  # fmt: skip
    assert keccak256(abi_encode(types, values)) == compute_rollup_id(GENESIS)
    assert keccak256(abi_encode(["address[]"], [GENESIS.verifiers])) == compute_verifiers_hash(GENESIS.verifiers)
    assert compute_verifiers_hash(()) != compute_verifiers_hash((bytes(20),))


def test_genesis_header() -> None:
    """Height 0 has the id, its time, the L1 start and both roots; every other word is zero."""
    header = compute_genesis_header(GENESIS)
    given = {
        "rollup_id": compute_rollup_id(GENESIS),
        "timestamp": GENESIS.genesis_time,
        "l1_origin": GENESIS.l1_start,
        "state_root": GENESIS.state_root,
        "metadata_root": GENESIS.metadata_root,
    }
    for field in Header.__struct_fields__:
        value = getattr(header, field)
        assert given.get(field, type(value)() if isinstance(value, int) else bytes(32)) == value


def test_headers_chain() -> None:
    """Each header names the hash of the one before, from the genesis on, and counts on where that one ended."""
    with fast_directory() as directory:
        chain = Chain(directory, block_size=2)
        for value in range(5):
            chain.edit(("set_ticket", value, value))
        chain.close_block()
        parent, seq = compute_genesis_header(chain.genesis), 0
        for block in chain.get_blocks():
            header = block.header
            assert (compute_block_hash(parent), parent.height + 1, seq) == (
                header.parent_hash, header.height, header.first_seq
            )  # fmt: skip
            parent, seq = header, seq + header.action_count
        assert (3, 5) == (parent.height, seq)
        chain.close()
