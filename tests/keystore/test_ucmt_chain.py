"""Stackup's interface on a real EVM: what Python makes and judges, the contracts take and judge alike."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any, Final

import pytest
from eth_abi.abi import decode
from msgspec.structs import replace

import microrollup.testing.anvil
from apps.keystore.ucmt import (
    JUDGES,
    ContractReverts,
    RootUpdate,
    compute_update_message,
    configure_cosign,
    configure_ecdsa,
    configure_multisig,
    configure_webauthn,
    encode_cosigned,
    encode_handle_updates,
    encode_node,
    encode_proof,
    encode_webauthn,
    grow_tree,
    join_nonce,
    judge_update,
    sign_ecdsa,
    sign_multisig,
)
from contract_calls import Contract, Reverted
from l1_fixtures import Anvil, find_tool, run_anvil
from microrollup.contracts import load_artifact
from microrollup.crypto.ecdsa import compute_address, load_private_key
from microrollup.crypto.keccak import keccak256
from microrollup.crypto.signatures.webauthn import compute_challenge
from microrollup.testing.passkey import Passkey
from paths import VECTORS
from waiting import wait_for

PACKAGE: Final = "apps.keystore.contracts.ucmt"
KEYS: Final = [load_private_key(bytes((number,)) * 32) for number in range(1, 6)]
OWNERS: Final = sorted(compute_address(key) for key in KEYS)
PASSKEY: Final = Passkey(b"\x07" * 32)
MESSAGE: Final = keccak256(b"message")
ARTIFACTS: Final = {
    "ecdsa": "UcmtEcdsaVerifier",
    "multisig": "UcmtMultisigVerifier",
    "webauthn": "UcmtWebAuthnVerifier",
    "cosign": "UcmtWebAuthnCosignVerifier",
}
UNDECLARED: Final[dict[bytes, dict[str, Any]]] = {
    keccak256(b"InvalidSignature()")[:4]: {"name": "InvalidSignature", "inputs": []},
    keccak256(b"Panic(uint256)")[:4]: {"name": "", "inputs": [{"name": "code", "type": "uint256"}]},
}
"""Errors that no ABI names: Solady's, and the compiler's for a length that memory has no room for."""


def assert_challenge(message: bytes) -> bytes:
    """What the passkey answers."""
    given = PASSKEY.get_assertion(compute_challenge(message))
    return encode_webauthn(PASSKEY.point, given.authenticator_data, given.client_data_json, given.signature)


def configure(kind: str) -> bytes:
    """The config of the test's keys."""
    return {
        "ecdsa": configure_ecdsa(compute_address(KEYS[0])),
        "multisig": configure_multisig(2, OWNERS),
        "webauthn": configure_webauthn(PASSKEY.point),
        "cosign": configure_cosign(compute_address(KEYS[0]), PASSKEY.point),
    }[kind]


def sign(kind: str, message: bytes) -> bytes:
    """The data of the test's keys."""
    match kind:
        case "ecdsa":
            return sign_ecdsa(KEYS[0], message)
        case "multisig":
            return sign_multisig(KEYS[1:3], OWNERS, message)
        case "webauthn":
            return assert_challenge(message)
        case _:
            return encode_cosigned(sign_ecdsa(KEYS[0], message), assert_challenge(message))


class Stage:
    """A keystore with its verifiers."""

    def __init__(self, anvil: Anvil) -> None:
        self.anvil = anvil
        self.sender: str = anvil.call("eth_accounts")[0]
        self.keystore = Contract.deploy(anvil, load_artifact("UserConfigKeystore", PACKAGE), [], self.sender)
        self.verifiers = {
            kind: Contract.deploy(anvil, load_artifact(name, PACKAGE), [self.keystore.address], self.sender)
            for kind, name in ARTIFACTS.items()
        }
        for contract in (self.keystore, *self.verifiers.values()):
            contract.errors |= UNDECLARED
        self.judges = {bytes.fromhex(self.verifiers[kind].address[2:]): JUDGES[kind] for kind in ARTIFACTS}

    def make_node(self, kind: str) -> bytes:
        """The test's keys under a verifier."""
        return encode_node(bytes.fromhex(self.verifiers[kind].address[2:]), configure(kind))

    def send_updates(self, calldata: bytes) -> str | bool:
        """The error's name, or what the one event says."""
        transaction = {
            "from": self.sender,
            "to": self.keystore.address,
            "data": "0x" + calldata.hex(),
            "gas": hex(10**7),
        }
        answer = self.keystore._call(transaction, {})
        if isinstance(answer, Reverted):
            return str(answer.name)
        digest = self.anvil.call("eth_sendTransaction", transaction)
        receipt: dict[str, Any] = wait_for(lambda: self.anvil.call("eth_getTransactionReceipt", digest))
        (log,) = receipt["logs"]
        return bool(decode(["uint256", "bool"], bytes.fromhex(log["data"][2:]))[1])


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    """An EVM with the P-256 precompile."""
    with run_anvil("--hardfork", "osaka") as anvil:
        yield Stage(anvil)


def predict(stage: Stage, update: RootUpdate, **more: Any) -> str | bool:
    """Python's verdict, in the words of `send_updates`."""
    try:
        return judge_update(update, stage.judges, **more)
    except ContractReverts as error:
        return error.reason


def judge(kind: str, case: tuple[bytes, bytes, bytes]) -> str | bool:
    """Python's verdict on (message, data, config): yes, no, or the error's name."""
    try:
        return JUDGES[kind](*case)
    except ContractReverts as error:
        return error.reason


@pytest.mark.parametrize("kind", list(ARTIFACTS))
def test_each_verifier(stage: Stage, kind: str) -> None:
    """What Python signs the verifier takes; of damaged bytes, Python accepts none that the verifier does not.

    The verifiers follow encodings that `abi.encode` does not give, such as dirty padding; Python refuses those. Of
    plain ECDSA signatures, which have no encoding, verdicts and errors are equal.
    """
    draw = random.Random(kind)
    config, data, contract = configure(kind), sign(kind, MESSAGE), stage.verifiers[kind]
    assert Reverted("NotFromKeystore", {}) == contract.call("validateData", MESSAGE, data, config)
    cases = [(MESSAGE, data, config), (keccak256(b"other"), data, config), (MESSAGE, b"", config)]
    for _ in range(24):
        damaged = bytearray(data)
        damaged[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
        cases.append((MESSAGE, bytes(damaged), config))
    outcomes = []
    for case in cases:
        answer = contract.call("validateData", *case, sender=stage.keystore.address)
        outcomes.append((judge(kind, case), answer.name if isinstance(answer, Reverted) else answer == (0,)))
    assert [(True, True), (False, False)] == outcomes[:2]
    assert [] == [outcome for outcome in outcomes if outcome[0] is True and outcome[1] is not True]
    assert outcomes.count((True, True)) < len(outcomes) // 2
    if kind == "ecdsa":
        assert [] == [outcome for outcome in outcomes if outcome[0] != outcome[1]]


def make_updates(stage: Stage, kind: str, next_kind: str, account: bytes) -> list[RootUpdate]:
    """A rotation from one node to another, signed; then variants with one thing changed."""
    draw = random.Random(f"{kind} {next_kind}")
    node, next_node = stage.make_node(kind), stage.make_node(next_kind)
    tree = grow_tree([keccak256(node), *[draw.randbytes(32) for _ in range(draw.randrange(7))]])
    following = grow_tree([*[draw.randbytes(32) for _ in range(draw.randrange(7))], keccak256(next_node)])
    update = RootUpdate(
        ref_hash=tree.root, next_hash=following.root, nonce=join_nonce(draw.randrange(1 << 192), 0), account=account,
        proof=tree.prove(0), node=node, next_proof=following.prove(len(following.leaves) - 1), next_node=next_node,
    )  # fmt: skip
    message = compute_update_message(update)
    good = replace(update, data=sign(kind, message), next_data=sign(next_kind, message))
    other = keccak256(b"other")
    return [
        replace(good, nonce=good.nonce + 1),
        replace(good, proof=(*tree.prove(0), other)),
        replace(good, next_proof=(*good.next_proof, other)),
        replace(good, next_node=b""),
        replace(good, data=sign(kind, other)),
        replace(good, next_data=sign(next_kind, other)),
        replace(good, use_chain_id=True),
        replace(good, account=bytes(reversed(account))),
        replace(good, proof=None, node=keccak256(node)),
        good,
        good,
    ]


@pytest.mark.parametrize(("kind", "next_kind"), list(zip(ARTIFACTS, [*list(ARTIFACTS)[1:], "ecdsa"], strict=True)))
def test_rotations(stage: Stage, kind: str, next_kind: str) -> None:
    """A rotation between each two kinds: every variant gets Python's verdict, the good one moves the root, once."""
    account = keccak256(kind.encode())[:20]
    *bad, good, again = make_updates(stage, kind, next_kind, account)
    for update in bad:
        verdict = predict(stage, update)
        assert verdict is not True
        assert verdict == stage.send_updates(encode_handle_updates([update]))
    assert (good.ref_hash,) == stage.keystore.call("getRootHash", good.ref_hash, account)
    assert predict(stage, good) is True
    assert stage.send_updates(encode_handle_updates([good])) is True
    assert (good.next_hash,) == stage.keystore.call("getRootHash", good.ref_hash, account)
    key = good.nonce >> 64
    assert (good.nonce + 1,) == stage.keystore.call("getNonce", good.ref_hash, account, key)
    assert "InvalidNonce" == predict(stage, again, sequence=1) == stage.send_updates(encode_handle_updates([again]))


def test_registered_node_and_chain_id(stage: Stage) -> None:
    """One signature serves a proven and a registered node; with useChainId it is of this chain alone."""
    node = stage.make_node("ecdsa")
    tree = grow_tree([keccak256(node), keccak256(b"one")])
    following = grow_tree([keccak256(node), keccak256(b"two")])
    account = bytes.fromhex(stage.sender[2:])
    update = RootUpdate(
        ref_hash=tree.root, next_hash=following.root, nonce=0, use_chain_id=True, account=account,
        proof=tree.prove(0), node=node, next_proof=following.prove(0),
    )  # fmt: skip
    chain_id = int(stage.anvil.call("eth_chainId"), 16)
    foreign = replace(update, data=sign("ecdsa", compute_update_message(update, chain_id + 1)))
    assert predict(stage, foreign, chain_id=chain_id) is False
    assert stage.send_updates(encode_handle_updates([foreign])) is False
    own = replace(update, data=sign("ecdsa", compute_update_message(update, chain_id)))
    cached = replace(own, proof=None, node=keccak256(node))
    assert "UnregisteredProof" == predict(stage, cached, chain_id=chain_id)
    assert "UnregisteredProof" == stage.send_updates(encode_handle_updates([cached]))
    stage.keystore.send("registerNode", tree.root, list(tree.prove(0)), node, sender=stage.sender)
    assert predict(stage, cached, chain_id=chain_id, registered=node) is True
    assert stage.send_updates(encode_handle_updates([cached])) is True
    assert (b"",) == stage.keystore.call("getRegisteredNode", tree.root, account, keccak256(node))


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8, 9, 33])
def test_trees_of_any_size(stage: Stage, size: int) -> None:
    """The contract takes the proof of every node of a tree of this size, and of none that is not in it."""
    verifier = bytes.fromhex(stage.verifiers["ecdsa"].address[2:])
    owner = configure_ecdsa(compute_address(KEYS[0]))
    nodes = [encode_node(verifier, owner + bytes((index,))) for index in range(size)]
    tree = grow_tree([keccak256(node) for node in nodes])
    data = sign("ecdsa", MESSAGE)
    for index, node in enumerate(nodes):
        proof = encode_proof(tree.prove(index))
        assert (0,) == stage.keystore.call("validate", (tree.root, MESSAGE, proof, node, data))
        wrong = stage.keystore.call("validate", (tree.root, MESSAGE, proof, node + b"\0", data))
        assert Reverted("InvalidProof", {}) == wrong


def test_stackups_own_updates() -> None:
    """Calldata that Stackup's contracts were sent has the same outcome here: 14 updates, of which 9 revert."""
    vectors = json.loads((VECTORS / "ucmt.json").read_text())
    with microrollup.testing.anvil.run_anvil([find_tool("anvil")], chain_id=1) as anvil:
        stage = Stage(anvil)
        anvil.call("anvil_setCode", vectors["keystore"], anvil.call("eth_getCode", stage.keystore.address, "latest"))
        stage.keystore.address = vectors["keystore"]
        for name in ("ecdsa", "multisig"):
            artifact = load_artifact(ARTIFACTS[name], PACKAGE)
            contract = Contract.deploy(anvil, artifact, [vectors["keystore"]], stage.sender)
            code = anvil.call("eth_getCode", contract.address, "latest")
            anvil.call("anvil_setCode", vectors[f"{name}Verifier"], code)
        outcomes = [stage.send_updates(bytes.fromhex(case["calldata"][2:])) for case in vectors["updates"]]
        account = bytes.fromhex(vectors["account"][2:])
        ref_hash = bytes.fromhex(vectors["first"]["root"][2:])
        assert ((7 << 64) + 2,) == stage.keystore.call("getNonce", ref_hash, account, 7)
        inner = vectors["innerNode"]
        words = [bytes.fromhex(word[2:]) for word in inner["proof"]]
        stage.keystore.send("registerNode", ref_hash, words, bytes.fromhex(inner["node"][2:]), sender=stage.sender)
    expected = [case["reverts"] or case["success"] for case in vectors["updates"]]
    assert expected == outcomes
