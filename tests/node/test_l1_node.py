"""A running node while its L1 loses answers, doubles requests, asks for more, is away, or lies about its head.

After each of these everything that was acknowledged is settled, once, and the log says what went on.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest

from l1_node_fixtures import Chain, Node, RollupSite, Zygote, run_chain
from microrollup.settlement.ethereum.header_hash import compute_header_hash
from waiting import wait_for

GWEI = 10**9


class Scene:
    """A node that settles through a proxy."""

    def __init__(self, site: RollupSite, node: Node) -> None:
        self.site = site
        self.chain: Chain = site.chain
        self.proxy = site.chain.proxy
        self.node = node
        self._logged = 0

    def settle(self) -> None:
        """Take actions and settle them: as many batches as it takes, none of them twice."""
        self.site.submit(self.node)
        height = self.node.wait_until_settled("available")
        ranges = [(event.first_height, event.last_height) for event in self.site.read_settled()]
        assert list(range(1, height + 1)) == [each for first, last in ranges for each in range(first, last + 1)]

    def read_news(self, event: str) -> list[dict[str, Any]]:
        """What was logged of an event since the test began."""
        return [each for each in self.node.command.read_log()[self._logged :] if each["event"] == event]

    def wait_for_news(self, event: str) -> dict[str, Any]:
        found: dict[str, Any] = wait_for(lambda: self.read_news(event))[-1]
        return found

    def begin(self) -> None:
        self._logged = len(self.node.command.read_log())

    @contextmanager
    def answering(self, answer: Callable[[bytes], bytes | None]) -> Iterator[None]:
        """Let the proxy answer in another way for a while."""
        self.proxy.answer = answer  # type: ignore[method-assign]
        try:
            yield
        finally:
            del self.proxy.answer


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """A keystore that settles in calldata; a fee that does not suffice is raised after a second. In the end L1 alone
    gives the node's state, with every acknowledged action at its place.
    """
    with closing(Zygote()) as zygote, run_chain() as chain:
        site = RollupSite(tmp_path_factory.mktemp("faults"), chain, zygote)
        site.deploy("--da", "calldata")
        site.tune(bumpSeconds=1.0)
        with site.run() as node:
            yield Scene(site, node)
            node.wait_until_settled()
            site.check_settled_once(node)
            assert 0 == node.command.stop()


@pytest.fixture
def scene(running: Scene) -> Iterator[Scene]:
    """Afterwards the node takes actions, and no verifier has found anything."""
    running.begin()
    yield running
    assert "open" == running.node.read_health()["intake"]
    assert [] == running.read_news("divergence")


def test_the_last_batch_before_a_pause(scene: Scene) -> None:
    """Blocks come while a batch settles, and then none: the verifier, whose view of L1 is a moment behind the node's,
    attests what is left all the same.
    """
    for _ in range(4):
        height = scene.site.submit(scene.node, 2)[-1]["height"]
        wait_for(lambda height=height: scene.node.get_heights()["latest"] >= height)
    scene.settle()


def test_timeout_after_success(scene: Scene) -> None:
    """L1 takes the transaction, and no answer comes back, however often it is asked: its hash tells."""
    scene.proxy.lose["eth_sendRawTransaction"] = 3
    scene.settle()
    assert 1 == len(scene.read_news("l1_send_unanswered"))
    assert 0 == scene.proxy.lose["eth_sendRawTransaction"]


def test_duplicate_submission(scene: Scene) -> None:
    """Each transaction reaches L1 twice: it is included once, and nothing is wrong."""
    scene.proxy.double.add("eth_sendRawTransaction")
    scene.settle()
    scene.proxy.double.clear()
    assert [] == [each for each in scene.node.command.read_log() if each["level"] == "error"]


def test_stuck_fee(scene: Scene) -> None:
    """L1's base fee rises above what the transaction offers: it is replaced by one that offers more, at its nonce."""
    with scene.chain.miner.lock:
        scene.site.submit(scene.node)
        sent = scene.wait_for_news("l1_sent")
        scene.chain.anvil.call("anvil_setNextBlockBaseFeePerGas", hex(5 * GWEI))
        scene.chain.anvil.call("evm_mine")
        raised = scene.wait_for_news("l1_fee_raised")
        wait_for(lambda: len(scene.read_news("l1_sent")) > 1)
    assert raised["nonce"] == sent["nonce"]
    assert sent["cap"] < 5 * GWEI < raised["cap"]
    scene.settle()


def test_unreachable(scene: Scene) -> None:
    """While L1 is away, actions are acknowledged and blocks closed as before, and nothing settles; then all does."""
    with scene.answering(lambda body: None):
        assert "no answer from L1" in scene.wait_for_news("l1_not_followed")["reason"]
        settled = scene.node.get_heights()["settled"]
        for _ in range(3):
            height = scene.site.submit(scene.node)[-1]["height"]
            wait_for(lambda height=height: scene.node.get_heights()["latest"] >= height)
        assert settled == scene.node.get_heights()["settled"]
        assert 200 == scene.node.get("/health")[0]
    scene.wait_for_news("l1_followed_again")
    scene.settle()


def answer_latest(scene: Scene, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Callable[[bytes], bytes | None]:
    """The truth but for L1's newest block."""

    def rewrite(params: list[Any], result: Any) -> Any:
        return change(result) if params[0] == "latest" else result

    def answer(body: bytes) -> bytes | None:
        scene.proxy.rewrite["eth_getBlockByNumber"] = rewrite
        try:
            return type(scene.proxy).answer(scene.proxy, body)
        finally:
            scene.proxy.rewrite.clear()

    return answer


def test_head_goes_back(scene: Scene) -> None:
    """L1 shows an older head for a while: what was known stays known, and nothing settles a second time."""
    number = scene.chain.get_number() - 5
    old = scene.chain.anvil.call("eth_getBlockByNumber", hex(number), False)
    with scene.answering(answer_latest(scene, lambda _: old)):
        told = scene.wait_for_news("l1_head_went_back")
        assert told["told"] == number < told["known"]
        acks = scene.site.submit(scene.node)
        assert 3 == len(acks)
        assert scene.node.call("status")["l1"]["number"] > number
    scene.settle()
    assert [] == scene.read_news("l1_reorg")


def test_head_jumps_ahead(scene: Scene) -> None:
    """L1 claims a head a thousand blocks on, which nobody ever mined: it is not believed, and intake goes on."""

    def jump(block: dict[str, Any]) -> dict[str, Any]:
        return block | {"number": hex(int(block["number"], 16) + 1000), "hash": f"0x{'bb' * 32}"}

    with scene.answering(answer_latest(scene, jump)):
        assert "cannot be right" in scene.wait_for_news("l1_not_followed")["reason"]
        assert 3 == len(scene.site.submit(scene.node))
        assert scene.node.call("status")["l1"]["number"] <= scene.chain.get_number() + 1
    scene.wait_for_news("l1_followed_again")
    scene.settle()


class MadeUp:
    """L1 with blocks on top that nobody mined; whatever is asked about them is answered as for the real head."""

    def __init__(self, scene: Scene, count: int) -> None:
        self._scene = scene
        head = scene.chain.anvil.call("eth_getBlockByNumber", "latest", False)
        self.first = int(head["number"], 16) + 1
        self.blocks: dict[int, dict[str, Any]] = {}
        self._real = head["hash"]
        for number in range(self.first, self.first + count):
            time = hex(int(head["timestamp"], 16) + 12)
            made = head | {"number": hex(number), "parentHash": head["hash"], "timestamp": time}
            block_hash = compute_header_hash(made)
            assert block_hash is not None
            head = self.blocks[number] = made | {"hash": f"0x{block_hash.hex()}"}

    def answer(self, body: bytes) -> bytes | None:
        request = json.loads(body)
        calls = request if isinstance(request, list) else [request]
        told: dict[int, Any] = {}
        hashes = {block["hash"] for block in self.blocks.values()}
        for call in calls:
            params = call["params"]
            if call["method"] == "eth_getBlockByNumber":
                made = self.blocks.get(max(self.blocks) if params[0] == "latest" else int(params[0], 16))
                told |= {} if made is None else {call["id"]: made}
            elif call["method"] == "eth_getLogs" and int(params[0]["fromBlock"], 16) >= self.first:
                told[call["id"]] = []
            elif call["method"] == "eth_getLogs" and int(params[0]["toBlock"], 16) >= self.first:
                params[0]["toBlock"] = hex(self.first - 1)
            elif call["method"] == "eth_call" and isinstance(params[1], dict) and params[1].get("blockHash") in hashes:
                params[1] = {"blockHash": self._real}
        raw = type(self._scene.proxy).answer(self._scene.proxy, json.dumps(request).encode())
        if raw is None:
            return None
        answer = json.loads(raw)
        for item in answer if isinstance(answer, list) else [answer]:
            if item["id"] in told:
                item.pop("error", None)
                item["result"] = told[item["id"]]
        return json.dumps(answer).encode()


def test_made_up_blocks(scene: Scene) -> None:
    """L1 shows three blocks that hang together and were never mined: they are believed, for nobody could tell, but the
    node stays behind them, so that it loses nothing when the truth comes out: that is a reorg within its buffer.
    """
    with scene.chain.miner.lock:
        wait_for(lambda: scene.node.call("status")["l1"]["number"] == scene.chain.get_number() + 1)
        lie = MadeUp(scene, 3)
        with scene.answering(lie.answer):
            wait_for(lambda: scene.node.call("status")["l1"]["number"] == lie.first + 3)
            height = scene.node.get_heights()["latest"]
            scene.site.submit(scene.node)
            wait_for(lambda: scene.node.get_heights()["latest"] > height)
        assert scene.node.call("getHeader")["l1Origin"] < lie.first
    reorg = scene.wait_for_news("l1_reorg")
    assert (lie.first, False) == (reorg["first"], reorg["deeper_than_buffer"])
    scene.settle()
