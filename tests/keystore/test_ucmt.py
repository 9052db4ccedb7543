"""Trees, updates and signatures for Stackup's interface: the published vectors, and the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest
from eth_abi.abi import encode
from msgspec.structs import replace

from apps.keystore.ucmt import (
    JUDGES,
    ContractReverts,
    RootUpdate,
    compute_account_address,
    compute_update_message,
    configure_cosign,
    configure_ecdsa,
    configure_multisig,
    configure_webauthn,
    encode_account_signature,
    encode_handle_updates,
    encode_node,
    encode_proof,
    fold_proof,
    grow_tree,
    join_nonce,
    judge_update,
    read_update,
    sign_ecdsa,
    sign_multisig,
    split_nonce,
    update_to_json,
    wrap_message,
)
from apps.keystore.ucmt.command import main
from microrollup.crypto.ecdsa import compute_address, load_private_key
from microrollup.crypto.keccak import keccak256
from microrollup.errors import RefusedError, UsageError
from microrollup.testing.passkey import Passkey
from paths import ROOT, VECTORS

VERIFIER: Final = b"\x11" * 20
KEY: Final = load_private_key(b"\x01" * 32)
OTHER_KEY: Final = load_private_key(b"\x02" * 32)
NODE: Final = encode_node(VERIFIER, configure_ecdsa(compute_address(KEY)))
ACCOUNT: Final = b"\xaa" * 20


def parse(text: str) -> bytes:
    """0x-hex."""
    return bytes.fromhex(text[2:])


@pytest.fixture(scope="module")
def vectors() -> dict[str, Any]:
    """What Stackup's contracts and OpenZeppelin's package gave."""
    document: dict[str, Any] = json.loads((VECTORS / "ucmt.json").read_text())
    return document


def make_update(**changes: Any) -> RootUpdate:
    """A signed update that keeps its node."""
    tree, following = [grow_tree([keccak256(NODE), keccak256(name)]) for name in (b"now", b"next")]
    update = RootUpdate(
        ref_hash=tree.root, next_hash=following.root, nonce=join_nonce(7, 0), account=ACCOUNT, proof=tree.prove(0),
        node=NODE, next_proof=following.prove(0),
    )  # fmt: skip
    update = replace(update, **changes)
    return update if "data" in changes else replace(update, data=sign_ecdsa(KEY, compute_update_message(update)))


# --- trees -----------------------------------------------------------------------------------------------------------


def test_trees_are_those_of_openzeppelin(vectors: dict[str, Any]) -> None:
    """Roots, proofs and the whole array of SimpleMerkleTree, for 1 to 9 leaves and Stackup's example."""
    for case in vectors["trees"]:
        tree = grow_tree([parse(leaf) for leaf in case["leaves"]])
        assert case["root"] == "0x" + tree.root.hex()
        assert [parse(sibling) for sibling in case["lastProof"]] == list(tree.prove(len(tree.leaves) - 1))
    example = vectors["exampleTree"]
    tree = grow_tree([keccak256(parse(node)) for node in example["nodes"]])
    assert example["dump"] == tree.dump()
    assert example["proofs"] == [["0x" + sibling.hex() for sibling in tree.prove(index)] for index in range(4)]
    for which in ("first", "second"):
        tree = grow_tree([keccak256(parse(node)) for node in vectors[which]["nodes"]])
        assert parse(vectors[which]["root"]) == tree.root


@pytest.mark.parametrize("size", range(1, 20))
def test_every_leaf_is_proven(size: int) -> None:
    """Every leaf folds to the root, in any order of the leaves; another leaf, or one sibling less, does not."""
    leaves = [keccak256(bytes((index,))) for index in range(size)]
    tree = grow_tree(leaves)
    assert tree.root == grow_tree(leaves[::-1]).root
    for index, leaf in enumerate(leaves):
        proof = tree.prove(index)
        assert tree.root == fold_proof(leaf, proof)
        assert tree.root != fold_proof(keccak256(leaf), proof)
        assert not proof or tree.root != fold_proof(leaf, proof[:-1])


def test_trees_that_are_refused() -> None:
    """No leaves, leaves of another size, a leaf that is not there."""
    for leaves in ([], [b"short"], [bytes(32), bytes(33)]):
        with pytest.raises(UsageError):
            grow_tree(leaves)
    with pytest.raises(UsageError, match="no leaf 1"):
        grow_tree([bytes(32)]).prove(1)
    assert () == grow_tree([bytes(32)]).prove(0)


# --- nodes and addresses ---------------------------------------------------------------------------------------------


def test_configs_are_abi_encodings() -> None:
    """Each config is what `abi.encode` gives; owners are sorted."""
    first, second = b"\x01" * 20, b"\x02" * 20
    point = b"\x03" * 32 + b"\x04" * 32
    assert encode(["uint8", "address[]"], [1, [first, second]]) == configure_multisig(1, [second, first])
    assert point == configure_webauthn(point)
    assert encode(["address", "bytes32", "bytes32"], [first, point[:32], point[32:]]) == configure_cosign(first, point)
    assert encode(["bytes32[]"], [[point[:32]]]) == encode_proof([point[:32]])
    expected = encode(["bytes", "bytes", "bytes"], [encode_proof([]), b"node", b"data"])
    assert expected == encode_account_signature((), b"node", b"data")
    assert encode(["bytes", "bytes", "bytes"], [b"", b"hash", b""]) == encode_account_signature(None, b"hash", b"")


def test_configs_that_are_refused() -> None:
    """What the verifiers would revert for is refused when it is made."""
    owner = b"\x01" * 20
    for threshold, owners in ((0, [owner]), (2, [owner]), (1, [owner, owner]), (1, [b"short"]), (1, [])):
        with pytest.raises(UsageError):
            configure_multisig(threshold, owners)
    owners = [bytes((1, index)) + bytes(18) for index in range(256)]
    assert configure_multisig(255, owners[:255])
    for attempt in (
        lambda: configure_multisig(1, owners),
        lambda: configure_ecdsa(bytes(19)),
        lambda: configure_webauthn(bytes(63)),
        lambda: configure_cosign(bytes(21), bytes(64)),
        lambda: encode_node(bytes(20), b""),
    ):
        with pytest.raises(UsageError):
            attempt()


def test_account_addresses(vectors: dict[str, Any]) -> None:
    """The addresses that Stackup's factory computes."""
    given = vectors["addresses"]
    words = [parse(given[name]) for name in ("factory", "implementation", "refHash")]
    for salt, address in given["by_salt"].items():
        assert parse(address) == compute_account_address(words[0], words[1], words[2], int(salt))


# --- updates ---------------------------------------------------------------------------------------------------------


def test_messages_and_signatures(vectors: dict[str, Any]) -> None:
    """Messages with and without a chain id, EIP-191's hash, and the signatures of both nodes."""
    first, second = vectors["messages"]
    key, next_key = [load_private_key(parse(secret)) for secret in vectors["keys"][:2]]
    nodes = [parse(node) for node in vectors["first"]["nodes"]]
    update = RootUpdate(
        ref_hash=parse(first["refHash"]), next_hash=parse(first["nextHash"]), nonce=first["nonce"],
        account=parse(first["account"]), proof=(), node=nodes[0], next_proof=(), next_node=nodes[1],
    )  # fmt: skip
    message = compute_update_message(update, 1)
    assert parse(first["message"]) == message == compute_update_message(update, 2)
    assert parse(first["eth_signed_hash"]) == wrap_message(message)
    assert parse(first["sig_node"]) == sign_ecdsa(key, message)
    assert parse(first["sig_nextNode"]) == sign_ecdsa(next_key, message)
    assert message == compute_update_message(replace(update, proof=None, node=keccak256(nodes[0])))
    update = replace(
        update, next_hash=parse(second["nextHash"]), nonce=second["nonce"], use_chain_id=True, node=nodes[1],
        next_node=b"",
    )  # fmt: skip
    assert parse(second["message"]) == compute_update_message(update, second["chainId"])
    assert parse(second["message"]) != compute_update_message(update, 2)


def test_calldata(vectors: dict[str, Any]) -> None:
    """Stackup's calldata of the good rotation, byte for byte."""
    (case,) = [case for case in vectors["updates"] if case["name"].startswith("OK: rotate")]
    first, second = vectors["first"], vectors["second"]
    update = RootUpdate(
        ref_hash=parse(first["root"]), next_hash=parse(second["root"]), nonce=join_nonce(7, 0),
        account=parse(vectors["account"]), proof=tuple(map(parse, first["proofs"][0])), node=parse(first["nodes"][0]),
        next_proof=tuple(map(parse, second["proofs"][0])), next_node=parse(second["nodes"][0]),
    )  # fmt: skip
    message = compute_update_message(update)
    key, next_key = [load_private_key(parse(secret)) for secret in vectors["keys"][:2]]
    update = replace(update, data=sign_ecdsa(key, message), next_data=sign_ecdsa(next_key, message))
    assert case["calldata"] == "0x" + encode_handle_updates([update]).hex()
    assert judge_update(update, {update.node[:20]: JUDGES["ecdsa"]})
    assert (7, 5) == split_nonce(join_nonce(7, 5))


def test_json_and_back() -> None:
    """An update survives JSON, proven or registered; members that may be left out are."""
    for update in (make_update(), make_update(proof=None, node=keccak256(NODE), use_chain_id=True)):
        assert update == read_update(json.loads(json.dumps(update_to_json(update))))
    document = update_to_json(make_update())
    for name in ("useChainId", "data", "nextNode", "nextData"):
        del document[name]
    assert make_update(data=b"") == read_update(document)


@pytest.mark.parametrize(
    "change",
    [
        {"refHash": "0x00"}, {"account": "0x"}, {"nonce": -1}, {"nonce": str(1 << 256)}, {"nonce": "0x1"},
        {"nonce": True}, {"nonce": "9" * 79}, {"useChainId": 1}, {"proof": "0x"}, {"proof": ["0x00"]},
        {"proof": ["0x" + "00" * 32] * 257}, {"nextProof": None}, {"data": 5}, {"node": "11"}, {"more": 1},
        {"proof": None},
    ],
)  # fmt: skip
def test_json_that_is_refused(change: dict[str, Any]) -> None:
    """One member otherwise: refused. So is one that is missing, and what is not an object."""
    document = update_to_json(make_update())
    assert make_update() == read_update(document)
    with pytest.raises(RefusedError):
        read_update({**document, **change})
    for bad in ({name: value for name, value in document.items() if name != "nextProof"}, [], "update"):
        with pytest.raises(RefusedError):
            read_update(bad)


def judge(update: RootUpdate, **more: Any) -> str | bool:
    """The verdict: yes, no, or the error's name."""
    try:
        return judge_update(update, {VERIFIER: JUDGES["ecdsa"]}, **more)
    except ContractReverts as error:
        return error.reason


def test_verdicts() -> None:
    """Each step of the contract, with the adjacent case that it takes."""
    good = make_update()
    assert judge(good) is True
    assert judge(replace(good, data=sign_ecdsa(OTHER_KEY, compute_update_message(good)))) is False
    assert "InvalidNonce" == judge(good, sequence=1)
    assert "InvalidProof" == judge(replace(good, proof=())) == judge(good, root=bytes(32))
    assert "InvalidNextProof" == judge(replace(good, next_proof=()))
    assert "InvalidSignature" == judge(replace(good, data=b"short"))
    cached = replace(good, proof=None, node=keccak256(NODE))
    assert "UnregisteredProof" == judge(cached) == judge(cached, registered=NODE + b"\0")
    assert judge(cached, registered=NODE) is True
    for node, reason in ((bytes(19), "InvalidNode"), (bytes(20), "InvalidVerifier"), (b"\x12" * 20, "")):
        bad = replace(good, node=node, proof=(), ref_hash=keccak256(node))
        assert reason == judge(bad)
    high = bytearray(good.data)
    high[64] = 29
    assert "InvalidSignature" == judge(replace(good, data=bytes(high)))


def test_signers_that_are_refused() -> None:
    """A key that is not an owner's signs for no multisig."""
    with pytest.raises(UsageError, match="is not an owner"):
        sign_multisig([KEY], [b"\x01" * 20], bytes(32))


# --- the command line ------------------------------------------------------------------------------------------------


def run(capsys: pytest.CaptureFixture[str], *arguments: object, code: int = 0) -> dict[str, Any]:
    """A command's JSON object."""
    assert code == main([str(argument) for argument in (*arguments, "--json")])
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    return document


def test_tree_and_prove(capsys: pytest.CaptureFixture[str], vectors: dict[str, Any]) -> None:
    """Both commands give the published tree; so does the table for people."""
    example = vectors["exampleTree"]
    shown = run(capsys, "tree", *example["nodes"])
    assert (example["root"], example["dump"]) == (shown["root"], shown["dump"])
    assert example["proofs"] == [row["proof"] for row in shown["nodes"]]
    proven = run(capsys, "prove", *example["nodes"], "--index", 2)
    assert (example["leaves"][2], example["proofs"][2]) == (proven["leaf"], proven["proof"])
    assert "0x" + encode_proof([parse(word) for word in example["proofs"][2]]).hex() == proven["encoded"]
    assert 0 == main(["tree", *example["nodes"]])
    assert example["root"] in capsys.readouterr().out
    for bad in (["tree"], ["tree", "0x00"], ["tree", "11" * 20], ["prove", *example["nodes"], "--index", "4"]):
        assert 2 == main(bad)


def write(path: Path, document: Any) -> Path:
    """A JSON file."""
    path.write_text(json.dumps(document))
    return path


@pytest.mark.parametrize("kind", ["ecdsa", "multisig", "webauthn", "cosign"])
def test_sign_and_verify(capsys: pytest.CaptureFixture[str], tmp_path: Path, kind: str) -> None:
    """For each verifier: sign an update, for the next node too, then verify it; a change afterwards is refused."""
    passkey = Passkey(b"\x07" * 32)
    owners = [compute_address(KEY), compute_address(OTHER_KEY)]
    config = {
        "ecdsa": configure_ecdsa(owners[0]),
        "multisig": configure_multisig(2, owners),
        "webauthn": configure_webauthn(passkey.point),
        "cosign": configure_cosign(owners[0], passkey.point),
    }[kind]
    keys = [tmp_path / "one.key", tmp_path / "two.key"]
    for path, secret in zip(keys, (b"\x01" * 32, b"\x02" * 32), strict=True):
        path.write_text(secret.hex())
    node = encode_node(VERIFIER, config)
    update = make_update(node=node, ref_hash=keccak256(node), proof=(), data=b"")
    update = replace(update, next_node=node, next_hash=keccak256(node), next_proof=())
    file = write(tmp_path / "update.json", update_to_json(update))
    challenge = run(capsys, "sign", file, "--kind", kind)["challenge"]
    given = passkey.get_assertion(challenge)
    assertion = write(
        tmp_path / "assertion.json",
        {
            "authenticatorData": "0x" + given.authenticator_data.hex(),
            "clientDataJSON": "0x" + given.client_data_json.hex(),
            "signature": "0x" + given.signature.hex(),
        },
    )
    signers: list[object] = {
        "ecdsa": ["--key", keys[0]],
        "multisig": ["--key", keys[1], "--key", keys[0]],
        "webauthn": ["--assertion", assertion],
        "cosign": ["--key", keys[0], "--assertion", assertion],
    }[kind]
    verify = ["verify", file, "--verifier", f"{kind}=0x{VERIFIER.hex()}"]
    assert not run(capsys, *verify, code=1)["success"]
    for more in ([], ["--next"]):
        write(file, run(capsys, "sign", file, "--kind", kind, *signers, *more))
    shown = run(capsys, *verify)
    assert (True, False, "") == (shown["success"], shown["reverts"], shown["reason"])
    signed = json.loads(file.read_text())["update"]
    assert "0x" + encode_handle_updates([read_update(signed)]).hex() == shown["calldata"]
    write(file, {**signed, "nonce": str(join_nonce(8, 0))})
    shown = run(capsys, *verify, code=1)
    assert (False, False) == (shown["success"], shown["reverts"])
    assert run(capsys, *verify, "--sequence", 1, code=1)["reason"].startswith("InvalidNonce")


def test_sign_refuses(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Signers of another kind, a node that is not there, files that are not updates: one sentence, exit code 2."""
    key = tmp_path / "one.key"
    key.write_text((b"\x01" * 32).hex())
    file = write(tmp_path / "update.json", update_to_json(make_update()))
    assert run(capsys, "sign", file, "--kind", "ecdsa", "--key", key)["data"] == "0x" + make_update().data.hex()
    cached = write(tmp_path / "cached.json", update_to_json(make_update(proof=None, node=keccak256(NODE))))
    signed = run(capsys, "sign", cached, "--kind", "ecdsa", "--key", key, "--registered", "0x" + NODE.hex())
    assert "0x" + make_update().data.hex() == signed["data"]
    bad = write(tmp_path / "bad.json", {"refHash": "0x"})
    for arguments in (
        ["sign", file, "--kind", "webauthn", "--key", key],
        ["sign", file, "--kind", "ecdsa", "--key", key, "--key", key],
        ["sign", file, "--kind", "multisig", "--key", key],
        ["sign", file, "--kind", "cosign", "--key", key],
        ["sign", file, "--kind", "ecdsa", "--key", key, "--next"],
        ["sign", cached, "--kind", "ecdsa", "--key", key],
        ["sign", bad, "--kind", "ecdsa"],
        ["sign", key, "--kind", "ecdsa"],
        ["verify", file, "--verifier", "ecdsa"],
        ["verify", file, "--verifier", "other=0x" + VERIFIER.hex()],
        ["verify", file, "--verifier", "ecdsa=0x00"],
    ):
        assert 2 == main([str(argument) for argument in arguments])
        assert 1 == capsys.readouterr().err.count("error: ")


def test_without_an_ethereum_client() -> None:
    """Trees and signatures need none; the others say what to install."""
    code = (
        "import sys; sys.modules['rlp'] = None\n"
        "from apps.keystore.ucmt.command import main\n"
        f"print([main(each) for each in (['tree', '0x{NODE.hex()}'], ['--help'], ['relay', '--once'], ['deploy'])])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "[0, 0, 2, 2]" == done.stdout.splitlines()[-1]
    assert 2 == done.stderr.count("pip install 'microrollup[ethereum]'")
