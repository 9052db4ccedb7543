"""The relayer on real chains: what it sends, in which order, and what it reports and never sends."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from apps.keystore.chains.errors import AnotherRelayer
from apps.keystore.ucmt.command import main
from apps.keystore.ucmt.envelope import HEAD
from apps.keystore.ucmt.published import OWN_KEYSTORE, VERIFIERS
from apps.keystore.ucmt.relay.calls import encode_validate, name_revert
from apps.keystore.ucmt.relay.store import RelayStore
from apps.keystore.ucmt.relay.worker import ChainLimits
from l1_proxy import run_proxy
from microrollup.errors import StoreMissing
from microrollup.testing.anvil import AnvilRefused
from ucmt_relay import ETHER, RELAYER, Log, RelayChain, count_statuses, relay_once, run_chain
from ucmt_world import KINDS, Node, User

pytestmark = pytest.mark.slow


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
