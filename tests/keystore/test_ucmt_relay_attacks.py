"""The relayer among liars: contracts, nodes, thieves and competitors that it meets, and a disk that is full."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec.structs import replace

from apps.keystore.ucmt import RootUpdate, compute_update_message, fold_proof, join_nonce
from apps.keystore.ucmt.envelope import HEAD
from apps.keystore.ucmt.published import OWN_KEYSTORE, VERIFIERS
from apps.keystore.ucmt.relay.chain import UpdateNode, _Search
from apps.keystore.ucmt.relay.service import Relayer, RelayOptions
from apps.keystore.ucmt.relay.store import RelayStore
from apps.keystore.ucmt.relay.worker import ChainWorker
from l1_proxy import run_proxy
from microrollup.crypto.keccak import keccak256
from microrollup.errors import StoreError
from microrollup.settlement.ethereum.options import EthereumOptions
from node_fixtures import Site
from ucmt_relay import LIMITS, RELAYER, Log, RelayChain, count_statuses, relay_once, run_chain
from ucmt_world import User, encode_raw
from waiting import wait_for

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def chain() -> Iterator[RelayChain]:
    with run_chain(1001) as chain:
        yield chain


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log(tmp_path)


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


def test_nonces_that_contradict_each_other() -> None:
    """A contract of somebody's own says of each update what it likes: the search ends, and finds what can be so."""
    updates = [SimpleNamespace(keystore=OWN_KEYSTORE, sequence=number) for number in range(6)]
    for hint, *used in itertools.product(range(7), *[(False, True)] * 6):
        search = _Search(SimpleNamespace(place=None, updates=updates), hint)  # type: ignore[arg-type]
        search.root = bytes(32)
        for _ in range(8):
            probes = search.list_probes()
            for place in probes:
                search.note(place, (place + used[place]).to_bytes(32, "big"))
        assert [] == probes, (hint, used)
        found = search.finish()
        if used == sorted(used, reverse=True):
            assert found is not None
            assert sum(used) == found.position


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


def run_rounds(log: Log, directory: Path, chain: RelayChain, between: Callable[[ChainWorker], None]) -> ChainWorker:
    """Rounds of one worker until it is idle, then something, then more of them."""
    options = EthereumOptions(chain.url, bump_seconds=2, settle_seconds=20, retries=1)

    async def run(store: RelayStore) -> ChainWorker:
        relayer = Relayer(store, RelayOptions(str(log.path), (options,), LIMITS), RELAYER)
        await relayer._read_log()
        node = UpdateNode(options, RELAYER)
        worker = await ChainWorker.connect(node, store, relayer._lines, LIMITS)
        for step in (between, lambda worker: None):
            await worker.run_round()
            while not worker.idle:
                await worker.run_round()
            step(worker)
        await node.close()
        return worker

    with RelayStore(directory) as store:
        return asyncio.run(run(store))


def test_a_reorg_of_the_block_that_has_the_transaction(log: Log, tmp_path: Path) -> None:
    """No block that the round began with is gone, only the one after it: noticed in the next round."""
    user = User("last block")
    log.add(user.rotate())
    with run_chain(1007) as chain:

        def replace_last_block(worker: ChainWorker) -> None:
            assert ["done"] == [each.status for each in worker.book.outcomes.values()]
            chain.anvil.call("anvil_reorg", 1, [])
            assert user.ref_hash == chain.read_root(user)

        worker = run_rounds(log, tmp_path / "relay", chain, replace_last_block)
        assert (1, ["done"]) == (worker.book.note.reorgs, [each.status for each in worker.book.outcomes.values()])
        assert user.tree.root == chain.read_root(user)


def test_a_thief_wins_by_a_reorg(log: Log, tmp_path: Path) -> None:
    """What was done is taken back, and a retired node is faster the second time: the chain has diverged."""
    user, thief = User("thief"), User("thief")
    log.add(user.rotate())
    with run_chain(1008) as chain:

        def steal(worker: ChainWorker) -> None:
            chain.anvil.call("anvil_reorg", 1, [])
            chain.send(thief.rotate("multisig"))

        worker = run_rounds(log, tmp_path / "relay", chain, steal)
        assert ["diverged"] == [each.status for each in worker.book.outcomes.values()]


def test_a_disk_that_refuses(log: Log, tmp_path: Path) -> None:
    """Updates that could not be written are read again, and none is left out; the error says what to look at."""
    user = User("disk")
    log.add(*[user.rotate() for _ in range(40)])
    with RelayStore(tmp_path / "relay") as store:
        options = RelayOptions(str(log.path), (), LIMITS)
        relayer = Relayer(store, options, RELAYER)
        store._env.set_mapsize(1 << 16)
        with pytest.raises(StoreError, match="look at the disk"):
            asyncio.run(relayer._read_log())
        assert 0 == relayer._lines.count
        store._env.set_mapsize(1 << 24)
        asyncio.run(relayer._read_log())
        assert 40 == relayer._lines.count == len(list(store.list_updates()))


def test_two_urls_of_one_chain(chain: RelayChain, log: Log, tmp_path: Path) -> None:
    """One of them is served, so that no two transactions of the key have one nonce."""
    users = [User(f"urls {number}") for number in range(4)]
    log.add(*[user.rotate() for user in users])
    with run_proxy(chain.url) as proxy:
        document = relay_once(log, tmp_path / "relay", [chain.url, proxy.url, chain.url])
        assert {"done": 4} == count_statuses(document, 1001)
    assert 1 == len(document["chains"]) == len({row["transaction"] for row in document["updates"]})


def test_copies_with_bad_proofs_do_not_shut_out_the_good_one(tmp_path: Path) -> None:
    """The proof is not signed, so anybody makes copies with another one and the same hash: refused one by one."""
    user = User("copies")
    good = user.rotate()
    copies = [replace(good, proof=(*(good.proof or ()), bytes((number,)) * 32)) for number in range(5)]
    lines = [b'{"envelope":"ucmt","raw":"0x%s"}' % encode_raw(each).hex().encode() for each in (*copies, good, *copies)]
    with Site(tmp_path, "apps.keystore.ucmt:app").serve() as caller:
        answers = caller.submit(*lines)
        assert "executed" == answers[5]["ack"]["status"]
        assert {"envelope_rejected"} == {answer["error"]["data"]["code"] for answer in answers[:5]}
        wait_for(lambda: good.next_hash.hex() in str(caller.call("getEntries", field="roots", limit=10)))
