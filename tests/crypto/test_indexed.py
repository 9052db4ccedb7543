"""microrollup.crypto.merkle.indexed: leaves, proofs, and every way in which a proof may lie."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microrollup.crypto.keccak import EMPTY_HASH, keccak256
from microrollup.crypto.merkle.indexed import (
    DUMMY_LEAF,
    EMPTY_ROOT,
    LEAF_BYTES,
    UNUSED_LEAF_HASH,
    Leaf,
    Proof,
    compute_depth,
    compute_leaf_hash,
    compute_root,
    compute_tree_key,
    decode_leaf,
    encode_leaf,
    is_low_leaf,
    verify_exclusion,
    verify_inclusion,
)
from microrollup.errors import DecodeError, ProofError
from paths import KEYSTORE_DATA, VECTORS
from tree_model import TreeModel

AXIOM: dict[str, Any] = json.loads((VECTORS / "axiom-imt.json").read_text())
WALLET: dict[str, Any] = json.loads((KEYSTORE_DATA / "wallet-actions.expected.json").read_text())


def hex_bytes(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))


def leaf_of(leaf: dict[str, Any]) -> Leaf:
    return Leaf(
        leaf["active"],
        leaf["prefix"],
        hex_bytes(leaf["key"]),
        leaf["nextPrefix"],
        hex_bytes(leaf["nextKey"]),
        hex_bytes(leaf["valueHash"]),
    )


def proof_of(leaf: dict[str, Any], proof: dict[str, Any]) -> Proof:
    return Proof(proof["leafIndex"], leaf_of(leaf), tuple(map(hex_bytes, proof["siblings"])), proof["isLeft"])


KEYS = [bytes([10 * n]) + bytes(31) for n in range(1, 7)]
MODEL = TreeModel()
MODEL.change({key: keccak256(b"value" + key) for key in (KEYS[3], KEYS[0], KEYS[5], KEYS[1], KEYS[2], KEYS[4])})
ROOT = MODEL.root()


def model_proof(leaf_index: int) -> Proof:
    leaf = decode_leaf((MODEL.leaf_bytes() + [bytes(99)] * 2)[leaf_index])
    return Proof(leaf_index, leaf, MODEL.siblings(leaf_index), leaf_index)


def replaced(proof: Proof, **changes: Any) -> Proof:
    fields = {name: getattr(proof, name) for name in proof.__struct_fields__}
    return Proof(**(fields | changes))


def replaced_leaf(proof: Proof, **changes: Any) -> Proof:
    fields = {name: getattr(proof.leaf, name) for name in proof.leaf.__struct_fields__}
    return replaced(proof, leaf=Leaf(**(fields | changes)))


def test_empty_root_is_axioms() -> None:
    """The empty tree has the root that Axiom publishes for its empty withdrawals tree."""
    assert hex_bytes(AXIOM["verified_against_axiom"]["empty_tree"]["root"]) == EMPTY_ROOT
    assert TreeModel().root() == EMPTY_ROOT
    assert keccak256(b"\x01" + bytes(66) + EMPTY_HASH) == EMPTY_ROOT


def test_tree_key_is_axioms() -> None:
    """A tree key is the hash of the two-byte silo and the key."""
    vector = AXIOM["verified_against_axiom"]["balance_silo_0001"]
    assert hex_bytes(vector["key"]) == compute_tree_key(1, hex_bytes(vector["address"]))
    assert hex_bytes(vector["key"]) != compute_tree_key(256, hex_bytes(vector["address"]))


def test_block_hash_of_axiom() -> None:
    """Our Keccak gives the published hash of Axiom's sample block."""
    vector = AXIOM["verified_against_axiom"]["block_hash"]
    fields = [vector["sample"][name].removeprefix("0x").zfill(64) for name in vector["fields_in_order_32B_each"]]
    assert hex_bytes(vector["sample"]["hash"]) == keccak256(bytes.fromhex("".join(fields)))


def test_live_exclusion_proof_of_axiom() -> None:
    """The exclusion proof recorded from Axiom's network leads to its root, and excludes exactly the keys of its gap."""
    vector = AXIOM["verified_against_axiom"]["exclusion_proofs"][0]
    leaf = vector["leaf"]
    low = Leaf(1, 1, hex_bytes(leaf["key"]), 1, hex_bytes(leaf["nextKey"]), keccak256(hex_bytes(leaf["value"])))
    siblings = tuple(hex_bytes(sibling["hash"]) for sibling in vector["siblings"])
    assert vector["isLeft"] == sum(sibling["isLeft"] << level for level, sibling in enumerate(vector["siblings"]))
    proof = Proof(vector["isLeft"], low, siblings, vector["isLeft"])
    root = hex_bytes(vector["root"])
    assert root == compute_root(proof)
    assert proof == verify_exclusion(root, b"\x05" + bytes(31), proof)
    assert proof == verify_inclusion(root, low.key, hex_bytes(leaf["value"]), proof)
    for key in (low.key, low.next_key, b"\x01" + bytes(31), b"\xff" * 32):
        with pytest.raises(ProofError):
            verify_exclusion(root, key, proof)


def test_contract_exclusion_proof_of_axiom() -> None:
    """The 19-level proof of Axiom's contract test leads to its root; its low leaf is the last key of the list."""
    vector = AXIOM["keystore_periphery_exclusion"]
    leaf = decode_leaf(hex_bytes(vector["leaf_preimage_99_bytes"]))
    mask = vector["isLeft_bitmap"]
    proof = Proof(mask, leaf, tuple(map(hex_bytes, vector["proof"])), mask)
    same = AXIOM["verified_against_axiom"]["exclusion_proofs"][1]
    assert hex_bytes(same["leaf"]["valueHash"]) == leaf.value_hash == keccak256(hex_bytes(same["leaf"]["value"]))
    assert (same["isLeft"], same["root"]) == (mask, vector["root"])
    assert hex_bytes(vector["leaf"]) == compute_leaf_hash(leaf)
    assert proof == verify_exclusion(hex_bytes(vector["root"]), b"\x04" + bytes(31), proof)
    with pytest.raises(ProofError):
        verify_exclusion(hex_bytes(vector["root"]), b"\x02" + bytes(31), proof)


def test_unused_leaf_hash() -> None:
    """A position that was never used hashes 99 zero bytes."""
    assert hex_bytes(AXIOM["derived"]["inactive_leaf_hash"]) == UNUSED_LEAF_HASH
    assert hex_bytes(AXIOM["keystore_periphery_exclusion"]["inactive_leaf_hash"]) == UNUSED_LEAF_HASH


@pytest.mark.parametrize("account", WALLET["sampleAccounts"], ids=lambda account: account["treeKey"][:10])
def test_wallet_accounts_are_included(account: dict[str, Any]) -> None:
    """Proofs computed by an independent program for real accounts verify; with another value they do not."""
    root, key = hex_bytes(WALLET["stateRoot"]), compute_tree_key(0, hex_bytes(account["key"]))
    proof = proof_of(account["leaf"], account["inclusionProof"])
    value = keccak256(hex_bytes(account["data"])) + keccak256(hex_bytes(account["vk"]))
    assert hex_bytes(account["treeKey"]) == key
    assert proof == verify_inclusion(root, key, value, proof)
    with pytest.raises(ProofError):
        verify_inclusion(root, key, value[:-1], proof)
    with pytest.raises(ProofError):
        verify_exclusion(root, key, proof)


@pytest.mark.parametrize("absent", WALLET["sampleAbsentKeys"], ids=lambda absent: absent["treeKey"][:10])
def test_wallet_keys_are_excluded(absent: dict[str, Any]) -> None:
    """Independently computed exclusion proofs verify; the low leaf's own key and the next one are not absent."""
    root, key = hex_bytes(WALLET["stateRoot"]), hex_bytes(absent["treeKey"])
    proof = proof_of(absent["lowLeaf"], absent["proof"])
    assert proof == verify_exclusion(root, key, proof)
    with pytest.raises(ProofError):
        verify_inclusion(root, key, b"", proof)
    for there, is_key in ((proof.leaf.key, proof.leaf.prefix), (proof.leaf.next_key, proof.leaf.next_prefix)):
        if is_key:
            with pytest.raises(ProofError):
                verify_exclusion(root, there, proof)


def test_no_leaf_excludes_an_included_key() -> None:
    """No leaf passes for the low leaf of an included key; a public contract has `or` for `and`, and takes any."""
    for leaf_index in range(8):
        for key in KEYS:
            with pytest.raises(ProofError):
                verify_exclusion(ROOT, key, model_proof(leaf_index))


def test_exactly_one_leaf_excludes_an_absent_key() -> None:
    """Of all leaves only the one below the gap proves an absence."""
    for key in (bytes(31) + b"\1", KEYS[0], bytes([15]) + bytes(31), bytes([35]) + bytes(31), b"\xff" * 32):
        accepted = []
        for leaf_index in range(8):
            try:
                verify_exclusion(ROOT, key, model_proof(leaf_index))
            except ProofError:
                continue
            accepted.append(leaf_index)
        assert len(accepted) == (0 if key in KEYS else 1)


def test_unused_position_proves_nothing() -> None:
    """A position of 99 zero bytes satisfies both bounds for every key; its missing active flag refuses it."""
    unused = model_proof(7)
    assert ROOT == compute_root(unused)
    assert Leaf(0, 0, bytes(32), 0, bytes(32), bytes(32)) == unused.leaf
    assert not is_low_leaf(unused.leaf, bytes([15]) + bytes(31))
    for key in (KEYS[0], bytes([15]) + bytes(31), bytes(32)):
        with pytest.raises(ProofError, match="unused"):
            verify_exclusion(ROOT, key, unused)
        with pytest.raises(ProofError, match="unused"):
            verify_inclusion(ROOT, key, b"", unused)


@pytest.mark.parametrize(
    ("key", "accepted"),
    [(9, False), (10, False), (11, True), (19, True), (20, False), (21, False)],
)
def test_both_halves_bound_the_gap(key: int, accepted: bool) -> None:
    """Exclusion needs the key above the low leaf's and below the next one's, both strictly."""
    leaf = Leaf(1, 1, bytes([10]) + bytes(31), 1, bytes([20]) + bytes(31), EMPTY_HASH)
    assert accepted == is_low_leaf(leaf, bytes([key]) + bytes(31))


def test_ends_of_the_list() -> None:
    """The dummy has no lower bound and the last leaf no upper one; each keeps its other bound."""
    first = Leaf(1, 0, bytes(32), 1, KEYS[0], EMPTY_HASH)
    last = Leaf(1, 1, KEYS[5], 0, bytes(32), EMPTY_HASH)
    assert is_low_leaf(first, bytes(32))
    assert not is_low_leaf(first, KEYS[0])
    assert is_low_leaf(last, b"\xff" * 32)
    assert not is_low_leaf(last, KEYS[5])
    assert is_low_leaf(DUMMY_LEAF, KEYS[0])


def test_dummy_is_no_key() -> None:
    """The dummy's zero key cannot be proven included."""
    with pytest.raises(ProofError, match="dummy"):
        verify_inclusion(ROOT, bytes(32), b"", model_proof(0))


def test_deleted_key_is_included() -> None:
    """A deleted key is included with the empty value and never excluded."""
    model = TreeModel()
    model.change({KEYS[0]: EMPTY_HASH})
    proof = Proof(1, decode_leaf(model.leaf_bytes()[1]), model.siblings(1), 1)
    assert proof == verify_inclusion(model.root(), KEYS[0], b"", proof)
    with pytest.raises(ProofError):
        verify_exclusion(model.root(), KEYS[0], proof)


def test_damaged_proofs_are_refused() -> None:
    """No sibling may be missing, added, swapped or changed, and the side mask is the leaf's index."""
    proof = model_proof(5)
    value = b"value" + proof.leaf.key
    assert proof == verify_inclusion(ROOT, proof.leaf.key, value, proof)
    siblings = proof.siblings
    bad = [
        replaced(proof, siblings=siblings[:-1]),
        replaced(proof, siblings=siblings[1:]),
        replaced(proof, siblings=(*siblings, UNUSED_LEAF_HASH)),
        replaced(proof, siblings=siblings[::-1]),
        replaced(proof, siblings=(siblings[0], siblings[0], siblings[2])),
        replaced(proof, siblings=(siblings[0] + siblings[1], *siblings[2:])),
        replaced(proof, siblings=(siblings[0][:-1], *siblings[1:])),
        replaced(proof, leaf_index=2, is_left=2),
        replaced(proof, leaf_index=4),
        replaced(proof, is_left=4),
        replaced(proof, leaf_index=13, is_left=13),
        replaced(proof, leaf_index=-5, is_left=-5),
        replaced(proof, siblings=siblings + (UNUSED_LEAF_HASH,) * 62),
        replaced_leaf(proof, next_key=KEYS[5]),
        replaced_leaf(proof, next_prefix=0),
        replaced_leaf(proof, next_prefix=2),
        replaced_leaf(proof, active=257),
    ]
    for damaged in bad:
        with pytest.raises(ProofError):
            verify_inclusion(ROOT, proof.leaf.key, value, damaged)


def test_inner_node_is_no_leaf() -> None:
    """The 64 bytes of an inner node cannot be offered as a leaf: a leaf has 99, with every part of its own length."""
    levels = MODEL.levels()
    node = levels[0][0] + levels[0][1]
    with pytest.raises(DecodeError):
        decode_leaf(node)
    short = Leaf(node[0] & 1, node[1] & 1, node[2:34], 0, b"", node[34:])
    with pytest.raises(ProofError):
        compute_root(Proof(0, short, (levels[1][1],), 0))
    with pytest.raises(ProofError):
        verify_exclusion(ROOT, b"\x01", model_proof(0))


def test_leaf_hidden_in_a_value_is_refused() -> None:
    """A value that is itself a leaf's 99 bytes is no leaf, though 67 bytes of the true leaf would do as its sibling."""
    hidden = Leaf(1, 1, b"\x11" * 32, 0, bytes(32), keccak256(b"forged"))
    model = TreeModel()
    model.change({KEYS[0]: keccak256(encode_leaf(hidden))})
    true_leaf = model.leaf_bytes()[1]
    siblings = (true_leaf[:67], model.levels()[0][0])
    assert model.root() == keccak256(siblings[1] + keccak256(siblings[0] + compute_leaf_hash(hidden)))
    with pytest.raises(ProofError, match="67 bytes"):
        verify_inclusion(model.root(), hidden.key, b"forged", Proof(3, hidden, siblings, 3))


def test_endless_proof_is_refused_before_hashing() -> None:
    """More siblings than any tree has levels are refused at once, though the rest of the proof were right."""
    proof = model_proof(5)
    with pytest.raises(ProofError, match="at most 64"):
        compute_root(replaced(proof, siblings=proof.siblings + (UNUSED_LEAF_HASH,) * 62))
    assert 32 == len(compute_root(replaced(proof, siblings=proof.siblings + (UNUSED_LEAF_HASH,) * 61)))


@given(st.integers(0, 7), st.integers(0, 99 * 8 - 1))
def test_any_flipped_bit_of_a_leaf_breaks_the_proof(leaf_index: int, bit: int) -> None:
    """A leaf with one bit changed leads to another root, or is no leaf at all."""
    proof = model_proof(leaf_index)
    raw = bytearray((MODEL.leaf_bytes() + [bytes(99)] * 2)[leaf_index])
    raw[bit // 8] ^= 1 << bit % 8
    try:
        leaf = decode_leaf(bytes(raw))
    except DecodeError:
        return
    assert ROOT != compute_root(replaced(proof, leaf=leaf))


leaves = st.builds(
    Leaf,
    st.integers(0, 1),
    st.integers(0, 1),
    st.binary(min_size=32, max_size=32),
    st.integers(0, 1),
    st.binary(min_size=32, max_size=32),
    st.binary(min_size=32, max_size=32),
)


@given(leaves)
def test_leaf_round_trip(leaf: Leaf) -> None:
    """A leaf has 99 bytes, and they give the leaf back."""
    raw = encode_leaf(leaf)
    assert len(raw) == LEAF_BYTES
    assert leaf == decode_leaf(raw)


@given(st.binary(max_size=120))
def test_decode_leaf_raises_typed_errors_only(raw: bytes) -> None:
    """Any bytes are either a leaf that encodes to them, or a DecodeError."""
    try:
        leaf = decode_leaf(raw)
    except DecodeError:
        return
    assert raw == encode_leaf(leaf)


@pytest.mark.parametrize(("count", "depth"), [(1, 0), (2, 1), (3, 2), (4, 2), (5, 3), (8, 3), (9, 4), (1 << 20, 20)])
def test_depth_follows_the_doubling_capacity(count: int, depth: int) -> None:
    """Capacity begins at 1 and doubles when it is full."""
    assert depth == compute_depth(count)
