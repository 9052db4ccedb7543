"""kill -9 of a node at every step of settling: before and after each request to L1, and each write of its own.

One rollup lives through all of it. The proxy kills the node's process when the request that a test names comes by; the
next process goes on. In the end every height is settled once and no acknowledged action is missing.
"""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http.client import HTTPException
from pathlib import Path
from typing import Any

from l1_node_fixtures import Node, RollupSite, Zygote, get_address, run_chain
from microrollup.chain.block import Header
from microrollup.chain.export import decode_block
from microrollup.settlement.attestation import attestation_to_json, create_attestation, sign_attestation
from microrollup.settlement.batch import compute_blob_data_hash, decode_batch
from microrollup.settlement.ethereum.blobs import pack_blobs
from microrollup.settlement.ethereum.kzg import make_sidecar
from microrollup.testing.settlement_harness import make_key
from waiting import SECONDS, wait_for

VERIFIER = make_key("verifier of a node that is killed")

Call = dict[str, Any]
Predicate = Callable[[Call, Any], bool]


def is_preflight(call: Call, _: Any) -> bool:
    """The call of `settleBlobs` as if in the next block."""
    return call["method"] == "eth_call" and "blobVersionedHashes" in call["params"][0]


def is_of(method: str) -> Predicate:
    return lambda call, _: bool(call["method"] == method)


def has_result(method: str) -> Predicate:
    """The receipt of what is included; the logs with the batch's event."""
    return lambda call, result: bool(call["method"] == method and result)


BEFORE: dict[str, Predicate] = {
    "preflight": is_preflight,
    "nonce": is_of("eth_getTransactionCount"),
    "tip": is_of("eth_maxPriorityFeePerGas"),
    "blob fee": is_of("eth_blobBaseFee"),
    "send": is_of("eth_sendRawTransaction"),
    "receipt": is_of("eth_getTransactionReceipt"),
}
"""L1 never hears of the request. Between preflight and nonce the node writes the blobs into its archive."""

AFTER: dict[str, Predicate] = {
    "preflight": is_preflight,
    "send": is_of("eth_sendRawTransaction"),
    "receipt": has_result("eth_getTransactionReceipt"),
    "events": has_result("eth_getLogs"),
}
"""L1 has done it, and the node never hears so. What comes behind the events is the node's own note of the height."""


class Killer:
    """Watches what a node asks L1, and kills it at one request: before L1 hears of it, or after L1 has answered."""

    def __init__(self, site: RollupSite) -> None:
        self._proxy = site.chain.proxy
        self._lock = threading.Lock()
        self._pid = 0
        self._before: Predicate = is_nothing
        self._after: Predicate = is_nothing
        self.killed = threading.Event()
        self._proxy.answer = self._answer  # type: ignore[method-assign]

    def aim(self, pid: int, before: Predicate, after: Predicate) -> None:
        """The next such request ends the process."""
        with self._lock:
            self.killed.clear()
            self._pid, self._before, self._after = pid, before, after

    def _answer(self, body: bytes) -> bytes | None:
        request = json.loads(body)
        calls = request if isinstance(request, list) else [request]
        if any(self._before(call, None) for call in calls) and self._kill():
            return None
        raw = type(self._proxy).answer(self._proxy, body)
        answer = json.loads(raw or b"[]")
        results = {item["id"]: item.get("result") for item in (answer if isinstance(answer, list) else [answer])}
        if any(self._after(call, results.get(call["id"])) for call in calls):
            self._kill()
        return raw

    def _kill(self) -> bool:
        with self._lock:
            if self.killed.is_set():
                return False
            os.kill(self._pid, signal.SIGKILL)
            self._before = self._after = is_nothing
            self.killed.set()
            return True


def is_nothing(_: Call, __: Any) -> bool:
    return False


class Attester(threading.Thread):
    """A verifier elsewhere that attests whatever the node offers; that it is right is checked in the end, from L1."""

    def __init__(self, node: Node, site: RollupSite) -> None:
        super().__init__(daemon=True)
        self._node = Node(node.command)
        self._inbox = bytes.fromhex(site.inbox[2:])
        self._done = threading.Event()

    def run(self) -> None:
        while not self._done.wait(0.05):
            try:
                self._attest()
            except (OSError, HTTPException, AssertionError, ValueError):
                continue  # the node is gone, has nothing to attest, or has it already

    def _attest(self) -> None:
        first = self._node.get_heights()["available"] + 1
        raw = bytes.fromhex(self._node.call("getBatch", firstHeight=first)["batch"][2:])
        last = self._read_header(decode_batch(raw).blocks[-1].open.height)
        data_hash = compute_blob_data_hash(make_sidecar(pack_blobs(raw)).versioned_hashes)
        parent_hash = self._read_header(first).parent_hash
        attestation = create_attestation(parent_hash, first, last, data_hash)
        signed = sign_attestation(VERIFIER, attestation, 31337, self._inbox)
        self._node.call("submitAttestation", attestation=json.loads(attestation_to_json(signed)))

    def _read_header(self, height: int) -> Header:
        (raw,) = self._node.call("getBlocks", **{"from": height, "limit": 1})
        return decode_block(bytes.fromhex(raw[2:])).header

    def stop(self) -> None:
        self._done.set()
        self.join()
        self._node.close()


def test_killed_at_every_step(tmp_path: Path) -> None:
    """Whatever the node was doing, the next one goes on: each height has one event on L1, every acknowledged action its
    place, and L1 alone gives the node's own state.
    """
    with closing(Zygote()) as zygote, run_chain() as chain:
        site = RollupSite(tmp_path, chain, zygote)
        site.deploy("--verifier", get_address(VERIFIER), depth=2)
        killer = Killer(site)
        moments = [*[(each, is_nothing) for each in BEFORE.values()], *[(is_nothing, each) for each in AFTER.values()]]
        for before, after in moments:
            with site.run() as node:
                site.submit(node, 2)
                killer.aim(node.command.pid, before, after)
                with attesting(node, site):
                    assert killer.killed.wait(SECONDS), node.command.read_log()
                assert -signal.SIGKILL == node.command.wait()
        with site.run() as node, attesting(node, site):
            node.wait_until_settled()
            site.check_settled_once(node)
            assert 2 * len(moments) == len(site.acks)
            assert 0 == node.command.stop()
        assert len(moments) >= len(site.read_settled())


def test_stopped_while_a_transaction_waits(tmp_path: Path) -> None:
    """SIGTERM ends a node within seconds, though L1 does not include its batch; the next one finds it settled, once."""
    with closing(Zygote()) as zygote, run_chain() as chain:
        site = RollupSite(tmp_path, chain, zygote)
        site.deploy("--da", "calldata", depth=2)
        with site.run() as node, chain.miner.lock:
            site.submit(node)
            wait_for(lambda: int(chain.anvil.call("txpool_status")["pending"], 16))
            os.kill(node.command.pid, signal.SIGTERM)
            assert 0 == node.command.wait(), node.command.read_log()
            assert "Traceback" not in node.command.log.read_text()
        with site.run() as node:
            assert 1 == node.wait_until_settled()
            assert 1 == len(site.read_settled())
            assert [] == node.command.read_log("l1_sent")


@contextmanager
def attesting(node: Node, site: RollupSite) -> Iterator[None]:
    attester = Attester(node, site)
    attester.start()
    try:
        yield
    finally:
        attester.stop()
