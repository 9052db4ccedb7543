"""JSON-RPC over HTTP: every method answers from the app's declaration alone, and what is answered holds."""

import json
from contextlib import closing
from http.client import HTTPConnection
from typing import get_args

import msgspec
import pytest

from kernel_fixtures import make_key
from microrollup.chain.acknowledgement import acknowledgement_from_json, verify_acknowledgement
from microrollup.chain.block import Header, compute_block_hash, compute_rollup_id
from microrollup.chain.export import decode_block
from microrollup.chain.receipt_proof import check_receipt_proof, receipt_proof_from_json
from microrollup.chain.record import decode_genesis
from microrollup.codec.document import compile_form
from microrollup.crypto.ecdsa import compute_address, load_private_key
from microrollup.crypto.keccak import keccak256
from microrollup.crypto.merkle.indexed import Leaf, Proof, compute_tree_key, verify_exclusion, verify_inclusion
from microrollup.errors import DuplicateAction
from microrollup.node.options import NodeOptions
from microrollup.node.runtime import Node
from microrollup.node.writer import WriterOptions
from microrollup.rpc.methods import make_methods
from microrollup.rpc.openrpc import describe_openrpc
from microrollup.rpc.params import SubscribeParams
from microrollup.settlement.batch import decode_batch
from node_fixtures import FAST, Site, to_line
from waiting import wait_for

ALICE = compute_address(make_key("alice"))
OPEN_BLOCKS = NodeOptions(timing=WriterOptions(block_seconds=60, gap_seconds=0.3, poll_seconds=60))


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    return Site(tmp_path_factory.mktemp("site"))


@pytest.fixture(scope="module")
def caller(site):
    """A node with three blocks: two edits, a rejected one, and one of another sender."""
    with site.serve(options=NodeOptions(block_size=2, timing=WriterOptions(0.05, 0.3, 60))) as caller:
        caller.acks = [answer["ack"] for answer in caller.submit(*make_lines(site))]
        wait_for_height(caller, 3)
        yield caller


def make_lines(site):
    from zoo import Edit

    return [
        site.line(("set_ticket", 5, 50), ("count", 0, 3)),
        site.line(("set_ticket", 5, 51), ("set_animal", 1, 2**60), ("set_note", 9, 9)),
        to_line(site, site.signer.sign(Edit([], reject=True), "alice")),
        site.line(("delete_ticket", 5, 0), ("delete_ticket", 1, 0), name="bob"),
        site.line(("set_guard", 3, 4), name="bob"),
    ]


def wait_for_height(caller, height):
    wait_for(lambda: caller.call("height")["latest"] >= height)


def check(schema, value, components, where="$"):
    """A value against the part of JSON Schema that the document uses."""
    if "$ref" in schema:
        return check(components[schema["$ref"].removeprefix("#/components/schemas/")], value, components, where)
    if "anyOf" in schema:
        failures = []
        for option in schema["anyOf"]:
            try:
                return check(option, value, components, where)
            except AssertionError as failure:
                failures.append(str(failure))
        raise AssertionError(f"{where}: {failures}")
    kinds = {
        "object": dict, "array": list, "string": str, "boolean": bool, "integer": int, "number": (int, float),
        "null": type(None),
    }  # fmt: skip
    if "type" in schema:
        assert isinstance(value, kinds[schema["type"]]), f"{where}: {value!r} is no {schema['type']}"
    if "enum" in schema:
        assert value in schema["enum"], f"{where}: {value!r}"
    if "pattern" in schema:
        import re

        assert re.search(schema["pattern"], value), f"{where}: {value!r}"
    for name in schema.get("required", ()):
        assert name in value, f"{where} lacks {name}"
    for name, inner in schema.get("properties", {}).items():
        if name in value:
            check(inner, value[name], components, f"{where}.{name}")
    for item in value if "items" in schema else ():
        check(schema["items"], item, components, f"{where}[]")
    if schema.get("additionalProperties") is False:
        assert value.keys() <= schema["properties"].keys(), where
    return None


# What methods answer


def test_acknowledgements_are_the_operators(caller):
    """Each action has an acknowledgement that the builder of the config signed, with its seq, height and outcome."""
    config = caller.call("config")
    for seq, document in enumerate(caller.acks):
        signed = acknowledgement_from_json(document)
        verify_acknowledgement(
            signed, bytes.fromhex(config["builder"][2:]), chain_id=config["l1ChainId"], inbox=bytes(20)
        )
        assert (seq, seq // 2 + 1) == (signed.seq, signed.height)
    assert ["executed", "executed", "rejected", "executed", "executed"] == [ack["status"] for ack in caller.acks]


def test_events_have_their_members(caller):
    """Events in an acknowledgement, in a receipt and in a receipt's proof are shown by name and members; the bytes that
    are signed stand beside them.
    """
    ack = caller.acks[1]
    assert [("Edited", {"steps": 3})] == [(event["name"], event["fields"]) for event in ack["events"]]
    assert ack["events"] == caller.call("getReceipt", seq=1)["events"]
    assert ack == caller.call("getReceiptProof", hash=ack["actionHash"])["ack"]
    bare = [{name: event[name] for name in ("name", "data")} for event in ack["events"]]
    assert acknowledgement_from_json(ack) == acknowledgement_from_json(ack | {"events": bare})


def test_config_has_the_types_of_events(caller):
    """Whoever has no Python code of the app reads its events by the types that the node serves."""
    (edited,) = [event for event in caller.call("config")["events"] if event["name"] == "Edited"]
    assert {"Edited": [{"name": "steps", "type": "uint32"}]} == edited["types"]


def test_a_known_action_gets_its_first_answer(site, caller):
    """Submitting again gives the very same acknowledgement; another action with the nonce is refused with its code."""
    line = to_line(site, site.signer.sign(make_edit(77), "carol"))
    first = caller.call("submitAction", action=msgspec.Raw(line))
    assert first == caller.call("submitAction", action=msgspec.Raw(line))
    assert first == caller.call("submitAction", msgspec.Raw(line))
    other = site.line(("count", 0, 1), name="carol", nonce=0)
    error = caller.ask("submitAction", action=msgspec.Raw(other))["error"]
    assert (-32000, "nonce_used") == (error["code"], error["data"]["code"])


def make_edit(value):
    from kernel_fixtures import make_steps

    return make_steps(("set_ticket", 1000, value))


def test_each_action_of_several_has_its_own_result(site, caller):
    """A bad action among good ones is refused alone, by the place that it stands at."""
    good = [site.line(("count", 0, 1), name="dave") for _ in range(2)]
    answers = caller.submit(good[0], b'{"type":"Edit"}', good[1], b'"text"')
    assert ["ack", "error", "ack", "error"] == [next(iter(answer)) for answer in answers]
    assert ("missing_member", -32000) == (answers[1]["error"]["data"]["code"], answers[1]["error"]["code"])
    assert [] == caller.submit()


def test_config_says_what_wallets_need(site, caller):
    """Domain, ids and EIP-712 types of each action are those of the declaration and of the genesis."""
    config = caller.call("config")
    assert "0x" + compute_rollup_id(site.genesis).hex() == config["rollupId"]
    assert {"name": "zoo", "version": "1", "chainId": 31337, "verifyingContract": "0x" + "00" * 20} == config["domain"]
    (edit,) = [action for action in config["actions"] if action["name"] == "Edit"]
    assert "0x" + keccak256(edit["typeString"].encode()).hex() == edit["typeHash"]
    assert [
        {"name": "steps", "type": "Step[]"},
        {"name": "reject", "type": "bool"},
        {"name": "nonce", "type": "uint64"},
    ] == edit["types"]["Edit"]
    assert {"Edit", "Step"} == set(edit["types"])
    assert edit["types"]["Step"] == config["types"]["Step"]
    fields = {field["name"]: (field["kind"], field["settled"]) for field in config["fields"]}
    assert {
        "animals": ("map", True), "tickets": ("map", True), "visitors": ("scalar", True), "notes": ("map", False),
        "motto": ("scalar", False), "guards": ("map", True),
    } == fields  # fmt: skip


def test_actions_and_receipts(caller):
    """An action is given as it was signed, its receipt by hash and by seq; what is not there is said to be so."""
    ack = caller.acks[1]
    action = caller.call("getAction", hash=ack["actionHash"])
    assert ("Edit", "signed", 1, "0x" + ALICE.hex()) == (
        action["type"], action["origin"], action["seq"], action["sender"]
    )  # fmt: skip
    assert 1 == action["message"]["nonce"]
    receipt = caller.call("getReceipt", hash=ack["actionHash"])
    assert receipt == caller.call("getReceipt", seq=1) == caller.call("getReceipt", 1)
    assert "Edit" == receipt["type"]
    assert [{"name": "Edited", "data": receipt["events"][0]["data"], "fields": {"steps": 3}}] == receipt["events"]
    rejected = caller.call("getReceipt", seq=2)
    assert ("rejected", "rejected as asked", "C1X") == (
        rejected["status"], rejected["reason"], rejected["confirmation"]
    )  # fmt: skip
    assert -32001 == caller.fail("getAction", hash="0x" + "00" * 32)[0]
    assert -32001 == caller.fail("getReceipt", seq=10**9)[0]
    assert -32602 == caller.fail("getReceipt")[0]
    assert -32602 == caller.fail("getReceipt", hash=ack["actionHash"], seq=1)[0]


def test_receipt_proofs_check_offline(site, caller):
    """A receipt proof passes the offline check against rollup id and builder alone."""
    config = caller.call("config")
    for ack in caller.acks[:3]:
        document = caller.call("getReceiptProof", hash=ack["actionHash"])
        checked = check_receipt_proof(
            receipt_proof_from_json(document),
            rollup_id=compute_rollup_id(site.genesis),
            builder=bytes.fromhex(config["builder"][2:]),
        )
        assert (ack["seq"], True) == (checked.receipt.seq, checked.acknowledged)


def test_blocks_and_headers(caller):
    """Headers hash to the hashes that are told, link to each other, and list their actions."""
    genesis = caller.call("getBlock", height=0)
    assert (None, []) == (genesis["seal"], genesis["actions"])
    parent = genesis["hash"]
    for height in (1, 2, 3):
        block = caller.call("getBlock", height=height)
        header = compile_form(Header).read(block["header"])
        assert (parent, height) == ("0x" + header.parent_hash.hex(), header.height)
        assert "0x" + compute_block_hash(header).hex() == block["hash"]
        assert {**block["header"], "hash": block["hash"]} == caller.call("getHeader", height)
        parent = block["hash"]
        assert header.action_count == len(block["actions"])
    first = caller.call("getBlock", height=1)["actions"][0]
    assert ("Edit", "executed", "signed", "0x" + ALICE.hex()) == (
        first["type"], first["status"], first["origin"], first["sender"]
    )  # fmt: skip
    latest = caller.call("getBlock")
    assert latest["hash"] == caller.call("getHeader", "latest")["hash"]
    assert -32001 == caller.fail("getBlock", height=10**6)[0]


def test_changes_of_each_action(caller):
    """With changes, a block tells for each action which keys changed from what to what; a rejected one changed none."""
    one = caller.call("getBlock", height=1, withChanges=True)["actions"]
    assert [
        {"field": "tickets", "key": 5, "before": None, "after": 50},
        {"field": "visitors", "key": None, "before": 0, "after": 3},
    ] == sorted(one[0]["changes"], key=lambda change: change["field"])
    by_field = {change["field"]: change for change in one[1]["changes"]}
    assert (50, 51) == (by_field["tickets"]["before"], by_field["tickets"]["after"])
    assert ("0x39", None, "0x39") == tuple(by_field["notes"][name] for name in ("key", "before", "after"))
    assert {"animals", "tickets", "notes"} == set(by_field)
    two = caller.call("getBlock", height=2, withChanges=True)["actions"]
    assert [] == two[0]["changes"]
    assert {(5, 51, None), (1, 10, None)} == {
        (change["key"], change["before"], change["after"]) for change in two[1]["changes"]
    }


def test_state_at_heights(caller):
    """Values of maps and scalars, settled or not, at the newest and at older heights; absent keys are null."""
    assert [50 + 1, 50 + 1, None] == [
        caller.call("getState", field="tickets", key=5, height=height)["value"] for height in (1, 1, 3)
    ]
    assert {"field": "visitors", "key": None, "exists": True, "value": 3, "height": 1} == caller.call(
        "getState", field="visitors", height=1
    )
    assert "0x626f726e" == caller.call("getState", field="motto")["value"]
    assert "0x39" == caller.call("getState", field="notes", key="0x39")["value"]
    assert caller.call("getState", "tickets", "5", 1) == caller.call("getState", field="tickets", key=5, height=1)
    for params in (
        {"field": "tickets"},
        {"field": "tickets", "key": "x"},
        {"field": "none"},
        {"field": "motto", "key": 1},
    ):
        assert -32602 == caller.fail("getState", **params)[0], params
    assert -32602 == caller.fail("getState", field="motto", height=10**6)[0]


def test_pages_of_a_map(caller):
    """Pages follow each other by `next` at the height of the first; what is not a page of the field is refused."""
    first = caller.call("getEntries", field="notes", limit=1, height=1)
    assert ["0x37"] == [entry["key"] for entry in first["entries"]]
    page = caller.call("getEntries", field="notes", after=first["next"], limit=1, height=first["height"])
    assert {"field": "notes", "entries": [{"key": "0x39", "value": "0x39"}], "next": None, "height": 1} == page
    assert [] == caller.call("getEntries", field="notes", prefix="0x38")["entries"]
    assert [1, 3] == [entry["key"] for entry in caller.call("getEntries", field="tickets", height=0)["entries"]]
    first = caller.call("getEntries", field="tickets", height=2, reverse=True, limit=1000)
    assert first == caller.call("getEntries", "tickets", None, None, 1000, True, 2)
    for params in (
        {"field": "none"},
        {"field": "visitors"},
        {"field": "tickets", "prefix": 5},
        {"field": "tickets", "after": "x"},
        {"field": "tickets", "after": {}},
        {"field": "tickets", "limit": 0},
        {"field": "tickets", "limit": 1001},
        {"field": "tickets", "reverse": 1},
        {"field": "notes", "prefix": "39"},
        {"field": "notes", "prefix": "0x39", "after": "0x38"},
        {"field": "notes", "height": 10**6},
        {"field": "notes", "more": 1},
    ):
        assert -32602 == caller.fail("getEntries", **params)[0], params


def test_proofs_hold(caller):
    """Proofs of inclusion and exclusion, at several heights, lead to the header's state root."""
    for key, height in ((5, 1), (5, 3), (3, 2), (999, 1), (7, "latest")):
        document = caller.call("getProof", field="tickets", key=key, height=height)
        header = compile_form(Header).read(caller.call("getBlock", height=document["height"])["header"])
        assert "0x" + header.state_root.hex() == document["stateRoot"]
        members = {
            name: bytes.fromhex(value[2:]) if isinstance(value, str) else value
            for name, value in document["leaf"].items()
        }
        leaf = Leaf(
            members["active"], members["prefix"], members["key"], members["nextPrefix"], members["nextKey"],
            members["valueHash"],
        )  # fmt: skip
        siblings = tuple(bytes.fromhex(sibling[2:]) for sibling in document["siblings"])
        proof = Proof(document["leafIndex"], leaf, siblings, document["isLeft"])
        tree_key = compute_tree_key(1, key.to_bytes(32, "big"))
        assert "0x" + tree_key.hex() == document["treeKey"]
        if document["exists"]:
            verify_inclusion(header.state_root, tree_key, bytes.fromhex(document["value"][2:]), proof)
        else:
            verify_exclusion(header.state_root, tree_key, proof)
    assert [True, True, True, False] == [
        caller.call("getProof", field="tickets", key=key, height=height)["exists"]
        for key, height in ((5, 1), (5, 3), (3, 2), (999, 1))
    ]
    assert -32602 == caller.fail("getProof", field="notes", key="0x39")[0]
    assert -32602 == caller.fail("getProof", key=5)[0]


def test_nonces(caller):
    """The next nonce counts everything that is acknowledged."""
    assert {"sender": "0x" + ALICE.hex(), "next": 3, "pending": 3, "closed": 3} == caller.call(
        "getNonce", sender="0x" + ALICE.hex().upper()
    )
    assert 0 == caller.call("getNonce", sender="0x" + "00" * 20)["next"]
    assert -32602 == caller.fail("getNonce", sender="0x00")[0]


def test_what_verifiers_take(site, caller):
    """Genesis, blocks and the builder's batch decode to the canonical forms, bounded in number."""
    assert site.genesis == decode_genesis(bytes.fromhex(caller.call("getGenesis")["record"][2:]))
    blocks = [decode_block(bytes.fromhex(block[2:])) for block in caller.call("getBlocks", {"from": 1}["from"], 2)]
    assert [1, 2] == [block.header.height for block in blocks]
    batch = caller.call("getBatch", firstHeight=1)
    assert batch["lastHeight"] == decode_batch(bytes.fromhex(batch["batch"][2:])).blocks[-1].open.height
    assert -32001 == caller.fail("getBatch", firstHeight=2)[0]
    assert -32001 == caller.fail("getBlocks", 10**6)[0]
    assert -32602 == caller.fail("getBlocks", 1, 101)[0]


def test_confirmations(caller):
    """The level of a height and of an action; C1X for what was rejected."""
    assert {"level": "C1", "height": 1, "settledDepth": None} == caller.call("getConfirmation", height=1)
    assert "C1X" == caller.call("getConfirmation", hash=caller.acks[2]["actionHash"])["level"]
    assert -32001 == caller.fail("getConfirmation", height=10**6)[0]
    assert {"latest", "verified", "available", "settled"} == set(caller.call("height"))


def test_an_open_block_can_be_read(site, tmp_path):
    """What is acknowledged can be read by hash although its block is open; its proof comes with the block."""
    other = Site(tmp_path)
    with other.serve(options=OPEN_BLOCKS) as caller:
        (answer,) = caller.submit(other.line(("count", 0, 1)))
        receipt = caller.call("getReceipt", hash=answer["ack"]["actionHash"])
        assert (1, "C0") == (receipt["height"], receipt["confirmation"])
        assert -32001 == caller.fail("getReceiptProof", hash=answer["ack"]["actionHash"])[0]
        assert 1 == caller.call("getNonce", sender="0x" + ALICE.hex())["next"]


def test_the_open_block_is_at_c0(tmp_path):
    """A height has a level from its first durable action on, and so has the action: C0 while the block is open, C1 when
    it is closed; C1X for an action that was rejected.
    """
    from zoo import Edit

    other = Site(tmp_path)
    with other.serve(options=NodeOptions(block_size=2, timing=WriterOptions(60, 0.3, 60))) as caller:
        assert -32001 == caller.fail("getConfirmation", height=1)[0]
        (first,) = caller.submit(to_line(other, other.signer.sign(Edit([], reject=True), "alice")))
        expected = {"level": "C0", "height": 1, "settledDepth": None}
        rejected = first["ack"]["actionHash"]
        assert expected == caller.call("getConfirmation", height=1) == caller.call("getConfirmation", hash=rejected)
        assert -32001 == caller.fail("getConfirmation", height=2)[0]
        (second,) = caller.submit(other.line(("count", 0, 1)))
        wait_for_height(caller, 1)
        assert "C1" == caller.call("getConfirmation", height=1)["level"]
        assert "C1" == caller.call("getConfirmation", hash=second["ack"]["actionHash"])["level"]
        assert "C1X" == caller.call("getConfirmation", hash=rejected)["level"]
        assert -32001 == caller.fail("getConfirmation", height=2)[0]


def test_changes_too_far_back_are_not_looked_for(caller, monkeypatch):
    """The walk back to an old state, and the execution, have a time limit."""
    assert caller.call("getBlock", height=1, withChanges=True)["actions"][0]["changes"]
    monkeypatch.setattr("microrollup.node.changes.LIMIT_SECONDS", -1)
    code, message = caller.fail("getBlock", height=1, withChanges=True)
    assert (-32004, True) == (code, "too far back" in message)


def test_one_acknowledgement_that_fails_costs_no_other():
    """A known action whose receipt is not kept is answered with its error; the others have their acknowledgements."""
    from types import SimpleNamespace

    from microrollup.node.errors import NotRecorded
    from microrollup.rpc.methods import acknowledge

    errors = [NotRecorded("not kept"), NotRecorded("no")]

    def find(seq):
        raise errors[seq]

    node = SimpleNamespace(
        lookups=SimpleNamespace(get_action=find), genesis=SimpleNamespace(l1_chain_id=1), rollup_id=bytes(32),
        _key=load_private_key(b"\x01" * 32), _inbox=bytes(20),
    )  # fmt: skip
    node._find_receipt = lambda result: Node._find_receipt(node, result)
    node.acknowledge = lambda results: Node.acknowledge(node, results)
    results = [DuplicateAction("known", 1), DuplicateAction("known", 0), DuplicateAction("known", 1)]
    assert [errors[1], errors[0], errors[1]] == acknowledge(SimpleNamespace(node=node), results)


# The document


def test_no_method_is_missing_from_the_document(caller):
    """The OpenRPC document has every method of the table, with its params and result, and nothing else."""
    status, body = caller.get("/openrpc.json")
    document = json.loads(body)
    assert 200 == status
    methods = make_methods()
    assert list(methods) == [method["name"] for method in document["methods"]]
    assert json.loads(json.dumps(describe_openrpc(methods, "zoo", document["servers"][0]["url"]))) == document
    for method in document["methods"]:
        struct = methods[method["name"]].params
        assert [field.encode_name for field in msgspec.structs.fields(struct)] == [p["name"] for p in method["params"]]
        assert method["summary"]
        assert method["result"]["schema"]
        assert all(error["$ref"].rpartition("/")[2] in document["components"]["errors"] for error in method["errors"])


ARGUMENTS = {
    "getAction": lambda caller: {"hash": caller.acks[0]["actionHash"]},
    "getReceipt": lambda caller: {"seq": 1},
    "getReceiptProof": lambda caller: {"hash": caller.acks[0]["actionHash"]},
    "getBlock": lambda _: {"height": 2, "withChanges": True},
    "getState": lambda _: {"field": "tickets", "key": 3},
    "getEntries": lambda _: {"field": "tickets", "limit": 1},
    "getProof": lambda _: {"field": "tickets", "key": 3},
    "getNonce": lambda _: {"sender": "0x" + ALICE.hex()},
    "getConfirmation": lambda _: {"height": 2},
    "getBatch": lambda _: {"firstHeight": 1},
    "getBlocks": lambda _: {"from": 1},
}
TAKING = {"submitAction", "submitActions", "submitAttestation", "submitEnvelope", "subscribe", "unsubscribe"}


@pytest.mark.parametrize("name", sorted({name.removeprefix("rollup_") for name in make_methods()} - TAKING))
def test_answers_are_as_documented(caller, name):
    """What a method answers fits the schema that the document gives it and reads as its own Struct."""
    params = ARGUMENTS.get(name, lambda _: {})(caller)
    check_answer(name, caller.call(name, **params))


def test_acknowledgements_are_as_documented(caller):
    """The same for what was taken, alone and among several."""
    for ack in caller.acks:
        check_answer("submitAction", ack)
    check_answer("submitActions", caller.submit(b"{}"))


def check_answer(name, answer):
    """The Struct of a method is what the node writes, what the document describes and what the client reads."""
    form = compile_form(make_methods()[f"rollup_{name}"].answer)
    document = describe_openrpc(make_methods(), "zoo", "")
    (method,) = [each for each in document["methods"] if each["name"] == f"rollup_{name}"]
    assert form.schema == method["result"]["schema"]
    check(method["result"]["schema"], answer, document["components"]["schemas"])
    assert answer == form.write(form.read(answer))


def test_every_notification_is_a_declared_type():
    """The topics that can be subscribed to are those whose notifications have a type in the document."""
    document = describe_openrpc(make_methods(), "zoo", "")
    (topic,) = [field for field in msgspec.structs.fields(SubscribeParams) if field.name == "topic"]
    assert set(get_args(topic.type)) == set(document["x-notifications"])
    for schema in document["x-notifications"].values():
        assert schema["$ref"].rpartition("/")[2] in document["components"]["schemas"]


def test_every_answer_is_a_declared_type():
    """No method answers plain JSON: each has a type, whose Structs stand in the document by name."""
    document = describe_openrpc(make_methods(), "zoo", "")
    for name, method in make_methods().items():
        form = compile_form(method.answer)
        assert form.schema, name
        assert form.components.items() <= document["components"]["schemas"].items(), name


# Beside the methods


def test_health_and_metrics(site, caller):
    """`/health` is 200 while actions are taken; `/metrics` counts actions by outcome, commits and heights."""
    status, body = caller.get("/health")
    health = json.loads(body)
    assert (200, "open") == (status, health["intake"])
    status, body = caller.get("/metrics")
    text = body.decode()
    assert 200 == status
    for line in (
        'microrollup_actions_total{outcome="rejected"} 1.0',
        'microrollup_block_height{confirmation="C1"}',
        "microrollup_commit_seconds_count",
        "microrollup_queue_depth 0.0",
        "microrollup_process_memory_bytes",
        "microrollup_group_seconds_bucket",
    ):
        assert line in text, line
    assert "python_gc" not in text


def test_the_explorer_is_served(caller):
    """A browser gets the page at `/` and its parts below `/explorer/`, with the page's own policy."""
    status, body = caller.get("/", Accept="text/html,*/*")
    assert (200, True) == (status, b"<html" in body)
    assert 200 == caller.get("/explorer/app.js")[0]
    assert 404 == caller.get("/explorer/none.js")[0]
    assert 404 == caller.get("/explorer/../secret")[0]
    status, body = caller.get("/")
    assert (200, True) == (status, b"openrpc.json" in body)


def test_caches_keep_the_page_and_the_word_apart(caller):
    """What `/` answers by `Accept` says so in `Vary`, unchanged or not; what does not depend on it does not say so."""
    with closing(HTTPConnection("127.0.0.1", caller.port, timeout=60)) as connection:

        def get(path, **headers):
            connection.request("GET", path, headers=headers)
            response = connection.getresponse()
            response.read()
            return response

        page = get("/", Accept="text/html")
        known = get("/", Accept="text/html", **{"If-None-Match": page.headers["ETag"]})
        assert (200, 304, 200) == (page.status, known.status, get("/").status)
        assert ["Accept"] * 3 == [response.headers["Vary"] for response in (page, known, get("/", Accept="*/*"))]
        assert get("/explorer/app.js").headers["Vary"] is None


def test_an_app_may_add_methods(tmp_path):
    """Methods of an app's own are answered and documented like the others; names of this server's cannot be taken."""
    from microrollup.errors import UsageError
    from microrollup.rpc.method import PlainMethod
    from microrollup.rpc.params import NoParams

    site = Site(tmp_path)
    mine = PlainMethod("zoo_hello", "Say hello.", NoParams, str, lambda api, _: f"hello {api.node.rollup.name}")
    with site.serve(options=FAST, more=[mine]) as caller:
        status, body = caller.post(b'{"jsonrpc":"2.0","id":1,"method":"zoo_hello"}')
        assert (200, "hello zoo") == (status, json.loads(body)["result"])
        assert b"zoo_hello" in caller.get("/openrpc.json")[1]
    with pytest.raises(UsageError):
        make_methods([msgspec.structs.replace(mine, name="rollup_height")])
