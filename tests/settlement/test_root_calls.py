"""Calls that bring roots to L2s: the bytes are what the contracts' own interfaces say."""

from __future__ import annotations

import pytest
from eth_abi.abi import decode, encode

from apps.keystore.root_calls import (
    Delivery,
    LatestRoot,
    compute_opened_account_slot,
    decode_latest,
    encode_arbitrum_parameters,
    encode_broadcast,
    encode_get_account,
    encode_latest,
    encode_op_stack_parameters,
    encode_open_account,
    encode_open_initial_account,
    encode_prove_root,
    encode_read_inbox,
    encode_record_block_hash,
)
from apps.keystore.root_proofs import RootProof
from contract_calls import Contract
from l1_fixtures import Anvil
from microrollup.contracts import load_artifact
from microrollup.crypto.keccak import keccak256
from microrollup.errors import DecodeError

PACKAGE = "apps.keystore.contracts"
A, B = b"\x11" * 20, b"\x22" * 20


def contract(name: str) -> Contract:
    """The interface, as the compiler described it; nothing is called."""
    return Contract(Anvil.__new__(Anvil), load_artifact(name, PACKAGE), "0x")


def test_broadcast() -> None:
    """Deliveries keep their order, their values and their parameters; other deliveries give other bytes."""
    deliveries = [Delivery(A, B, 7, b"parameters"), Delivery(B, A, 0, b"")]
    expected = contract("KeystoreBroadcaster").encode("broadcast", [(A, B, 7, b"parameters"), (B, A, 0, b"")])
    assert expected == f"0x{encode_broadcast(deliveries).hex()}"
    assert expected != f"0x{encode_broadcast(deliveries[::-1]).hex()}"


def test_prove_root() -> None:
    """The arguments stand in the contract's order."""
    proof = RootProof(5, b"header", (b"account", b"leaf"), (b"root",), (b"head",))
    arguments = (5, b"header", [b"account", b"leaf"], [b"root"], [b"head"])
    assert contract("KeystoreRoots").encode("proveRoot", *arguments) == f"0x{encode_prove_root(proof).hex()}"
    assert contract("KeystoreRoots").encode("recordBlockHash") == f"0x{encode_record_block_hash().hex()}"
    assert contract("KeystoreRoots").encode("readInbox") == f"0x{encode_read_inbox().hex()}"


def test_reads_of_l1() -> None:
    """Where L1's storage can be read; the slot is that of Solidity's mapping at place 0."""
    assert contract("L1SloadRoots").encode("readInbox") == f"0x{encode_read_inbox().hex()}"
    words = [bytes([value]) * 32 for value in range(1, 5)]
    key = words[0]
    opened = encode_open_account(*words[:3], b"proof")
    assert contract("L1Accounts").encode("open", *words[:3], b"proof") == f"0x{opened.hex()}"
    initial = encode_open_initial_account(*words, b"proof")
    assert contract("L1Accounts").encode("openInitial", *words, b"proof") == f"0x{initial.hex()}"
    for name in ("L1Accounts", "L1SloadAccounts"):
        assert contract(name).encode("getAccount", key) == f"0x{encode_get_account(key).hex()}"
    assert keccak256(encode(["bytes32", "uint256"], [key, 0])) == compute_opened_account_slot(key).to_bytes(32, "big")


def test_latest() -> None:
    """The question and the answer are the contract's; the age is told from settlement, not from the last showing."""
    assert contract("KeystoreRoots").encode("latest") == f"0x{encode_latest().hex()}"
    answer = encode(["bytes32", "uint64", "uint64", "uint64"], [A + bytes(12), 7, 1_000, 900])
    latest = decode_latest(answer)
    assert LatestRoot(A + bytes(12), 7, 1_000, 900) == latest
    assert (100, 0) == (latest.compute_age(1_000), latest.compute_age(899))
    for wrong in (answer[:96], b"", answer[:32] + b"\1" + answer[33:]):
        with pytest.raises(DecodeError):
            decode_latest(wrong)


def test_parameters_of_bridges() -> None:
    """As `OpStackSender` and `ArbitrumSender` decode them."""
    assert (f"0x{B.hex()}", 200_000) == decode(["address", "uint32"], encode_op_stack_parameters(B, 200_000))
    types = ["address", "uint256", "uint256", "uint256", "address"]
    assert (f"0x{B.hex()}", 1, 2, 3, f"0x{A.hex()}") == decode(types, encode_arbitrum_parameters(B, 1, 2, 3, A))
