"""The relayer on real chains: what it sends, in which order, and what it reports and never sends."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from apps.keystore.ucmt import RootUpdate, compute_update_message, fold_proof, join_nonce
from apps.keystore.ucmt.command import main
from apps.keystore.ucmt.envelope import HEAD
from apps.keystore.ucmt.published import OWN_KEYSTORE, VERIFIERS
from apps.keystore.ucmt.relay.calls import encode_validate, name_revert
from apps.keystore.ucmt.relay.errors import AnotherRelayer
from apps.keystore.ucmt.relay.store import RelayStore
from apps.keystore.ucmt.relay.worker import ChainLimits
from l1_proxy import run_proxy
from microrollup.crypto.keccak import keccak256
from microrollup.errors import StoreMissing
from microrollup.testing.anvil import AnvilRefused
from ucmt_relay import ETHER, RELAYER, Log, RelayChain, count_statuses, relay_once, run_chain
from ucmt_world import KINDS, Node, User


@pytest.fixture(scope="module")
def chain() -> Iterator[RelayChain]:
    with run_chain(1001) as chain:
        yield chain


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log(tmp_path)


def test_all_kinds_arrive(chain: RelayChain, log: Log, tmp_path: Path) -> None:
    """Several accounts of all kinds of verifiers and nonce keys, each in its order, in one transaction."""
    users = [User(f"arrive {kind}", kind) for kind in KINDS]
    updates = [update for user in users for update in (user.rotate("cosign"), user.rotate(key=2**192 - 1))]
    log.add(*updates)
    document = relay_once(log, tmp_path / "relay", [chain.url])
    assert {"done": 8} == count_statuses(document, 1001)
    assert [user.tree.root for user in users] == [chain.read_root(user) for user in users]
    assert 1 == len({row["transaction"] for row in document["updates"]})
    assert 0 < int(document["chains"][0]["spentWei"]) < 10**17


def test_an_account_that_is_not_deployed(chain: RelayChain, log: Log, tmp_path: Path) -> None:
    """Nothing is at the account's address, and the chain knows its newest node at once: the old one is out."""
    user = User("undeployed")
    old = user.node
    old_proof = user.tree.prove(0)
    log.add(*[user.rotate() for _ in range(3)])
    assert "0x" == chain.anvil.call("eth_getCode", "0x" + user.account.hex(), "latest")
    assert {"done": 3} == count_statuses(relay_once(log, tmp_path / "relay", [chain.url]), 1001)
    message = bytes(32)
    assert 0 == validate(chain, user, message, user.tree.prove(0), user.node)
    assert "InvalidProof" == validate(chain, user, message, old_proof, old)


def validate(chain: RelayChain, user: User, message: bytes, proof: tuple[bytes, ...], node: Node) -> int | str:
    """What the keystore tells the account: the verifier's answer, or the error's name."""
    data = encode_validate(user.ref_hash, message, proof, node.bytes, node.sign(message))
    call = {"to": "0x" + OWN_KEYSTORE.hex(), "from": "0x" + user.account.hex(), "data": "0x" + data.hex()}
    try:
        return int(chain.anvil.call("eth_call", call, "latest"), 16)
    except AnvilRefused as refusal:
        return name_revert(refusal.data, "")


def test_somebody_else_was_faster(chain: RelayChain, log: Log, tmp_path: Path) -> None:
    """What is on the chain already is done, without a transaction; the rest follows."""
    user = User("faster")
    updates = [user.rotate(key=key) for key in (0, 1, 0, 5)]
    log.add(*updates)
    for update in updates[:3]:
        chain.send(update)
    document = relay_once(log, tmp_path / "relay", [chain.url])
    assert {"done": 4} == count_statuses(document, 1001)
    assert [True, True, True, False] == [row["transaction"] is None for row in document["updates"]]


def test_a_retired_node_wins_where_the_update_has_not_arrived(chain: RelayChain, log: Log, tmp_path: Path) -> None:
    """It has signed another update with the same nonce. The account has diverged there: said, and never sent; others
    go on. A chain that the update reached first is safe.
    """
    user, other = User("retired"), User("retired other")
    thief = User("retired")
    log.add(user.rotate(), user.rotate(), other.rotate())
    chain.send(thief.rotate("multisig"))
    document = relay_once(log, tmp_path / "relay", [chain.url])
    assert {"done": 1, "diverged": 2} == count_statuses(document, 1001)
    assert thief.tree.root == chain.read_root(user)
    (row,) = [row for row in document["rows"] if row["status"] == "diverged"]
    assert ("0x" + user.account.hex(), "0") == (row["account"], row["sequence"])
    assert row["reason"] == f"the chain has the root 0x{thief.tree.root.hex()}"
    before = len(chain.list_inputs())
    assert {"done": 1, "diverged": 2} == count_statuses(relay_once(log, tmp_path / "relay", [chain.url]), 1001)
    assert before == len(chain.list_inputs())
    with run_chain(1002) as second:
        relay_once(log, tmp_path / "second", [second.url])
        late = User("retired").rotate("multisig")
        with pytest.raises(AssertionError):
            second.send(late)
        assert user.tree.root == second.read_root(user)


def test_refused_until_the_code_changes(log: Log, tmp_path: Path) -> None:
    """A chain without the contracts, then with another contract in a verifier's place, then with the right one."""
    users = [User("code"), User("code webauthn", "webauthn"), User("code late")]
    log.add(users[0].rotate(), users[1].rotate(), users[1].rotate(), users[2].rotate())
    (verifier,) = [each for each, kind, of in VERIFIERS if (kind, of) == ("webauthn", OWN_KEYSTORE)]
    with run_chain(1003, deploy=False) as chain:
        document = relay_once(log, tmp_path / "relay", [chain.url])
        assert {"refused": 3, "pending": 1} == count_statuses(document, 1003)
        assert {"there is no keystore contract"} == {row["reason"] for row in document["rows"]}
        before = len(chain.list_inputs())
        chain.deploy()
        right = chain.anvil.call("eth_getCode", "0x" + verifier.hex(), "latest")
        for answer, reason in (
            ("600160005260206000f3", "a verifier answers that it is not signed"),  # returns 1
            ("60006000fd", "reverts: execution reverted"),
            ("", "reverts: execution reverted"),
        ):
            chain.anvil.call("anvil_setCode", "0x" + verifier.hex(), "0x" + answer)
            document = relay_once(log, tmp_path / "relay", [chain.url])
            assert {"done": 2, "refused": 1, "pending": 1} == count_statuses(document, 1003)
            assert reason == document["rows"][1]["reason"].partition(", data")[0]
        proxied = {"seen": 0}
        with run_proxy(chain.url) as proxy:
            relay_once(log, tmp_path / "relay", [proxy.url])
            assert 0 == proxy.seen["eth_estimateGas"]
            proxied = dict(proxy.seen)
        assert 2 < sum(proxied.values())
        chain.anvil.call("anvil_setCode", "0x" + verifier.hex(), right)
        assert {"done": 4} == count_statuses(relay_once(log, tmp_path / "relay", [chain.url]), 1003)
        assert all(success for *_, success in chain.list_events())
        ours = [raw for raw in chain.list_inputs()[before:] if raw[:4] == HEAD[:4]]
        assert 2 == len(ours)


def test_a_contract_that_does_nothing(log: Log, tmp_path: Path) -> None:
    """In the keystore's place there is a contract that agrees to everything: one transaction, then nothing more."""
    user = User("nothing")
    log.add(user.rotate(), user.rotate())
    with run_chain(1004, deploy=False) as chain:
        # getRootHash gives its argument, getNonce zero, all others nothing that fails.
        selector = keccak256(b"getRootHash(bytes32,address)")[:4].hex()
        code = f"60003560e01c63{selector}14601957600060005260206000f35b60043560005260206000f3"
        chain.anvil.call("anvil_setCode", "0x" + OWN_KEYSTORE.hex(), "0x" + code)
        for _ in range(2):
            document = relay_once(log, tmp_path / "relay", [chain.url])
            assert {"refused": 2} == count_statuses(document, 1004)
            assert {"included, and the root has not changed"} == {row["reason"] for row in document["rows"]}
            assert 1 == len([raw for raw in chain.list_inputs() if raw[:4] == HEAD[:4]])


def test_code_that_fails_in_its_own_way(log: Log, tmp_path: Path) -> None:
    """An invalid opcode in a verifier's place is a reason to refuse, and holds up nobody else."""
    users = [User("opcode", "multisig"), User("opcode other")]
    log.add(*[user.rotate() for user in users])
    (verifier,) = [each for each, kind, of in VERIFIERS if (kind, of) == ("multisig", OWN_KEYSTORE)]
    with run_chain(1006) as chain:
        for code in ("0xfe", "0x5b600056"):  # an invalid opcode; a loop without end
            chain.anvil.call("anvil_setCode", "0x" + verifier.hex(), code)
            document = relay_once(log, tmp_path / "relay", [chain.url])
            assert {"done": 1, "refused": 1} == count_statuses(document, 1006)


def test_a_reorg_is_seen_after_a_restart(log: Log, tmp_path: Path) -> None:
    """Blocks with our transactions go; the relayer brings them again."""
    user = User("reorg")
    log.add(*[user.rotate() for _ in range(4)])
    with run_chain(1005) as chain:
        assert {"done": 4} == count_statuses(relay_once(log, tmp_path / "relay", [chain.url]), 1005)
        chain.anvil.call("anvil_rollback", 1)
        assert user.ref_hash == chain.read_root(user)
        assert {"done": 4} == count_statuses(relay_once(log, tmp_path / "relay", [chain.url]), 1005)
        assert [0, 1, 2, 3] == [nonce for *_, nonce, success in chain.list_events() if success]


def test_budgets_and_accounts(chain: RelayChain, log: Log, tmp_path: Path) -> None:
    """No more is spent than the budget, fees included, and only accounts that are named are served."""
    users = [User(f"budget {number}") for number in range(2)]
    log.add(*[user.rotate() for user in users])
    tight = ChainLimits(1_000, 20)
    document = relay_once(log, tmp_path / "relay", [chain.url], limits=tight)
    assert {"pending": 2} == count_statuses(document, 1001)
    assert "raise --budget" in document["chains"][0]["error"]
    only = ChainLimits(ETHER, 20, frozenset([users[1].account]))
    document = relay_once(log, tmp_path / "relay", [chain.url], limits=only)
    assert {"done": 1, "pending": 1} == count_statuses(document, 1001)
    assert ["pending", "done"] == [row["status"] for row in document["rows"]]
    capped = relay_once(log, tmp_path / "capped", [chain.url], max_fee_per_gas=1)
    assert "fee" in capped["chains"][0]["error"]
    assert {"done": 1, "pending": 1} == count_statuses(capped, 1001)


def test_a_log_that_changes(chain: RelayChain, log: Log, tmp_path: Path) -> None:
    """Blocks of an operator who went back are read again; another rollup's are refused."""
    first, second = User("log"), User("log second")
    log.add(first.rotate())
    relay_once(log, tmp_path / "relay", [chain.url])
    (tmp_path / "other").mkdir()
    rebuilt = Log(tmp_path / "other")
    rebuilt.add(second.rotate())
    document = relay_once(rebuilt, tmp_path / "relay", [chain.url])
    assert ["0x" + second.account.hex()] == [row["account"] for row in document["rows"]]
    assert {"done": 1} == count_statuses(document, 1001)


def test_two_relayers_do_not_share_a_directory(tmp_path: Path) -> None:
    """Nor do two URLs give one chain."""
    with RelayStore(tmp_path / "relay"), pytest.raises(AnotherRelayer):
        RelayStore(tmp_path / "relay")
    with pytest.raises(StoreMissing):
        RelayStore(tmp_path / "none", read_only=True)


def test_unrevealed_leaves_appear_nowhere(chain: RelayChain, log: Log, tmp_path: Path) -> None:
    """Not in the log, not in the relayer's store, not in any transaction: only nodes that have signed."""
    user = User("hidden", hidden=6)
    log.add(*[user.rotate(keep=keep) for keep in (True, False, True, False)])
    relay_once(log, tmp_path / "relay", [chain.url])
    published = [log.path.read_bytes(), (tmp_path / "relay" / "data.mdb").read_bytes(), *chain.list_inputs()]
    assert any(user.node.bytes[20:] in each for each in published)
    for node in user.hidden:
        assert not any(node.bytes[20:] in each for each in published)


def test_lies_of_a_node(chain: RelayChain, log: Log, tmp_path: Path) -> None:
    """Garbage, other chain ids, fees without end, reverts: typed errors, nothing lost, and the truth later."""
    user = User("lies")
    log.add(user.rotate(), user.rotate())
    lies: list[tuple[str, Any]] = [
        ("eth_chainId", "0x1" + "0" * 30),
        ("eth_chainId", None),
        ("eth_call", "0x"),
        ("eth_call", "0x" + "ff" * 5_000),
        ("eth_call", "nonsense"),
        ("eth_getBlockByNumber", {}),
        ("eth_getCode", "0x" + "60" * 70_000),
        ("eth_estimateGas", "0x" + "f" * 60),
        ("eth_getBalance", "0x" + "f" * 65),
        ("eth_getTransactionCount", []),
    ]
    for method, lie in lies:
        with run_proxy(chain.url) as proxy:
            proxy.rewrite[method] = lambda params, result, lie=lie: lie
            document = relay_once(log, tmp_path / "relay", [proxy.url], retry=True)
            counts = [count_statuses(document, each["chainId"]) for each in document["chains"]]
            assert all("done" not in each and "diverged" not in each for each in counts), (method, lie)
            assert not counts or method == "eth_call" or document["chains"][0]["error"]
    assert {"done": 2} == count_statuses(relay_once(log, tmp_path / "relay", [chain.url], retry=True), 1001)


def test_another_chain_behind_a_url(chain: RelayChain, log: Log, tmp_path: Path) -> None:
    """The id changes while the relayer runs: nothing is signed for it."""
    user = User("another")
    log.add(user.rotate())
    with run_proxy(chain.url) as proxy:
        answers = iter([hex(1001)])
        proxy.rewrite["eth_chainId"] = lambda params, result: next(answers, hex(1))
        document = relay_once(log, tmp_path / "relay", [proxy.url])
        assert "nothing is sent there" in document["chains"][0]["error"]
        assert 0 == proxy.seen["eth_sendRawTransaction"]


def sign_update(user: User, **members: Any) -> RootUpdate:
    """An update of a user's own making, which keeps its node."""
    update = replace(
        RootUpdate(
            ref_hash=user.ref_hash, next_hash=user.tree.root, nonce=0, account=user.account, proof=user.tree.prove(0),
            node=user.node.bytes, next_proof=user.tree.prove(0),
        ),
        **members,
    )  # fmt: skip
    return replace(update, data=user.node.sign(compute_update_message(update)))


def test_many_nonce_keys_cost_little(chain: RelayChain, log: Log, tmp_path: Path) -> None:
    """Sixty updates that give the same root, each with a nonce key of its own: where the account stands is found by
    the nonces of a few.
    """
    user = User("keys")
    log.add(*[sign_update(user, nonce=join_nonce(key << 100, 0)) for key in range(60)])
    assert {"done": 60} == count_statuses(relay_once(log, tmp_path / "relay", [chain.url]), 1001)
    with run_proxy(chain.url) as proxy:
        assert {"done": 60} == count_statuses(relay_once(log, tmp_path / "fresh", [proxy.url]), 1001)
        assert proxy.seen["eth_call"] <= 1 + 1 + 6
        assert 0 == proxy.seen["eth_sendRawTransaction"]


def test_forms_at_the_edge_arrive(chain: RelayChain, log: Log, tmp_path: Path) -> None:
    """Proofs of 200 hashes, configs with more in them, signatures of 64 bytes: what opens, the contracts take."""
    siblings = tuple([keccak256(bytes((number,))) for number in range(200)])
    updates = []
    for kind in ("ecdsa", "webauthn", "cosign"):
        user = User(f"edge {kind}", kind)
        user.node.bytes += b"more"
        root = fold_proof(keccak256(user.node.bytes), siblings)
        following = fold_proof(keccak256(user.node.bytes), siblings[:7])
        updates.append(sign_update(user, ref_hash=root, proof=siblings, next_hash=following, next_proof=siblings[:7]))
    data = updates[0].data
    compact = data[:32] + bytes((data[32] | (data[64] - 27) << 7,)) + data[33:64]
    updates[0] = replace(updates[0], data=compact)
    log.add(*updates)
    assert {"done": 3} == count_statuses(relay_once(log, tmp_path / "relay", [chain.url]), 1001)


def test_a_batch_that_is_overtaken(chain: RelayChain, log: Log, tmp_path: Path) -> None:
    """Somebody sends one of the updates between simulation and inclusion: the transaction reverts whole; what is left
    goes in the next ones, and nothing twice.
    """
    users = [User(f"overtaken {number}") for number in range(6)]
    updates = [user.rotate() for user in users]
    log.add(*updates)
    before = len(chain.list_events())
    with run_proxy(chain.url) as proxy:
        proxy.watch("eth_sendRawTransaction", 1, "before", lambda: chain.send(updates[2]))
        assert {"done": 6} == count_statuses(relay_once(log, tmp_path / "relay", [proxy.url]), 1001)
    assert 1 == chain.count_reverted()
    events = chain.list_events()[before:]
    assert {user.account for user in users} == {account for _, account, *_ in events}
    assert 6 == len(events)


def test_the_command_line(
    chain: RelayChain, log: Log, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:  # fmt: skip
    """From a store's directory, with one update that goes through; then the tables."""
    user = User("command")
    log.add(user.rotate())
    key = tmp_path / "relayer.key"
    key.write_text(RELAYER.secret.hex())
    arguments = ["relay", "--from", log.directory / "store", "--data", tmp_path / "relay", "--key", key, "--once"]
    arguments += ["--chain", chain.url, "--poll", "0.05"]
    assert 0 == main([*map(str, arguments), "--json"])
    document = json.loads(capsys.readouterr().out)
    assert {"done": 1} == count_statuses(document, 1001)
    assert user.tree.root == chain.read_root(user)
    assert 0 == main(["relay-status", "--data", str(tmp_path / "relay"), "--json"])
    assert document == json.loads(capsys.readouterr().out)
    assert 0 == main(["relay-status", "--data", str(tmp_path / "relay")])
    shown = capsys.readouterr().out
    assert all(word in shown for word in ("1001", "done", "0x" + user.account.hex(), "http://127.0.0.1"))
    assert 1 == main([*map(str, arguments), "--account", "0x" + "11" * 20, "--data", str(tmp_path / "other")])
    assert 2 == main(["relay-status", "--data", str(tmp_path / "none")])
