"""The conformance vectors are what the code makes, and what other readers of them compute.

`tests/foundry/inbox/test/Conformance.t.sol` reads them with solc's own encoder; forge's tests run it.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest
import rlp
from eth_abi import encode
from eth_account.messages import encode_typed_data

import microrollup.explorer
import tickets
from conformance.files import FOLDER, FORMATS, RULES_VERSION, load_cases, locate, render
from microrollup.chain.block_entry import is_block_record
from microrollup.chain.carrier import decode_carrier
from microrollup.chain.envelope_record import decode_envelope_record
from microrollup.chain.receipt import EXECUTED
from microrollup.chain.receipt_proof import decode_receipt
from microrollup.chain.record import DomainConfig, Forced, decode_genesis
from microrollup.chain.upgrade_entry import decode_upgrade
from microrollup.codec.canonical import encode_canonical
from microrollup.crypto import lthash
from microrollup.crypto.keccak import keccak256
from microrollup.crypto.merkle.indexed import Proof, compute_root, compute_tree_key, decode_leaf, is_low_leaf
from microrollup.crypto.merkle.items import ItemProof, verify_item
from microrollup.crypto.signatures import schemes
from microrollup.crypto.signatures.statement import Statement
from microrollup.errors import DecodeError
from microrollup.execution.authentication import Authenticator
from microrollup.execution.entry import decode_forced, decode_kernel_record, make_forced_entry
from microrollup.execution.payload import (
    decode_envelope_payload,
    encode_carried_payload,
    encode_forced_payload,
)
from paths import TESTS
from zoo import zoo

AUTHENTICATOR = Authenticator(zoo.action_types, DomainConfig("zoo", "1", 1, bytes(20)))


def unhex(value: Any) -> Any:
    """The bytes of 0x hex, in lists too."""
    return [unhex(item) for item in value] if isinstance(value, list) else bytes.fromhex(value[2:])


@pytest.mark.parametrize("name", FORMATS)
def test_the_file_is_what_the_code_makes(name: str) -> None:
    """Every byte of the file comes out again; a format that changes says so in a commit of its own.

    If this fails and the change is meant: `python tests/support/conformance`.
    """
    assert render(name) == locate(name).read_text()
    assert RULES_VERSION == json.loads(locate(name).read_text())["version"]


def test_every_file_has_a_format() -> None:
    """No file lies about that nothing makes."""
    assert {f"{name}.json" for name in FORMATS} == {path.name for path in FOLDER.iterdir()}


@pytest.mark.parametrize("case", load_cases("records"), ids=lambda case: case["kind"])
def test_records_decode(case: dict[str, Any]) -> None:
    """Each record decodes to a value that encodes to the same bytes; a byte more is refused."""
    raw, kind = unhex(case["record"]), case["kind"]
    if kind == "genesis":
        assert raw == encode_canonical(decode_genesis(raw))
    elif kind == "block":
        assert is_block_record(raw)
        assert not is_block_record(raw + b"\0")
    elif kind in ("forced", "voided"):
        assert raw == encode_canonical(decode_forced(raw))
        assert (kind == "voided") is decode_forced(raw).voided
    elif kind == "envelope":
        assert case["value"] == ["ticket", "0x" + decode_envelope_record(raw).raw.hex()]
        with pytest.raises(DecodeError):
            decode_envelope_record(raw + b"\0")
    elif kind == "upgrade":
        assert raw == decode_upgrade(raw).record
    elif kind == "signed":
        assert raw == encode_canonical(zoo.action_types.decode_record(raw))
    else:
        assert raw == encode_canonical(decode_kernel_record(raw))


def test_block_entries_have_their_identity() -> None:
    """It is the hash of a word, the rollup's id and the height in 32 bytes."""
    for case in load_cases("block-entries"):
        preimage = b"block" + unhex(case["rollupId"]) + int(case["height"]).to_bytes(32, "big")
        assert unhex(case["actionHash"]) == keccak256(preimage)
        assert is_block_record(unhex(case["record"]))


def test_upgrade_entries_have_their_identity() -> None:
    """It is the hash of a word, the rollup's id, the height and the entry's place, both numbers in 32 bytes."""
    for case in load_cases("upgrade-entries"):
        height, index = (int(case[name]).to_bytes(32, "big") for name in ("height", "index"))
        assert unhex(case["actionHash"]) == keccak256(b"upgrade" + unhex(case["rollupId"]) + height + index)
        step = decode_upgrade(unhex(case["record"]))
        assert (unhex(case["old"]), unhex(case["new"])) == (step.old, step.new)
        assert msgspec.msgpack.encode(["upgrade", step.old, step.new]) == unhex(case["record"])


def test_receipts_decode() -> None:
    """Each receipt decodes to a value that encodes to the same bytes."""
    items = [unhex(case["item"]) for case in load_cases("receipts")]
    assert items == [encode_canonical(decode_receipt(item)) for item in items]


def test_paths_verify() -> None:
    """The path of every item leads to the root, and no other item's does."""
    for case in load_cases("item-trees"):
        items, root = unhex(case["items"]), unhex(case["root"])
        for index, siblings in enumerate(case["siblings"]):
            proof = ItemProof(index, tuple(unhex(siblings)))
            assert proof == verify_item(root, items[index], proof, count=len(items))


def test_set_hashes_add_up() -> None:
    """The lanes follow from the entries, in whatever order they come."""
    lanes = lthash.EMPTY_LANES
    for case in load_cases("set-hashes"):
        removed, added = (
            [(int(entry["field"]), unhex(entry["key"]), unhex(entry["value"])) for entry in reversed(case[group])]
            for group in ("removed", "added")
        )
        lanes = lthash.update_lanes(lanes, removed, added)
        assert unhex(case["metadataRoot"]) == lthash.compute_metadata_root(lanes)


def test_state_trees_prove() -> None:
    """Every leaf's path leads to the root; the low leaf of the absent key is one, and no included key's leaf is."""
    for case in load_cases("state-trees"):
        leaves, root = [decode_leaf(leaf) for leaf in unhex(case["leaves"])], unhex(case["root"])
        for way in (*case["inclusions"], case["exclusion"]):
            index = int(way["leafIndex"])
            assert root == compute_root(Proof(index, leaves[index], tuple(unhex(way["siblings"])), index))
            assert (way is case["exclusion"]) is is_low_leaf(leaves[index], unhex(way["treeKey"]))


def test_map_keys_are_concatenations() -> None:
    """A key is its components one after the other, of 32 bytes each where they are integers; the tree key is of it."""
    for case in load_cases("map-keys"):
        parts = [
            part.encode() if name == "string" else unhex(part) if name[:4] != "uint" else int(part).to_bytes(32, "big")
            for name, part in zip(case["type"].strip("()").split(","), case["components"], strict=True)
        ]
        assert unhex(case["encoded"]) == b"".join(parts)
        assert unhex(case["treeKey"]) == compute_tree_key(int(case["silo"]), unhex(case["encoded"]))


def test_signatures_have_one_stored_form() -> None:
    """Each form gives the stored form and the sender; the stored form of a stored form is itself."""
    for case in load_cases("signatures"):
        digest, signature, stored, sender = (unhex(case[name]) for name in ("digest", "signature", "stored", "sender"))
        assert stored == schemes.canonicalize(signature) == schemes.canonicalize(stored)
        statement = Statement(digest, compute_member_digest=lambda group, digest=digest: keccak256(digest + group))
        assert sender == schemes.recover_sender(statement, stored)


def test_forced_payloads_are_judged() -> None:
    """The queue's first payload is an action, the others are not; each has its identity."""
    statuses = []
    for case in load_cases("forced-queues"):
        forced = Forced(
            int(case["index"]), unhex(case["sender"]), int(case["inclusionBlock"]), unhex(case["payload"]), False
        )
        entry = make_forced_entry(zoo, unhex(case["rollupId"]), forced, AUTHENTICATOR)
        assert unhex(case["identity"]) == entry.action_hash
        statuses.append(entry.status)
        if entry.action is not None:
            assert forced.payload == encode_forced_payload(zoo, entry.action)
    assert [0, 3, 3, 3] == statuses


def test_envelopes_have_their_identity() -> None:
    """It is the hash of a word, the rollup's id, the hash of the name, and the hash that opening gives."""
    for case in load_cases("envelopes"):
        payload = unhex(case["payload"])
        if "openingSteps" in case:
            entry = make_forced_entry(
                tickets.app, bytes(32), Forced(0, bytes(20), 0, payload, False),
                Authenticator.of(tickets.app, tickets.app.make_domain()),
            )  # fmt: skip
            assert (case["opens"], int(case["openingSteps"])) == (entry.action is not None, entry.opening_steps)
            continue
        if "actionHash" not in case:
            with pytest.raises(DecodeError):
                decode_envelope_payload(payload)
            continue
        name, raw = case["name"], unhex(case["raw"])
        assert bytes((2, len(name))) + name.encode() + raw == payload
        assert (name, raw) == decode_envelope_payload(payload)
        assert msgspec.msgpack.encode(["envelope", name, raw]) == unhex(case["record"])
        preimage = b"envelope" + unhex(case["rollupId"]) + keccak256(name.encode()) + unhex(case["hash"])
        assert unhex(case["actionHash"]) == keccak256(preimage)


def test_carried_payloads_are_their_signers() -> None:
    """A payload that decodes gives signer, nonce and action hash; the others are invalid."""
    decoded = 0
    for case in load_cases("carried-payloads"):
        known = case["domain"]
        contract = unhex(known["verifyingContract"])
        domain = DomainConfig(known["name"], known["version"], int(known["chainId"]), contract)
        forced = Forced(0, bytes(20), 0, unhex(case["payload"]), False)
        entry = make_forced_entry(zoo, bytes(32), forced, Authenticator(zoo.action_types, domain))
        assert case["decodes"] is (entry.status == EXECUTED)
        if case["decodes"]:
            decoded += 1
            assert (unhex(case["sender"]), int(case["nonce"])) == (entry.sender, entry.nonce)
            assert unhex(case["actionHash"]) == entry.signed_hash
            assert forced.payload == encode_carried_payload(forced.payload[1:])
    assert decoded == 1


def test_carriers_take_what_follows_them() -> None:
    """The bitmap in a carrier's receipt names, in order, the records that follow it with the next sequence numbers."""
    names = []
    for case in load_cases("carriers"):
        payload, first = unhex(case["payload"]), int(case["firstSeq"])
        records, receipts = ([unhex(each) for each in case[part]] for part in ("records", "receipts"))
        own, *others = [msgspec.msgpack.decode(receipt) for receipt in receipts]
        assert msgspec.msgpack.decode(records[0])[4] == payload
        assert [first + place for place in range(len(records))] == [receipt[0] for receipt in (own, *others)]
        if own[2] != EXECUTED:
            assert (1, []) == (len(records), own[4])
            continue
        ((event, bitmap),) = own[4]
        items = decode_carrier(payload)
        taken = [item for place, item in enumerate(items) if bitmap[place // 8] >> place % 8 & 1]
        assert ("carried", -(-len(items) // 8), records[1:]) == (event, len(bitmap), taken)
        names.append(case["name"])
    assert ["empty", "in order", "in the log already"] == names


def test_keystore_leaves_are_abi_words() -> None:
    """A library's `abi.encode` gives the same leaves, but for the two that are packed; tree keys are of their silos."""
    types = {
        "vault.balances": ["uint256"],
        "vault.axiom_nonces": ["uint256"],
        "vault.tokens": ["uint256"],
        "vault.token_withdrawals": ["address", "address", "uint256"],
        "outbox.intents": ["uint64", "address", "bytes32", "uint64", "uint64", "bytes32"],
        "outbox.delegates": ["bytes32", "bytes32", "uint64", "bytes32"],
        "orders.orders": ["bytes32", "address", "uint256", "uint64", "bytes32", "uint64", "uint8"],
        "orders.fills": ["address", "uint64"],
        "deposits.deposits": ["bytes32"],
        "exits.exits": ["address", "address", "uint64"],
        "texts.texts": ["string"],
    }
    for silo, case in enumerate(load_cases("keystore-plus-leaves")):
        assert silo == int(case["silo"])
        assert unhex(case["treeKey"]) == compute_tree_key(silo, unhex(case["encodedKey"]))
        assert unhex(case["valueHash"]) == keccak256(unhex(case["leaf"]))
        value = case["value"]
        if case["field"] == "keystore.accounts":
            expected = keccak256(unhex(value["data"])) + keccak256(unhex(value["vk"]))
        elif case["field"] == "vault.withdrawals":
            expected = unhex(value["to"]) + int(value["amount"]).to_bytes(32, "big")
        else:
            members = list(value.values()) if isinstance(value, dict) else [value]
            kinds = types[case["field"]]
            readers = {"uint": int, "stri": str}
            plain = [readers.get(kind[:4], unhex)(member) for kind, member in zip(kinds, members, strict=True)]
            expected = encode(kinds, plain)
        assert unhex(case["leaf"]) == expected


def test_keystore_hashes_are_of_abi_words() -> None:
    """A library's `abi.encode`, or the bytes one after the other, give every hash."""
    for case in load_cases("keystore-plus-hashes"):
        members = case["from"]
        if case["what"] == "guardiansHash":
            guardians = [(int(each["kind"]), unhex(each["id"])) for each in members["guardians"]]
            raw = encode(["bytes32", "(uint8,bytes32)[]"], [unhex(members["salt"]), guardians])
        elif case["what"] == "proposal":
            names = ("rollupId", "key", "codeHash", "configHash", "vk", "guardiansHash")
            words = [unhex(members[name]) for name in names]
            words[4] = keccak256(words[4])
            numbers = [int(members["policyNumber"]), int(members["count"])]
            raw = encode(["bytes32"] * 6 + ["uint64"] * 2, [*words, *numbers])
        elif case["what"] == "commitment":
            values = [members["label"], unhex(members["sender"]), unhex(members["secret"])]
            raw = encode(["string", "address", "bytes32"], values)
        elif case["what"] == "namedKey":
            raw = unhex(members["parentNode"]) + keccak256(members["label"].encode())
        elif case["what"] == "orderId":
            words = [unhex(members["rollupId"]), unhex(members["key"])]
            raw = encode(["bytes32", "bytes32", "uint64"], [*words, int(members["count"])])
        elif case["what"] == "fillId":
            kinds = ["bytes32", "address", "uint64", "bytes32", "address", "uint256", "uint64"]
            members = zip(kinds, members.values(), strict=True)
            plain = [int(each) if kind[0] == "u" else unhex(each) for kind, each in members]
            raw = encode(kinds, plain)
        elif case["what"] == "textKey":
            raw = unhex(members["key"]) + members["name"].encode()
        else:
            raw = keccak256(unhex(members["data"])) + keccak256(unhex(members["vk"]))
        assert unhex(case["hash"]) == keccak256(raw), case["what"]


def test_mails_are_canonical_msgpack() -> None:
    """Another library reads and writes them; hashes and guardians are of the bytes that stand there."""
    for case in load_cases("keystore-plus-mails"):
        raw = unhex(case["raw"])
        key, fields, signature, salt = msgspec.msgpack.decode(raw)
        assert raw == msgspec.msgpack.encode([key, fields, signature, salt])
        assert all(field.decode() in case["mail"] for field in fields[:-1])
        assert unhex(case["key"]) == key
        if case["opens"]:
            assert unhex(case["hash"]) == keccak256(raw)
            assert unhex(case["guardian"]) == keccak256(salt + case["action"]["address"].encode())
            assert unhex(case["action"]["keyHash"]) == keccak256(key)


def test_axioms_transactions_are_rlp_and_typed_data() -> None:
    """Two other libraries read their lists and compute what is signed."""
    for case in load_cases("keystore-plus-axiom"):
        raw = unhex(case["raw"])
        if not case["opens"]:
            continue
        start = 34 if raw[1] else 2
        items: list[bytes] = rlp.decode(raw[start:], strict=True)
        assert rlp.encode(items) == raw[start:]
        assert keccak256(raw) == unhex(case["hash"])
        is_update, nonce, user = raw[0] == 2, int.from_bytes(items[0], "big"), items[4]
        message: dict[str, Any] = {"userKeystoreAddress": user, "nonce": nonce, "feePerGas": items[1]}
        if is_update:
            message |= {"newUserData": items[2], "newUserVkey": items[3]}
        else:
            message |= {"to": items[2], "amt": int.from_bytes(items[3], "big")}
        assert unhex(case["userHash"]) == hash_for_axiom("Update" if is_update else "Withdraw", message)
        if "sponsorHash" in case:
            sponsor = rlp.decode(items[9])[0]
            sponsored = (sponsor, unhex(case["userHash"]), user)
            names = ("sponsorKeystoreAddress", "userMsgHash", "userKeystoreAddress")
            assert unhex(case["sponsorHash"]) == hash_for_axiom("Sponsor", dict(zip(names, sponsored, strict=True)))
        if "withdrawalHash" in case:
            assert unhex(case["withdrawalHash"]) == keccak256(user + nonce.to_bytes(32, "big"))


def hash_for_axiom(kind: str, message: dict[str, Any]) -> bytes:
    """The EIP-712 digest by eth_account."""
    kinds = {"nonce": "uint256", "amt": "uint256", "to": "address"}
    dynamic = ("feePerGas", "newUserData", "newUserVkey")
    members = [{"name": name, "type": kinds.get(name, "bytes" if name in dynamic else "bytes32")} for name in message]
    domain = {"name": "AxiomKeystore", "version": "1", "chainId": 999_999_999}
    signable = encode_typed_data(domain, {kind: members}, message)
    return keccak256(b"\x19" + signable.version + signable.header + signable.body)


def test_withdrawals_have_their_ids() -> None:
    """An id is the hash of the account's key and its number in 32 bytes."""
    for case in load_cases("keystore-plus-withdrawals"):
        assert unhex(case["id"]) == keccak256(unhex(case["fromKey"]) + int(case["nonce"]).to_bytes(32, "big"))


def test_the_explorer_computes_the_same() -> None:
    """The page's own JavaScript folds every proof of the vectors and hashes every header."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("needs Node.js")
    explorer = Path(microrollup.explorer.__file__).parent
    script = TESTS / "explorer" / "conformance.mjs"
    shown = subprocess.run(
        [node, str(script), str(FOLDER), str(explorer)], capture_output=True, text=True, check=False, timeout=60
    )
    assert (0, "") == (shown.returncode, shown.stderr[-2_000:])
