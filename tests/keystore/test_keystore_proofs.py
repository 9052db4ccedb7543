"""Proofs in the contracts' bytes, in Axiom's form and from JSON: both ways, and nothing but what the encoders give."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import apps.keystore
from apps.keystore import app
from apps.keystore.accounts import compute_account_key, encode_account_leaf
from apps.keystore.axiom.key_data_proofs import (
    KeyDataProof,
    decode_key_data_proof,
    encode_key_data_proof,
    make_exclusion,
    make_inclusion,
    verify_key_data_proof,
)
from apps.keystore.proofs import (
    EXCLUSION_HEADER_BYTES,
    INCLUSION_HEADER_BYTES,
    compute_account_tree_key,
    decode_exclusion,
    decode_inclusion,
    encode_exclusion,
    encode_inclusion,
    encode_proof,
    proof_from_json,
)
from kernel_fixtures import Chain, fast_directory
from keystore_vectors import FILE, Account, encode_vectors, find_low, get_proof, make_vectors
from microrollup.crypto.keccak import EMPTY_HASH, keccak256
from microrollup.crypto.merkle.indexed import DUMMY_LEAF, EMPTY_ROOT, Leaf, Proof, compute_root
from microrollup.errors import DecodeError, ProofError
from microrollup.execution.authentication import Authenticator
from microrollup.ledger.proof_json import proof_to_json
from microrollup.ledger.reading import prove_state
from paths import KEYSTORE_DATA, VECTORS
from tree_model import TreeModel

DATA = KEYSTORE_DATA
SDK = json.loads((VECTORS / "axiom-key-data-proof.json").read_bytes())
FIELD = app.state_type.get_field("accounts")

words = st.binary(min_size=32, max_size=32)
flags = st.integers(0, 1)


@st.composite
def proofs(draw: st.DrawFn, *, dummy: bool = True) -> Proof:
    """A well-formed proof of an active leaf, to whatever root."""
    siblings = tuple(draw(st.lists(words, max_size=64)))
    index = draw(st.integers(0, (1 << len(siblings)) - 1))
    prefix = draw(flags) if dummy else 1
    leaf = Leaf(1, prefix, draw(words), draw(flags), draw(words), draw(words))
    return Proof(index, leaf, siblings, index)


@given(proofs(dummy=False))
def test_inclusion_there_and_back(proof: Proof) -> None:
    """What is encoded decodes to the proof, in 41 bytes and 32 a sibling."""
    raw = encode_inclusion(proof)
    assert INCLUSION_HEADER_BYTES + 32 * len(proof.siblings) == len(raw)
    assert proof == decode_inclusion(raw, proof.leaf.key, proof.leaf.value_hash)
    assert raw == encode_proof(True, proof)


@given(proofs())
def test_exclusion_there_and_back(proof: Proof) -> None:
    """What is encoded decodes to the proof, in 106 bytes and 32 a sibling."""
    raw = encode_exclusion(proof)
    assert EXCLUSION_HEADER_BYTES + 32 * len(proof.siblings) == len(raw)
    assert proof == decode_exclusion(raw)
    assert raw == encode_proof(False, proof)


any_bytes = st.binary(max_size=400) | st.integers(0, 66).flatmap(
    lambda count: st.binary(min_size=32 * count, max_size=32 * count + 108)
)


@given(any_bytes)
def test_only_what_the_encoders_give_is_decoded(raw: bytes) -> None:
    """Any bytes: a `DecodeError`, or a proof that encodes to the very same bytes."""
    key, value = keccak256(b"key"), keccak256(b"value")
    for decode, encode in ((lambda: decode_inclusion(raw, key, value), encode_inclusion),
                           (lambda: decode_exclusion(raw), encode_exclusion)):  # fmt: skip
        try:
            proof = decode()
        except DecodeError:
            continue
        assert raw == encode(proof)


@given(proofs(dummy=False), st.integers(0, 31), st.booleans())
def test_other_lengths_are_refused(proof: Proof, size: int, longer: bool) -> None:
    """Bytes missing or to spare, and sides beyond the siblings, are no proof."""
    for raw, decode in (
        (encode_inclusion(proof), lambda raw: decode_inclusion(raw, proof.leaf.key, proof.leaf.value_hash)),
        (encode_exclusion(proof), decode_exclusion),
    ):
        with pytest.raises(DecodeError):
            decode(raw + bytes(1 + size % 31) if longer else raw[: -1 - size % 31])
        if len(proof.siblings) < 64:
            with pytest.raises(DecodeError, match="side mask"):
                decode((1 << len(proof.siblings) | proof.is_left).to_bytes(8, "big") + raw[8:])


def test_leaves_that_prove_nothing_are_not_encoded() -> None:
    """The dummy includes nothing, an unused leaf neither includes nor excludes."""
    used = Leaf(1, 1, keccak256(b"key"), 0, bytes(32), EMPTY_HASH)
    dummy, unused = Proof(0, DUMMY_LEAF, (), 0), Proof(0, msgspec.structs.replace(used, active=0), (), 0)
    assert encode_exclusion(dummy)
    assert encode_inclusion(Proof(0, used, (), 0))
    for encode, proof in ((encode_inclusion, dummy), (encode_inclusion, unused), (encode_exclusion, unused)):
        with pytest.raises(ProofError):
            encode(proof)


def test_malformed_proofs_are_not_encoded() -> None:
    """Too deep, sides beyond the siblings, another index than the sides say, a short sibling: `ProofError`."""
    leaf = Leaf(1, 1, keccak256(b"key"), 0, bytes(32), EMPTY_HASH)
    word = bytes(32)
    assert encode_inclusion(Proof(1, leaf, (word,) * 64, 1))
    for proof in (
        Proof(1, leaf, (word,) * 65, 1),
        Proof(2, leaf, (word,), 2),
        Proof(0, leaf, (word,), 1),
        Proof(0, leaf, (word[1:],), 0),
        Proof(0, msgspec.structs.replace(leaf, key=b"short"), (word,), 0),
    ):
        for encode in (encode_inclusion, encode_exclusion):
            with pytest.raises(ProofError):
                encode(proof)


def test_vectors_are_what_the_script_writes() -> None:
    """The file that forge reads is made again, to the byte (if not: `python tests/support/keystore_vectors.py`)."""
    assert FILE.read_text() == encode_vectors(make_vectors())


@pytest.fixture(scope="module")
def shown() -> dict[str, dict[str, Any]]:
    """Proofs of a real store in their JSON form: an account that is there, and one that is not."""
    with fast_directory() as directory:
        chain = Chain(directory, app, block_size=100)
        authenticator = Authenticator(app.action_types, app.make_domain())
        lines = (DATA / "wallet-actions.jsonl").read_bytes().splitlines()[:100]
        chain.submit(*[authenticator.authenticate_line(line) for line in lines])
        chain.sequencer.close_block()
        key = next(iter(chain.ledger.state.app.accounts))  # type: ignore[attr-defined]
        documents = {}
        for name, proven in (("present", key), ("absent", keccak256(b"absent"))):
            proof = prove_state(chain.ledger.environment, chain.ledger.tree, FIELD, proven)
            documents[name] = json.loads(json.dumps(proof_to_json(FIELD, proof)))
        chain.close()
    return documents


def test_json_of_a_proof(shown: dict[str, dict[str, Any]]) -> None:
    """What `prove --json` and RPC show gives the proof, verified, and from it the packed bytes."""
    present, absent = proof_from_json(shown["present"]), proof_from_json(shown["absent"])
    assert (True, False) == (present.exists, absent.exists)
    assert (64, b"") == (len(present.value), absent.value)
    raw = encode_proof(present.exists, present.proof)
    tree_key = compute_account_tree_key(present.key)
    assert present.proof == decode_inclusion(raw, tree_key, keccak256(present.value))
    assert absent.proof == decode_exclusion(encode_proof(absent.exists, absent.proof))
    assert present.state_root == compute_root(present.proof) == compute_root(absent.proof)


@pytest.mark.parametrize("name", ["present", "absent"])
@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("exists", None), ("exists", "flip"), ("leaf", {}), ("leafIndex", -1), ("leafIndex", 1 << 65), ("siblings", []),
        ("siblings", ["0x00"]), ("siblings", 5), ("isLeft", 1 << 63), ("stateRoot", "0x" + "00" * 32),
        ("stateRoot", "root"), ("encodedKey", "0x" + "11" * 32), ("height", "high"), ("siblings", None), ("leaf", None),
    ],
)  # fmt: skip
def test_damaged_json(shown: dict[str, dict[str, Any]], name: str, member: str, value: Any) -> None:
    """Another member, or none: `DecodeError` or `ProofError`, nothing else."""
    document = dict(shown[name])
    document[member] = (not document[member]) if value == "flip" else value
    with pytest.raises((DecodeError, ProofError)):
        proof_from_json(document)
    del document[member]
    with pytest.raises(DecodeError):
        proof_from_json(document)


def test_axioms_sdk_encodes_the_same() -> None:
    """The fields of the SDK's example give its very bytes, 1,760 with five signers, and decode from them."""
    fields = SDK["fields"]
    signature = bytes.fromhex(SDK["signature"][2:])
    size = int.from_bytes(signature[96:128], "big")
    raw = signature[128 : 128 + size]
    assert SDK["sizes"]["actual_abi_exclusion_5signers_depth30"] == len(raw)
    proof = decode_key_data_proof(raw)
    extra = bytes.fromhex(fields["exclusionExtraData"][2:])
    assert extra[33:65] == proof.salt
    assert (fields["keyData"], fields["vkeyHash"]) == (f"0x{proof.key_data.hex()}", f"0x{proof.vkey_hash.hex()}")
    assert fields["proof"] == [f"0x{sibling.hex()}" for sibling in proof.siblings]
    assert extra[:33] + extra[65:] == proof.leaf_rest[:33] + proof.leaf_rest[66:]
    assert f"{fields['nextDummyByte']}{fields['nextImtKey'][2:]}" == f"0x{proof.leaf_rest[33:66].hex()}"
    assert int(fields["isLeft"]) == proof.is_left
    assert raw == encode_key_data_proof(proof)


def grow(count: int, seed: int = 7) -> tuple[TreeModel, list[Account]]:
    """A tree with so many accounts."""
    from random import Random

    draw = Random(seed)
    accounts = [Account(draw) for _ in range(count)]
    tree = TreeModel()
    tree.change({account.tree_key: account.value_hash for account in accounts})
    return tree, accounts


def test_axioms_form_of_accounts() -> None:
    """An account in the tree and one that is not yet there are authoritative for their own address only."""
    tree, accounts = grow(12)
    root = tree.root()
    for index, account in enumerate(accounts[:-1], 1):
        proof = make_inclusion(account.data, account.vk, get_proof(tree, index))
        assert proof == verify_key_data_proof(root, account.key, proof)
        assert proof == decode_key_data_proof(encode_key_data_proof(proof))
        with pytest.raises(ProofError):
            verify_key_data_proof(root, accounts[index].key, proof)
        with pytest.raises(ProofError):
            make_inclusion(account.data + b"!", account.vk, get_proof(tree, index))
        low = get_proof(tree, find_low(tree, account.tree_key))
        with pytest.raises(ProofError, match="between"):
            make_exclusion(account.salt, account.data, account.vk, low)
    (absent,) = grow(1, seed=8)[1]
    low = get_proof(tree, find_low(tree, absent.tree_key))
    proof = make_exclusion(absent.salt, absent.data, absent.vk, low)
    assert proof == verify_key_data_proof(root, absent.key, proof)
    assert proof == decode_key_data_proof(encode_key_data_proof(proof))
    for other in (msgspec.structs.replace(proof, salt=bytes(32)), msgspec.structs.replace(proof, key_data=b"other")):
        with pytest.raises(ProofError, match="does not commit"):
            verify_key_data_proof(root, absent.key, other)


def test_initial_data_of_a_changed_account_are_refused() -> None:
    """Once the account is in the tree, its first data are proven by no leaf: both bounds must hold."""
    (account,) = grow(1)[1]
    tree = TreeModel()
    before = make_exclusion(account.salt, account.data, account.vk, get_proof(tree, 0))
    assert before == verify_key_data_proof(EMPTY_ROOT, account.key, before)
    tree.change({account.tree_key: keccak256(b"changed")})
    for index in range(2):
        leaf = get_proof(tree, index)
        vkey_hash = keccak256(account.vk)
        rest = tree.leaf_bytes()[index][1:]
        forged = KeyDataProof(account.data, vkey_hash, account.salt, rest, leaf.siblings, leaf.is_left)
        assert compute_account_key(account.salt, account.data, account.vk) == account.key
        with pytest.raises(ProofError, match="between"):
            verify_key_data_proof(tree.root(), account.key, forged)


@given(st.data())
def test_only_axioms_encoding_is_decoded(data: st.DataObject) -> None:
    """A changed, cut or longer encoding: a `DecodeError`, or a proof that encodes to the very same bytes."""
    tree, (account, *_) = grow(5)
    raw = bytearray(encode_key_data_proof(make_inclusion(account.data, account.vk, get_proof(tree, 1))))
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(0, 255))
    changed = bytes(raw)[: data.draw(st.integers(0, len(raw)))] if data.draw(st.booleans()) else bytes(raw)
    changed += data.draw(st.binary(max_size=40)) if data.draw(st.booleans()) else b""
    try:
        proof = decode_key_data_proof(changed)
    except DecodeError:
        return
    assert changed == encode_key_data_proof(proof)


def test_value_of_an_account() -> None:
    """The leaf's value is what the contract computes from the hashes of data and vk."""
    account = apps.keystore.accounts.Account(b"data", b"vk")
    assert keccak256(b"data") + keccak256(b"vk") == encode_account_leaf(account)
