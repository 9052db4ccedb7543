"""Smart accounts in Python: what is built is checked first, and what cannot be is refused by name."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from eth_abi.abi import encode as abi_encode
from msgspec.structs import replace

from account_world import ENTRY_POINT_ARTIFACT
from apps.keystore import smart_account
from apps.keystore.accounts import Account, compute_account_key, encode_account_leaf
from apps.keystore.proofs import EXCLUSION_HEADER_BYTES, INCLUSION_HEADER_BYTES, ShownProof, compute_account_tree_key
from apps.keystore.smart_account import (
    CACHED,
    PUBLISHED_VALIDATORS,
    Configuration,
    FailedOperation,
    Opening,
    UserOperation,
    compute_calldata_gas,
    compute_data,
    compute_typed_data_digest,
    compute_user_operation_hash,
    configure_ecdsa,
    configure_multisig,
    configure_p256,
    configure_webauthn,
    decode_failed_operation,
    encode_get_nonce,
    encode_p256,
    encode_signature,
    encode_typed_data_signature,
    encode_user_operation_json,
    encode_validate_user_op,
    encode_webauthn,
    estimate_overhead,
    load_code_hash,
    make_register,
    make_update,
    open_absent,
    open_present,
    open_shown,
    recommend_verification_gas_limit,
    remember,
)
from apps.keystore.transitions import Register, Update
from contract_calls import get_selector, get_types
from keystore_vectors import find_low, get_proof
from l1_fixtures import FOUNDRY, install_foundry
from microrollup.contracts import load_artifact
from microrollup.crypto.ecdsa import load_private_key
from microrollup.crypto.keccak import keccak256
from microrollup.crypto.merkle.indexed import compute_root
from microrollup.errors import DecodeError, ProofError, UsageError
from microrollup.testing.passkey import P256Key, Passkey
from tree_model import TreeModel

OWNER, VK, SALT = b"\x11" * 20, b"\x22" * 20, b"\x33" * 32
CONFIGURATION = Configuration(b"\x44" * 32, b"config")
KEY = compute_account_key(SALT, compute_data(CONFIGURATION), VK)
SNAPSHOT = FOUNDRY / "accounts" / "snapshots" / "accounts.json"


@pytest.fixture(scope="module")
def tree() -> TreeModel:
    """A tree in which 40 accounts are registered, the first with the configuration."""
    made, draw = TreeModel(), random.Random(7)
    value = encode_account_leaf(Account(compute_data(CONFIGURATION), VK))
    made.change({compute_account_tree_key(KEY): keccak256(value)})
    for _ in range(39):
        made.change({draw.randbytes(32): draw.randbytes(32)})
    return made


def test_public_names() -> None:
    """What the package exports is sorted and there."""
    assert sorted(smart_account.__all__) == list(smart_account.__all__)
    assert set() == set(smart_account.__all__) - set(dir(smart_account))


def test_open_present(tree: TreeModel) -> None:
    """A proof opens the configuration and vk that the keystore holds, and no other."""
    proof = get_proof(tree, 1)
    opening = open_present(KEY, CONFIGURATION, VK, proof)
    assert (0, tree.root()) == (opening.mode, opening.root)
    assert 32 + INCLUSION_HEADER_BYTES + 32 * len(proof.siblings) == len(opening.data)
    assert keccak256(VK) == opening.data[:32]
    for key, configuration, vk, given in (
        (SALT, CONFIGURATION, VK, proof),
        (KEY, replace(CONFIGURATION, config=b"other"), VK, proof),
        (KEY, CONFIGURATION, OWNER, proof),
        (KEY, CONFIGURATION, VK, get_proof(tree, 2)),
    ):
        with pytest.raises(ProofError):
            open_present(key, configuration, vk, given)


def test_open_absent(tree: TreeModel) -> None:
    """A proof opens the first configuration of a key that is not there, and of none that is."""
    other = replace(CONFIGURATION, config=b"never registered")
    key = compute_account_key(SALT, compute_data(other), VK)
    proof = get_proof(tree, find_low(tree, compute_account_tree_key(key)))
    opening = open_absent(other, VK, SALT, proof)
    assert (1, tree.root()) == (opening.mode, opening.root)
    assert SALT + keccak256(VK) == opening.data[:64]
    assert 64 + EXCLUSION_HEADER_BYTES + 32 * len(proof.siblings) == len(opening.data)
    with pytest.raises(ProofError):
        open_absent(other, VK, SALT, get_proof(tree, find_low(tree, compute_account_tree_key(key)) + 1))
    with pytest.raises(ProofError):
        open_absent(CONFIGURATION, VK, SALT, get_proof(tree, find_low(tree, compute_account_tree_key(KEY))))


@pytest.mark.parametrize("exists", [True, False])
def test_open_shown(tree: TreeModel, exists: bool) -> None:
    """What the keystore shows of a key opens it, registered or not; of another key, or other parts, it does not."""
    salt = SALT if exists else bytes(32)
    key = compute_account_key(salt, compute_data(CONFIGURATION), VK)
    tree_key = compute_account_tree_key(key)
    proof = get_proof(tree, 1 if exists else find_low(tree, tree_key))
    shown = ShownProof(exists, key, b"", proof, compute_root(proof), 1)
    opened = open_present(key, CONFIGURATION, VK, proof) if exists else open_absent(CONFIGURATION, VK, salt, proof)
    assert opened == open_shown(shown, CONFIGURATION, VK, salt)
    other = Configuration(CONFIGURATION.code_hash, b"other")
    for wrong in (
        (replace(shown, key=OWNER + bytes(12)), CONFIGURATION, VK),
        (shown, other, VK),
        (shown, CONFIGURATION, OWNER),
    ):
        with pytest.raises(ProofError):
            open_shown(*wrong, salt)
    if not exists:
        with pytest.raises(ProofError, match="first configuration"):
            open_shown(shown, CONFIGURATION, VK, SALT)


def test_remember() -> None:
    """What is proven can be remembered, once; what is remembered cannot be again."""
    opening = Opening(0, b"data", b"root")
    assert Opening(0x80, b"data", b"root") == remember(opening) == remember(remember(opening))
    with pytest.raises(UsageError):
        remember(CACHED)


def test_encode_signature() -> None:
    """The parts stand as the contract reads them; none is longer than its length can say."""
    encoded = encode_signature(CONFIGURATION, Opening(1, b"opening", b""), b"signed")
    assert b"\x01" + b"\x44" * 32 + b"\x00\x06config" + b"\x00\x06signed" + b"opening" == encoded
    longest = bytes(0xFFFF)
    assert 1 + 32 + 2 + 0xFFFF + 2 + 0xFFFF == len(
        encode_signature(replace(CONFIGURATION, config=longest), CACHED, longest)
    )
    longer = longest + b"\0"
    for configuration, signature in ((replace(CONFIGURATION, config=longer), b""), (CONFIGURATION, longer)):
        with pytest.raises(UsageError):
            encode_signature(configuration, CACHED, signature)


def test_configurations() -> None:
    """Each validator's layout; owners of a multisig ascend, whatever their order."""
    point = P256Key(keccak256(b"key")).point
    assert Configuration(load_code_hash("ECDSAValidator"), OWNER) == configure_ecdsa(OWNER)
    assert Configuration(load_code_hash("P256Validator"), point) == configure_p256(point)
    assert Configuration(load_code_hash("WebAuthnValidator"), point) == configure_webauthn(point)
    assert Configuration(load_code_hash("P256SolidityValidator"), point) == configure_p256(point, precompile=False)
    passkey = configure_webauthn(point, precompile=False)
    assert Configuration(load_code_hash("WebAuthnSolidityValidator"), point) == passkey
    expected = Configuration(load_code_hash("MultisigValidator"), b"\x02" + OWNER + VK)
    assert expected == configure_multisig(2, [OWNER, VK]) == configure_multisig(2, [VK, OWNER])
    assert 4 == len({load_code_hash(f"{name}Validator") for name in ("ECDSA", "Multisig", "P256", "WebAuthn")})


@pytest.mark.parametrize(
    "make",
    [
        lambda: configure_ecdsa(OWNER + b"\0"),
        lambda: configure_p256(OWNER),
        lambda: configure_webauthn(OWNER),
        lambda: configure_multisig(0, [OWNER]),
        lambda: configure_multisig(2, [OWNER]),
        lambda: configure_multisig(1, []),
        lambda: configure_multisig(1, [OWNER, OWNER]),
        lambda: configure_multisig(1, [OWNER, OWNER[:-1]]),
        lambda: configure_multisig(1, [number.to_bytes(20, "big") for number in range(1, 257)]),
        lambda: configure_ecdsa(bytes(20)),
        lambda: configure_multisig(1, [OWNER, bytes(20)]),
        lambda: configure_p256(bytes(64)),
        lambda: configure_webauthn(bytes(31) + b"\1" + bytes(31) + b"\1"),
        lambda: configure_p256(b"\xff" * 64),
        lambda: load_code_hash("NoValidator"),
        lambda: encode_p256(b"\x02" * 129),
        lambda: encode_p256(b"\x01" * 128),
        lambda: encode_webauthn(b"\x01" * 300),
        lambda: encode_webauthn(b"\x02" * 130),
        lambda: encode_webauthn(b"\x02" * 129 + b"\x00\x00\x00\x05{}"),
        lambda: encode_webauthn(b"\x02" * 129 + b"\x00\x00\x00\x02{}"),
        lambda: estimate_overhead(3, 1, 20),
        lambda: estimate_overhead(0x82, 1, 20),
        lambda: compute_typed_data_digest(OWNER, 1, SALT, SALT, "nameless"),
        lambda: compute_typed_data_digest(OWNER, 1, SALT, SALT, "(uint256 a)"),
        lambda: encode_typed_data_signature(b"", SALT, SALT, "A(" + "a" * 0xFFFF),
        lambda: compute_user_operation_hash(UserOperation(OWNER, 2**256, b""), OWNER, 1),
        lambda: compute_user_operation_hash(UserOperation(OWNER, -1, b""), OWNER, 1),
        lambda: compute_user_operation_hash(UserOperation(OWNER, 0, b"", call_gas_limit=2**128), OWNER, 1),
    ],
)
def test_what_cannot_be(make: Any) -> None:
    """What no contract would take is refused here, by the same error."""
    with pytest.raises(UsageError):
        make()


def test_assertion() -> None:
    """A passkey's assertion keeps all its bytes, and gains where to look."""
    passkey = Passkey(keccak256(b"passkey"))
    signature = passkey.sign(keccak256(b"digest"))
    encoded = encode_webauthn(signature)
    size = int.from_bytes(encoded[:2], "big")
    client_data = encoded[2 + size : -68]
    challenge, kind = (int.from_bytes(encoded[at : at + 2], "big") for at in (len(encoded) - 68, len(encoded) - 66))
    assert client_data[challenge:].startswith(b'"challenge":"')
    assert client_data[kind:].startswith(b'"type":"webauthn.get"')
    assert signature[65:129] == encoded[-64:]


def test_json_for_bundlers() -> None:
    """Members as ERC-7769 names them; factory and paymaster only where there is one."""
    bare = encode_user_operation_json(UserOperation(OWNER, 5, b"\x01", signature=b"\x02"))
    assert {"factory", "factoryData", "paymaster", "paymasterData"} & set(bare) == set()
    shown = tuple(bare[name] for name in ("sender", "nonce", "callData", "signature"))
    assert ("0x" + OWNER.hex(), "0x5", "0x01", "0x02") == shown
    paymaster = VK + bytes(15) + b"\x07" + bytes(15) + b"\x08" + b"pay"
    full = encode_user_operation_json(UserOperation(OWNER, 5, b"", VK + b"make", paymaster_and_data=paymaster))
    assert ("0x" + VK.hex(), "0x" + b"make".hex()) == (full["factory"], full["factoryData"])
    assert ("0x7", "0x8", "0x" + b"pay".hex()) == tuple(
        full[name] for name in ("paymasterVerificationGasLimit", "paymasterPostOpGasLimit", "paymasterData")
    )


@pytest.mark.parametrize(
    ("mode", "name"),
    [(0, "inclusion"), (1, "exclusion"), (2, "cached"), (0x81, "exclusion, remembered")],
)
def test_estimate(mode: int, name: str) -> None:
    """The estimate is what the contract's tests measured at depth 30: bytes exactly, gas within 2 %, never below."""
    measured = {key: int(value) for key, value in json.loads(SNAPSHOT.read_text()).items()}
    estimate = estimate_overhead(mode, 30, 20)
    assert measured[f"signature bytes: {name}, ECDSA"] == estimate.signature_bytes + 65
    gas = measured[f"validateUserOp, storage cold: {name}, no check"]
    assert gas <= estimate.validation_gas <= gas * 1.02


def test_unknown_code_hash_is_asked_for_twice() -> None:
    """A change to a published validator is made; one to another is refused by name, and made when asked for twice."""
    for name in PUBLISHED_VALIDATORS:
        known = Configuration(load_code_hash(name), b"config")
        assert known.code_hash == make_register(known, SALT).code_hash == make_update(KEY, known, VK).code_hash
    changed = bytearray(load_code_hash("ECDSAValidator"))
    changed[31] ^= 1
    for unknown in (CONFIGURATION, Configuration(bytes(changed), b"config"), Configuration(bytes(32), b"")):
        with pytest.raises(UsageError, match=unknown.code_hash.hex()):
            make_register(unknown, SALT)
        with pytest.raises(UsageError, match="Repeat it with force"):
            make_update(KEY, unknown, VK)
        data = compute_data(unknown)
        assert Register(data[:32], data[32:], SALT) == make_register(unknown, SALT, force=True)
        assert Update(KEY, data[:32], data[32:], VK) == make_update(KEY, unknown, VK, force=True)


def test_recommendation_grows() -> None:
    """Deeper trees and an account that is still to be made need more; memory needs no depth."""

    def limit(mode: int, depth: int, *, creates: bool = False) -> int:
        return recommend_verification_gas_limit(mode, depth, 20, validator_gas=6_000, creates=creates)

    assert limit(0, 10) < limit(0, 30) < limit(1, 30) < limit(0x81, 30) < limit(1, 30, creates=True)
    assert limit(2, 10) == limit(2, 30) < limit(0, 0)


def test_calldata_gas() -> None:
    """A zero costs 4 gas, any other byte 16."""
    assert 0 == compute_calldata_gas(b"")
    assert 2 * 4 + 16 == compute_calldata_gas(b"\0\1\0")


def test_multisig_signatures_ascend() -> None:
    """Signatures stand in the order of their signers' addresses, whatever the order of the keys."""
    keys = [load_private_key(keccak256(bytes((number,)))) for number in range(3)]
    digest = keccak256(b"digest")
    assert smart_account.sign_multisig(keys, digest) == smart_account.sign_multisig(keys[::-1], digest)
    assert 3 * 65 == len(smart_account.sign_multisig(keys, digest))


def test_what_the_entry_point_says() -> None:
    """Why an operation is refused, with what account or factory said; anything else is no such answer."""
    names = {"FailedOp(uint256,string)": (3, "AA24"), "FailedOpWithRevert(uint256,string,bytes)": (0, "AA23", b"inner")}
    answers = []
    for signature, values in names.items():
        types = signature.partition("(")[2].removesuffix(")").split(",")
        answers.append(keccak256(signature.encode())[:4] + abi_encode(types, values))
    assert FailedOperation(3, "AA24", b"") == decode_failed_operation(answers[0])
    assert FailedOperation(0, "AA23", b"inner") == decode_failed_operation(answers[1])
    for bad in (b"", answers[0][:-32], answers[0][:4], b"\0" + answers[0], answers[0] + bytes(1 << 16)):
        with pytest.raises(DecodeError):
            decode_failed_operation(bad)


def test_calls_of_entry_point_and_account() -> None:
    """The bytes that the published interface and the account's own give."""
    account = load_artifact("KeystoreAccount", "apps.keystore.contracts")
    (entry,) = [entry for entry in account.abi if entry.get("name") == "validateUserOp"]
    operation = UserOperation(OWNER, 7, b"call", b"init", 1, 2, 3, 4, 5, b"", b"signature")
    packed = (OWNER, 7, b"init", b"call", word(1, 2), 3, word(4, 5), b"", b"signature")
    expected = get_selector(entry) + abi_encode(get_types(entry["inputs"]), [packed, SALT, 9])
    assert expected == encode_validate_user_op(operation, SALT, 9)
    published = json.loads((install_foundry() / "node_modules" / ENTRY_POINT_ARTIFACT).read_text())
    (entry,) = [entry for entry in published["abi"] if entry.get("name") == "getNonce"]
    assert get_selector(entry) + abi_encode(get_types(entry["inputs"]), [OWNER, 5]) == encode_get_nonce(OWNER, 5)


def word(high: int, low: int) -> bytes:
    """Two numbers of 16 bytes."""
    return high.to_bytes(16, "big") + low.to_bytes(16, "big")
