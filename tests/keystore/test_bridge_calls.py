"""Axiom's interface on L1: the calls, events and hashes are Axiom's own. What they do is in `tests/foundry/vault`."""

from __future__ import annotations

from typing import Final

from apps.keystore.axiom.bridge_calls import (
    OUTPUT_ROOT_SLOT,
    compute_axiom_block_hash,
    compute_output_root,
    compute_sequencer_address,
    encode_collect_fees,
    encode_deposit_data,
    encode_finalize_withdrawal,
    encode_initiate_l1_transaction,
    encode_record_batch,
)
from apps.keystore.axiom.transactions import DEPOSIT, UPDATE, WITHDRAW
from contract_calls import Contract
from l1_fixtures import Anvil
from microrollup.chain.block import Header
from microrollup.contracts import load_artifact
from microrollup.crypto.keccak import keccak256
from microrollup.crypto.merkle.indexed import Leaf, Proof

KEY, NEXT, ROOT = b"\x33" * 32, b"\x44" * 32, b"\x55" * 32
TO: Final = b"\x11" * 20
BRIDGE: Final = load_artifact("AxiomBridge", "apps.keystore.contracts")
AXIOM: Final = {
    "initiateL1Transaction((uint8,bytes))",
    "finalizeWithdrawal(uint256,(bytes32,bytes32,bytes32),(bytes32,bytes1,bytes32,uint256,address),bytes32[],uint256)",
    "isWithdrawalClaimed(bytes32)",
    "l1BatchCount()",
    "l1BatchInclusionBlock(uint256)",
    "l1InitiatedFee(uint8)",
    "latestOutputRoot()",
    "L1_INITIATION_DELAY()",
    "MAX_L1_ORIGIN_DELAY()",
    "L1TransactionInitiated(uint256,bytes32,uint256,uint256,bytes32)",
    "WithdrawalFinalized(uint256,address,uint256)",
    "InvalidMsgValue()",
    "InvalidWithdrawalProof()",
    "WithdrawalAlreadyClaimed()",
    "WithdrawalsRootVerificationFailed()",
}
"""Of Axiom's contract (npm `@axiom-crypto/keystore-sdk` 0.2.5), what has a meaning here: functions, events, errors."""


def name_type(member: dict[str, object]) -> str:
    """As signatures have it."""
    if member["type"] != "tuple":
        return str(member["type"])
    return f"({','.join(name_type(part) for part in member['components'])})"  # type: ignore[attr-defined]


def make_header() -> Header:
    """A header whose words are all different."""
    words = {name: bytes([place]) * 32 for place, name in enumerate(Header.__struct_fields__, 1)}
    numbers = {"height", "timestamp", "l1_origin", "forced_count", "first_seq", "action_count"}
    return Header(**{name: word[0] if name in numbers else word for name, word in words.items()})  # type: ignore[arg-type]


def test_interface_is_axioms() -> None:
    """Selectors and topics are the same, so what reads the one reads the other."""
    signatures = {
        f"{entry['name']}({','.join(name_type(member) for member in entry['inputs'])})"
        for entry in BRIDGE.abi
        if "name" in entry
    }
    assert signatures >= AXIOM
    (initiated,) = (entry for entry in BRIDGE.abi if entry.get("name") == "L1TransactionInitiated")
    assert [True, False, False, False, False] == [member["indexed"] for member in initiated["inputs"]]


def test_calls() -> None:
    """The bytes are what the contract's own interface says."""
    bridge = Contract(Anvil.__new__(Anvil), BRIDGE, "0x")
    header = make_header()
    words = tuple(getattr(header, name) for name in Header.__struct_fields__)
    leaf = Leaf(1, 1, KEY, 1, NEXT, ROOT)
    proof = Proof(2, leaf, (KEY, ROOT), 0b10)
    preimage = (ROOT, ROOT, NEXT)
    expected = {
        encode_initiate_l1_transaction(UPDATE, b"list"): bridge.encode("initiateL1Transaction", (2, b"list")),
        encode_initiate_l1_transaction(WITHDRAW, b"list"): bridge.encode("initiateL1Transaction", (1, b"list")),
        encode_initiate_l1_transaction(DEPOSIT, encode_deposit_data(7, KEY)): bridge.encode(
            "initiateL1Transaction", (0, bytes(31) + b"\7" + KEY)
        ),
        encode_record_batch(header): bridge.encode("recordBatch", words),
        encode_finalize_withdrawal(9, preimage, TO, 7, proof): bridge.encode(
            "finalizeWithdrawal", 9, preimage, (KEY, b"\1", NEXT, 7, TO), [KEY, ROOT], 2
        ),
        encode_collect_fees(): bridge.encode("collectFees"),
    }
    assert list(expected.values()) == [f"0x{call.hex()}" for call in expected]


def test_output_roots() -> None:
    """The seven words and the three, in their order; and where the contract keeps the newest."""
    header = make_header()
    sequencer = compute_sequencer_address(TO)
    assert bytes(12) + TO == sequencer
    numbers = bytes(31) + bytes([header.height]) + bytes(31) + bytes([header.timestamp])
    words = numbers + header.parent_hash + sequencer + 2 * header.state_root + header.actions_root
    assert keccak256(words) == compute_axiom_block_hash(header, sequencer)
    assert keccak256(KEY + NEXT + ROOT) == compute_output_root(KEY, NEXT, ROOT)
    name = int.from_bytes(keccak256(b"axiom.storage.AxiomKeystoreRollup"), "big") - 1
    assert keccak256(name.to_bytes(32, "big"))[:31] + b"\0" == OUTPUT_ROOT_SLOT
