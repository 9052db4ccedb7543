"""Axiom's methods at a node whose transactions cost something: every block, proof and receipt adds up."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from apps.keystore.axiom.command import main as axiom_main
from apps.keystore.axiom.key_data_proofs import (
    decode_key_data_proof,
    encode_key_data_proof,
    make_exclusion,
    make_inclusion,
    verify_key_data_proof,
)
from apps.keystore.axiom.keys import M_OF_N_ECDSA_VKEY
from apps.keystore.axiom.making import sign
from apps.keystore.axiom.messages import compute_user_hash
from apps.keystore.axiom.proofs import PUBLIC_BYTES
from apps.keystore.axiom.rpc import methods
from apps.keystore.axiom.rpc.indexes import compute_deposit_hash
from apps.keystore.axiom.rpc.prover import KEPT_SECONDS, OPEN_SPONSOR, Prover
from apps.keystore.axiom.transactions import (
    UpdateTransaction,
    WithdrawTransaction,
    compute_withdrawal_hash,
    encode_transaction,
)
from apps.keystore.plus.command import main
from apps.keystore.plus.vault import Deposit
from axiom_paid import MINIMUM, PER_BYTE, app
from axiom_world import TO, make_update, make_wallet, make_withdrawal, prove_user, wrap_key_data
from microrollup import ZERO_ADDRESS
from microrollup.crypto.keccak import keccak256
from microrollup.crypto.merkle.indexed import Leaf, Proof, decode_leaf
from microrollup.declaration.query import load_methods, load_reads, require_distinct
from microrollup.deployment.place_file import keep_place
from microrollup.errors import LimitExceeded
from microrollup.execution.payload import encode_envelope_payload, encode_forced_payload
from microrollup.settlement.local import SECONDS_PER_BLOCK
from microrollup.settlement.place import EthereumPlace
from node_fixtures import FAST, Caller, Site
from plus_world import BRIDGE, COLLECTOR_KEY, VAULT
from waiting import wait_for

pytestmark = pytest.mark.slow

FUNDS = 10**9
ANN, BOB, CAROL = make_wallet(1, 2, 3), make_wallet(11, 1, 1), make_wallet(21, 1, 2)
NEXT = make_wallet(31, 1, 1)
DAVE = make_wallet(41, 1, 1)
"""He never sends anything himself: L1 does."""
PAYER = make_wallet(51, 1, 1)
OPEN = wrap_key_data(OPEN_SPONSOR, ())
METHODS = {
    "authenticateSponsoredTransaction", "authenticateTransaction", "blockNumber", "call", "estimateGas",
    "estimateL1DataFee", "gasPrice", "getAuthenticationStatus", "getBalance", "getBatchByIndex", "getBlockByHash",
    "getBlockByNumber", "getBlockNumberByOutputRoot", "getBlockNumberByStateRoot", "getProof",
    "getSponsoredAuthenticationStatus", "getStateAt", "getTransactionByHash", "getTransactionCount",
    "getTransactionReceipt", "getWithdrawalProof", "sendRawTransaction", "syncStatus",
}  # fmt: skip


def show(value: bytes) -> str:
    return f"0x{value.hex()}"


def read(value: str) -> bytes:
    return bytes.fromhex(value[2:])


class AxiomNode:
    """A node with Axiom's methods, and what was sent to it."""

    def __init__(self, site: Site, caller: Caller) -> None:
        self.site = site
        self.caller = caller
        self.hashes: dict[str, str] = {}
        """What a transaction is called here -> its hash."""
        self.garbage = ""
        """The hash of what the bridge forced that is no transaction."""

    def call(self, method: str, *params: Any) -> Any:
        """The result of a call as Axiom's SDK makes it."""
        answer = self._post(method, params)
        assert "result" in answer, answer
        return answer["result"]

    def fail(self, method: str, *params: Any) -> tuple[int, str]:
        """Code and message of a call that must fail."""
        error = self._post(method, params)["error"]
        return error["code"], error["message"]

    def _post(self, method: str, params: tuple[Any, ...]) -> Any:
        body = {"jsonrpc": "2.0", "id": "0", "method": f"keystore_{method}", "params": params}
        status, raw = self.caller.post(msgspec.json.encode(body))
        answer = msgspec.json.decode(raw)
        assert (200, "0") == (status, answer["id"])
        return answer

    def force(self, payload: bytes, sender: bytes) -> int:
        """Into the queue, as the vault or the bridge on L1 does."""
        return int(self.caller.node.l1.force(payload, sender=sender))  # type: ignore[attr-defined]

    def take_queue(self) -> None:
        """L1 goes on until everything that was forced is in a closed block."""
        self.site.ahead += 2 * SECONDS_PER_BLOCK
        node = self.caller.node
        wait_for(lambda: node.l1.get_forced_count(node.l1.get_number()) == node.lookups.get_header(None).forced_count)

    def send(self, name: str, transaction: UpdateTransaction | WithdrawTransaction) -> None:
        """To the sequencer, until its block is closed."""
        raw = encode_transaction(transaction)
        hash_ = self.call("sendRawTransaction", show(raw))
        assert show(keccak256(raw)) == hash_
        wait_for(lambda: "result" in self._post("getTransactionReceipt", (hash_,)))
        self.hashes[name] = hash_


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AxiomNode]:
    """Deposits; updates that the user, or either kind of sponsor, pays; withdrawals; both kinds from L1 too."""
    site = Site(tmp_path_factory.mktemp("axiom"), "axiom_paid:app")
    options = msgspec.structs.replace(FAST, methods=("axiom",))
    with site.serve(verifiers=1, options=options) as caller:
        axiom = AxiomNode(site, caller)
        for number, wallet in enumerate((ANN, BOB, CAROL, DAVE, PAYER, OPEN)):
            place = axiom.force(encode_forced_payload(app, Deposit(number, ZERO_ADDRESS, wallet.address, FUNDS)), VAULT)
            axiom.hashes[f"deposit {number}"] = show(compute_deposit_hash(place, FUNDS, wallet.address))
        axiom.take_queue()
        axiom.send("update", make_update(ANN, NEXT, fee=MINIMUM + 2))
        axiom.send("sponsored", make_update(BOB, NEXT, fee=MINIMUM, sponsor=PAYER))
        axiom.send("sponsored by anybody", make_update(ANN.rotate(NEXT), NEXT, 1, fee=MINIMUM, sponsor=OPEN))
        axiom.send("withdrawal", make_withdrawal(CAROL, 1_000, fee=MINIMUM))
        axiom.send("second withdrawal", make_withdrawal(CAROL.settled, 2_000, 1, fee=MINIMUM))
        for name, sender, nonce in (("from L1", BRIDGE, 0), ("again from L1", BRIDGE, 0), ("stranger", b"\5" * 20, 1)):
            place = len(axiom.hashes) - 5
            sent = replace(make_withdrawal(DAVE, 5, nonce), l1_nonce=place)
            raw = encode_transaction(prove_user(sent, DAVE))
            assert place == axiom.force(encode_envelope_payload("axiom", raw), sender)
            axiom.hashes[name] = show(keccak256(raw))
        garbage = b"\2\1 is no list"
        axiom.force(encode_envelope_payload("axiom", garbage), BRIDGE)
        axiom.garbage = show(keccak256(garbage))
        axiom.take_queue()
        wait_for(lambda: "L2Finalized_L1Finalized" == axiom.call(
            "getTransactionReceipt", axiom.hashes["from L1"])["status"])  # fmt: skip
        tip = caller.call("height")["latest"]
        wait_for(lambda: all((index["reached"] or 0) >= tip for index in caller.call("status")["indexes"]))
        yield axiom


def test_all_methods_are_there() -> None:
    """The 23 of the interface, in a namespace where nothing else of the app is."""
    own, axiom = load_methods(app, ["axiom"])
    require_distinct(load_reads(app), (own, axiom))
    assert ("keystore", METHODS) == (axiom.namespace, set(axiom.methods))
    assert len(METHODS) == len(methods.__all__)


def test_what_payers_have_lost(node: AxiomNode) -> None:
    """Gas, gas price and data fee add up to what the balance has lost, and the collector has all of it."""
    collected = 0
    for name, payer, amount in (
        ("update", ANN, 0), ("sponsored", PAYER, 0), ("sponsored by anybody", OPEN, 0), ("withdrawal", CAROL, 1_000),
        ("second withdrawal", CAROL, 2_000), ("from L1", DAVE, 5),
    ):  # fmt: skip
        receipt = node.call("getTransactionReceipt", node.hashes[name])
        number = int(receipt["blockNumber"], 16)
        before, after = [
            int(node.call("getBalance", show(payer.address), hex(height)), 16) for height in (number - 1, number)
        ]
        gas, price, data_fee = [int(receipt[member], 16) for member in ("gas", "gasPrice", "l1DataFee")]
        assert before - after == gas * price + data_fee + amount, name
        assert amount == int(receipt.get("amount", "0x0"), 16)
        collected += gas * price + data_fee
        assert gas == 100_000
        assert (price, data_fee) == (0, 0) if name == "from L1" else price >= MINIMUM and data_fee % PER_BYTE == 0
    assert collected == int(node.call("getBalance", show(COLLECTOR_KEY), "latest"), 16)
    deposit = node.call("getTransactionReceipt", node.hashes["deposit 0"])
    assert (hex(FUNDS), "L2Finalized_L1Finalized") == (deposit["amount"], deposit["status"])
    assert "gas" not in deposit


def test_who_is_refused_on_l1(node: AxiomNode) -> None:
    """A replay, and what a stranger forces, fail: they are found with their block, and nothing else has changed."""
    for name in ("again from L1", "stranger"):
        receipt = node.call("getTransactionReceipt", node.hashes[name])
        assert "Failed" == receipt["status"]
        assert node.hashes[name] == node.call("getTransactionByHash", node.hashes[name])["hash"]
    assert "0x1" == node.call("getTransactionCount", show(DAVE.address), "latest")
    assert "Failed" == node.call("getTransactionReceipt", node.garbage)["status"]
    assert -32001 == node.fail("getTransactionByHash", node.garbage)[0]


def test_every_block(node: AxiomNode) -> None:
    """Seven words give the hash, hash and roots the output root; a block is found by either hash and by its roots."""
    tip = int(node.call("blockNumber"), 16)
    seen: list[str] = []
    for height in range(tip + 1):
        block = node.call("getBlockByNumber", hex(height), False)
        words = (
            height.to_bytes(32, "big"), int(block["timestamp"], 16).to_bytes(32, "big"), read(block["parentHash"]),
            read(block["sequencerKeystoreAddress"]), read(block["stateRoot"]), read(block["withdrawalsRoot"]),
            read(block["transactionsRoot"]),
        )  # fmt: skip
        header = node.caller.call("getHeader", height=height)
        assert keccak256(b"".join(words)) == read(block["hash"])
        assert [header["parentHash"], header["stateRoot"], header["actionsRoot"]] == [
            block["parentHash"], block["stateRoot"], block["transactionsRoot"]
        ]  # fmt: skip
        assert block["sequencerKeystoreAddress"] == show(bytes(12) + node.site.genesis.builder)
        for hash_ in (block["hash"], header["hash"]):
            assert block == node.call("getBlockByHash", hash_, False)
        output_root = keccak256(words[4] + words[5] + read(block["hash"]))
        assert hex(height) == node.call("getBlockNumberByOutputRoot", show(output_root))
        newest = int(node.call("getBlockNumberByStateRoot", block["stateRoot"]), 16)
        assert newest >= height
        assert block["stateRoot"] == node.call("getBlockByNumber", hex(newest), False)["stateRoot"]
        batch = node.call("getBatchByIndex", hex(height))
        assert (hex(height), hex(height), "sequencer" if height else "genesis") == (
            batch["batchIndex"], batch["lastBlockNumber"], batch["kind"]
        )  # fmt: skip
        full = node.call("getBlockByNumber", hex(height), True)["transactions"]
        assert block["transactions"] == [each["hash"] for each in full]
        for each in full:
            entry = node.caller.call("getReceipt", seq=header["firstSeq"] + int(each["transactionIndex"], 16))
            assert height == entry["height"]
            assert (block["hash"], hex(height)) == (
                each["blockHash"], each["blockNumber"]
            )  # fmt: skip
            assert each == node.call("getTransactionByHash", each["hash"])
        seen += block["transactions"]
    assert sorted(seen) == sorted(node.hashes.values())
    tags = {tag: int(node.call("getBlockByNumber", tag, False)["number"], 16) for tag in (
        "earliest", "finalized", "committed", "latest")}  # fmt: skip
    assert 0 == tags["earliest"] < tags["finalized"] <= tags["committed"] <= tags["latest"]
    status = node.call("syncStatus")
    assert tags["latest"] <= int(status["preconfirmedL2"]["number"], 16)
    assert tags["finalized"] <= int(status["finalizedL2"]["number"], 16)
    for tag in ("committed", "finalized"):
        assert tags[tag] <= int(node.call("getBatchByIndex", tag)["batchIndex"], 16)


def fold(proof: dict[str, Any]) -> bytes:
    """The root that Axiom's clients compute from a proof."""
    leaf = proof["leaf"]
    prefixes = read(leaf["keyPrefix"]), read(leaf["nextKeyPrefix"])
    raw = b"\1" + prefixes[0] + read(leaf["key"]) + prefixes[1] + read(leaf["nextKey"])
    raw += keccak256(read(leaf["value"]))
    assert 99 == len(raw)
    root = keccak256(raw)
    assert root == read(leaf["hash"])
    for sibling in proof["siblings"]:
        pair = (read(sibling["hash"]), root) if sibling["isLeft"] else (root, read(sibling["hash"]))
        root = keccak256(b"".join(pair))
    return root


def test_proofs_fold(node: AxiomNode) -> None:
    """Of accounts and withdrawals that are there, and of many that are not, whatever leaf their gap begins at."""
    root = node.call("getBlockByNumber", "latest", False)["stateRoot"]
    leaves = set()
    for address in [
        ANN.address,
        BOB.address,
        CAROL.address,
        PAYER.address,
        *[keccak256(bytes([n])) for n in range(90)],
    ]:
        found = node.call("getProof", show(address), "latest")
        assert root == show(fold(found["proof"]))
        leaf, state = found["proof"]["leaf"], found["state"]
        leaves.add(len(leaf["value"]))
        assert state == node.call("getStateAt", show(address), "latest")
        if found["proof"]["isExclusionProof"]:
            assert "0x" == state["data"] == state["vkey"]
        else:
            assert state["dataHash"] + state["vkeyHash"][2:] == leaf["value"]
            assert (show(keccak256(read(state["data"]))), show(keccak256(read(state["vkey"])))) == (
                state["dataHash"], state["vkeyHash"]
            )  # fmt: skip
    assert len(leaves) > 3, "leaves of several maps were shown"
    for nonce, amount in ((0, 1_000), (1, 2_000)):
        found = node.call("getWithdrawalProof", show(compute_withdrawal_hash(CAROL.address, nonce)), "latest")
        assert (show(TO), hex(amount), root) == (found["to"], found["amt"], show(fold(found["proof"])))
    absent = node.call("getWithdrawalProof", show(bytes(32)), "latest")
    assert {"proof"} == set(absent)
    assert root == show(fold(absent["proof"]))


def test_key_data_proofs_of_their_contracts(node: AxiomNode) -> None:
    """What their validators take, `KeyDataMerkleProof`, is made of `keystore_getProof` alone."""
    root = read(node.call("getBlockByNumber", "latest", False)["stateRoot"])
    for wallet, current in ((ANN, NEXT), (CAROL, CAROL), (PAYER, PAYER)):
        found = node.call("getProof", show(wallet.address), "latest")
        leaf, siblings = found["proof"]["leaf"], found["proof"]["siblings"]
        raw = b"\1" + read(leaf["keyPrefix"]) + read(leaf["key"]) + read(leaf["nextKeyPrefix"]) + read(leaf["nextKey"])
        side = sum(each["isLeft"] << place for place, each in enumerate(siblings))
        shown: Leaf = decode_leaf(raw + keccak256(read(leaf["value"])))
        proof = Proof(side, shown, tuple([read(each["hash"]) for each in siblings]), side)
        if found["proof"]["isExclusionProof"]:
            made = make_exclusion(wallet.account.salt, current.key_data, M_OF_N_ECDSA_VKEY, proof)
        else:
            made = make_inclusion(current.key_data, M_OF_N_ECDSA_VKEY, proof)
        assert made == verify_key_data_proof(root, wallet.address, decode_key_data_proof(encode_key_data_proof(made)))


def test_what_is_refused(node: AxiomNode) -> None:
    """By its code, and nothing is consumed: bare proofs, replays, stale nonces, deposits, what says it is from L1."""
    fresh = make_update(ANN.rotate(NEXT), NEXT, 2, fee=MINIMUM)
    bare = replace(fresh, user_proof=fresh.user_proof[:PUBLIC_BYTES])
    for transaction, reason in (
        (bare, "proof without a witness"),
        (make_update(ANN.rotate(NEXT), NEXT, 1, fee=MINIMUM), "next nonce"),
        (make_update(ANN.rotate(NEXT), NEXT, 2, fee=MINIMUM - 1), "below the minimum"),
        (make_update(ANN, NEXT, 2, fee=MINIMUM), "not the account's current data"),
        (prove_user(replace(make_withdrawal(DAVE, 5, 1), l1_nonce=4), DAVE), "not from the bridge"),
        (make_withdrawal(CAROL.settled, FUNDS, 2, fee=MINIMUM), "balance too low"),
    ):
        code, message = node.fail("sendRawTransaction", show(encode_transaction(transaction)))
        assert (-32602, True) == (code, reason in message), message
    for method in ("sendRawTransaction", "estimateGas"):
        assert -32602 == node.fail(method, "0x00" + "00" * 96)[0]
        assert -32602 == node.fail(method, "0x02")[0]
    assert "0x2" == node.call("getTransactionCount", show(ANN.address), "latest")
    for method, params in (
        ("getTransactionByHash", (show(bytes(32)),)), ("getTransactionReceipt", (show(bytes(32)),)),
        ("getBlockByHash", (show(bytes(32)), False)), ("getBlockByNumber", ("0xffff", False)),
        ("getBlockNumberByStateRoot", (show(bytes(32)),)), ("getBlockNumberByOutputRoot", (show(bytes(32)),)),
        ("getBatchByIndex", ("0xffff",)), ("getBalance", (show(bytes(32)), "0xffff")),
    ):  # fmt: skip
        assert -32001 == node.fail(method, *params)[0], method
    for method, params in (
        ("getBlockByNumber", ("0x01", False)), ("getBlockByNumber", ("pending", False)),
        ("getBatchByIndex", ("latest",)),
        ("getBalance", ("0x12", "latest")), ("getBalance", ()), ("getStateAt", (show(bytes(32)), 5)),
        ("authenticateTransaction", ("0x00", {"keyData": "0x", "authData": "0x"})),
        ("authenticateSponsoredTransaction", (show(encode_transaction(fresh)), {})),
    ):  # fmt: skip
        assert -32602 == node.fail(method, *params)[0], method


def test_simulation_and_estimates(node: AxiomNode) -> None:
    """A call says what would change, and changes nothing; estimates are what is charged."""
    update = encode_transaction(make_update(BOB.rotate(NEXT), BOB, 1, fee=MINIMUM, sponsor=PAYER))
    cost = 100_000 * MINIMUM + PER_BYTE * len(update)
    assert ("0x186a0", hex(PER_BYTE * len(update)), hex(MINIMUM)) == (
        node.call("estimateGas", show(update)), node.call("estimateL1DataFee", show(update), "latest"),
        node.call("gasPrice"),
    )  # fmt: skip
    found = node.call("call", show(update), "latest")
    assert found["success"]
    user, sponsor = [found["stateTransitions"][who] for who in ("user", "sponsor")]
    assert (show(BOB.address), {"from": "0x1", "to": "0x2"}) == (user["keystoreAddress"], user["transitions"]["nonce"])
    assert show(BOB.key_data) == user["transitions"]["state"]["to"]["data"]
    assert show(NEXT.key_data) == user["transitions"]["state"]["from"]["data"]
    balance = sponsor["transitions"]["balance"]
    assert cost == int(balance["from"], 16) - int(balance["to"], 16)
    withdrawal = make_withdrawal(CAROL.settled, 7, 2, fee=MINIMUM)
    found = node.call("call", show(encode_transaction(withdrawal)), "latest")
    assert {
        "hash": show(compute_withdrawal_hash(CAROL.address, 2)), "from": None,
        "to": {"address": show(TO), "amount": "0x7"},
    } == found["withdrawalTransition"]  # fmt: skip
    assert {"success": False} == node.call("call", show(encode_transaction(withdrawal)), "earliest")
    assert {"success": False} == node.call("call", "0x02", "latest")
    assert "0x2" == node.call("getTransactionCount", show(CAROL.address), "latest")


def test_the_prover(node: AxiomNode) -> None:
    """Proofs of users and sponsors in each way; wrong signatures fail; the same request is the same; unknown: null."""
    plain = replace(
        make_update(ANN.rotate(NEXT), NEXT, 2, fee=MINIMUM, sponsor=OPEN), user_proof=b"", sponsor_proof=b""
    )
    witness = {
        "keyData": show(NEXT.key_data), "authData": show(sign(NEXT.keys, compute_user_hash(plain)))
    }  # fmt: skip
    nobody = {"keyData": show(OPEN_SPONSOR), "authData": "0x"}
    whole = show(encode_transaction(make_update(ANN.rotate(NEXT), NEXT, 2, fee=MINIMUM, sponsor=OPEN)))
    own = make_update(ANN.rotate(NEXT), NEXT, 2, fee=MINIMUM, sponsor=OPEN).user_proof
    raw = show(encode_transaction(plain))

    def prove(method: str, inputs: Any) -> Any:
        hash_ = node.call(f"authenticate{method}Transaction", raw, inputs)
        assert hash_ == node.call(f"authenticate{method}Transaction", raw, inputs)
        status = f"get{method}AuthenticationStatus"
        wait_for(lambda: "Pending" != node.call(status, hash_)["status"])
        return node.call(status, hash_)

    done = {"status": "Completed", "authenticatedTransaction": whole}
    for inputs in (
        {"proveSponsored": {"userAuthInputs": witness, "sponsorAuthInputs": nobody}},
        {"proveOnlySponsored": {"userProof": show(own), "sponsorAuthInputs": nobody}},
        {"sponsorAndProve": {"userAuthInputs": witness}},
    ):
        assert done == prove("Sponsored", inputs)
    assert "Completed" == prove("", witness)["status"]
    failed = prove("", {**witness, "authData": show(bytes(65))})
    assert ("Failed", "a signature of no signer") == (failed["status"], failed["error"])
    assert "Failed" == prove("Sponsored", {})["status"]
    assert node.call("getAuthenticationStatus", show(bytes(32))) is None
    bare = {"proveOnlySponsored": {"userProof": show(bytes(512)), "sponsorAuthInputs": nobody}}
    passed = prove("Sponsored", bare)["authenticatedTransaction"]
    assert "proof without a witness" in node.fail("sendRawTransaction", passed)[1]


def test_the_prover_forgets() -> None:
    """After a day; before that it takes no more than it may keep, and runs nothing twice."""
    now, runs = [0.0], []
    prover = Prover(lambda: now[0], limit=4_000)

    def prove() -> bytes:
        runs.append(1)
        return b"\1"

    try:
        for _ in range(2):
            prover.submit(b"a", 100, prove)
        wait_for(lambda: prover.get(b"a").status == "Completed")  # type: ignore[union-attr]
        assert [1] == runs
        with pytest.raises(LimitExceeded):
            prover.submit(b"b", 2_000, prove)
        now[0] = KEPT_SECONDS - 1
        assert prover.get(b"a") is not None
        now[0] = KEPT_SECONDS
        assert prover.get(b"a") is None
        prover.submit(b"b", 1_000, lambda: bytes(1 // len(runs[1:])))
        wait_for(lambda: prover.get(b"b").status == "Failed")  # type: ignore[union-attr]
        assert "ZeroDivisionError" in str(prover.get(b"b").error)  # type: ignore[union-attr]
    finally:
        prover.close()


def test_attack_who_fills_the_prover_shuts_nobody_out() -> None:
    """The oldest outcomes make room; what has none yet stays, and then nothing more is taken."""
    prover, release = Prover(limit=4_000), threading.Event()
    try:
        for name in (b"a", b"b"):
            prover.submit(name, 500, lambda: b"\1")
            wait_for(lambda name=name: prover.get(name).status == "Completed")  # type: ignore[misc,union-attr]
        prover.submit(b"c", 500, lambda: bytes(release.wait(30)))
        assert [True, False, False] == [prover.get(name) is None for name in (b"a", b"b", b"c")]
        prover.submit(b"d", 500, lambda: b"\1")
        assert [True, False] == [prover.get(name) is None for name in (b"b", b"c")]
        with pytest.raises(LimitExceeded):
            prover.submit(b"e", 500, lambda: b"\1")
        assert ["Pending", "Pending"] == [prover.get(name).status for name in (b"c", b"d")]  # type: ignore[union-attr]
    finally:
        release.set()
        prover.close()


def test_replays(node: AxiomNode) -> None:
    """What is in the log already is refused, and so is what its sender changes of it."""
    action = node.caller.call("getReceipt", hash=node.hashes["update"], name="axiom")
    raw = node.caller.call("getAction", hash=action["actionHash"])["envelope"]["raw"]
    assert (-32602, True) == ((found := node.fail("sendRawTransaction", raw))[0], "known transaction" in found[1])


def test_funding(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Wei for an account, in the vault's name on the local settlement; one sentence where there is none of that."""
    site = Site(tmp_path, "apps.keystore.plus")
    (tmp_path / "node" / "l1").symlink_to(tmp_path / "l1")
    key = show(ANN.address)
    arguments = ["fund", key, "5", "--data", str(tmp_path / "node")]
    assert 0 == main([*arguments, "--json"])
    assert 0 == main([*arguments, "--json"])
    first, second = [msgspec.json.decode(line) for line in capsys.readouterr().out.splitlines()]
    assert (0, 1) == (first["index"], second["index"])
    assert first["id"] < second["id"]
    options = msgspec.structs.replace(FAST, methods=("axiom",))
    with site.serve(options=options) as caller:
        node = AxiomNode(site, caller)
        node.take_queue()
        assert "0xa" == node.call("getBalance", key)
        for place in (first, second):
            assert place["transactionHash"] == show(compute_deposit_hash(place["index"], 5, ANN.address))
    refused = [
        (["fund", key, "0", *arguments[3:]], "amount of wei above 0"),
        ([*arguments, "--app", "hostile_rollup"], "has no vault"),
        (["fund", key, "5", "--data", str(tmp_path / "other")], "no local settlement"),
    ]
    for wrong, words in refused:
        capsys.readouterr()
        assert 2 == main(wrong)
        assert words in " ".join(capsys.readouterr().err.split())
    keep_place(tmp_path / "node", EthereumPlace("http://127.0.0.1:1", "0x" + "00" * 20))
    assert 2 == main(arguments)
    assert "settles on Ethereum" in " ".join(capsys.readouterr().err.split())


def test_recording_needs_an_inbox(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One sentence where none is named, two are, or it is on no Ethereum."""
    arguments = ["record", "--bridge", show(BRIDGE), "--key", str(tmp_path / "key")]
    inbox = ["--l1-url", "http://127.0.0.1:1", "--inbox", show(bytes(20))]
    for more, words in (
        ([], "give --data DIR, or"), ([*inbox, "--data", str(tmp_path)], "give --data DIR, or"),
        (["--data", str(tmp_path)], "it has no bridge"),
    ):  # fmt: skip
        assert 2 == axiom_main([*arguments, *more])
        assert words in " ".join(capsys.readouterr().err.split())
