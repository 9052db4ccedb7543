"""What a real node that settles on a real L1 tells whoever is on call: metrics, health, alerts."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from alert_rules import list_firing, read_rules
from declared_names import find_metrics
from l1_node_fixtures import Node, RollupSite, Zygote, run_chain
from promql import Samples
from waiting import SECONDS, wait_for

RULES = read_rules()
ETHER = 10**18
ELSEWHERE = ("microrollup_replication_", "microrollup_follower_")
"""Metrics of members of a replicated log, and of followers."""


class Scene:
    """A node, its L1, and what Prometheus would have seen of it."""

    def __init__(self, site: RollupSite, node: Node) -> None:
        self.site = site
        self.node = node
        self.proxy = site.chain.proxy

    def scrape(self) -> str:
        status, body = self.node.get("/metrics")
        assert 200 == status
        return body.decode()

    def read(self, name: str, **labels: str) -> float:
        for family in text_string_to_metric_families(self.scrape()):
            for sample in family.samples:
                if sample.name == name and sample.labels == labels:
                    return float(sample.value)
        assert labels, name
        return 0.0  # nobody has counted it yet

    def find_alerts(self, *before: str) -> set[str]:
        """What fires within 20 minutes in which the node stays as it is; `before` are earlier answers, in order."""
        text, samples = self.scrape(), Samples()
        for index in range(81):
            chosen = before[index] if index < len(before) else text
            samples.scrape(chosen, 15.0 * index, instance="node", job="microrollup")
        times = (600.0, 1_200.0)
        return {name for name, rule in RULES.items() if any(list_firing(rule, samples, times).values())}

    @contextmanager
    def hanging(self) -> Iterator[None]:
        """L1 takes questions and does not answer, until the end."""
        released = threading.Event()

        def hang(_: bytes) -> None:
            released.wait(SECONDS)

        self.proxy.answer = hang  # type: ignore[method-assign]
        try:
            yield
        finally:
            del self.proxy.answer
            released.set()

    def fund(self, wei: int) -> None:
        self.site.chain.anvil.call("anvil_setBalance", self.payer["address"], hex(wei))

    @property
    def payer(self) -> dict[str, Any]:
        found: dict[str, Any] = wait_for(lambda: self.node.read_health()["settling"]["payer"])
        return found


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """A keystore that settles in calldata. L1's blocks are a day old at first, as those of a node that is syncing."""
    with closing(Zygote()) as zygote, run_chain() as chain:
        site = RollupSite(tmp_path_factory.mktemp("on-call"), chain, zygote)
        site.deploy("--da", "calldata")
        with site.run("--verbose") as node:
            found = Scene(site, node)
            site.submit(node)
            node.wait_until_settled()
            wait_for(lambda: (found.payer["runway"] or 0) > 0)
            yield found
            assert 0 == node.command.stop()


def test_each_metric_is_there_and_typed(scene: Scene) -> None:
    """Prometheus' own parser reads the answer; each metric that the source declares is in it, with type and help."""
    families = {family.name: family for family in text_string_to_metric_families(scene.scrape())}
    declared = {name for name in find_metrics() if not name.startswith(ELSEWHERE)}
    assert declared == {name for name in families if not name.endswith("_created")}
    assert {"counter", "gauge", "histogram"} == {families[name].type for name in declared}
    assert all(families[name].documentation for name in declared)
    assert all(families[name].samples for name in declared)


def test_an_l1_that_is_far_behind_alerts(scene: Scene) -> None:
    """Its newest block is a day old. Once it has caught up, nothing fires."""
    assert scene.read("microrollup_l1_head_age_seconds") > 3_600
    assert "L1HeadStale" in scene.find_alerts()
    anvil = scene.site.chain.anvil
    with scene.site.chain.miner.lock:
        anvil.call("anvil_setBlockTimestampInterval", 1)
        anvil.call("evm_setNextBlockTimestamp", int(time.time()))
    scene.site.submit(scene.node)
    scene.node.wait_until_settled()
    wait_for(lambda: scene.read("microrollup_l1_head_age_seconds") < 60)
    assert set() == scene.find_alerts()


def test_a_payer_without_ether_alerts(scene: Scene) -> None:
    """L1 takes none of its transactions: failing to settle, and why, and that there is nothing left. Ether ends it."""

    def count_failures() -> float:
        return scene.read("microrollup_settlement_failures_total", kind="TransactionRefused")

    wait_for(lambda: scene.node.read_health()["settling"]["payer"]["batchCost"])
    left = 4 * scene.node.read_health()["settling"]["payer"]["batchCost"]  # L1 wants the whole gas limit covered
    scene.fund(left)
    scene.site.submit(scene.node)
    wait_for(count_failures)
    early, failures = scene.scrape(), count_failures()
    wait_for(lambda: count_failures() > failures + 2)
    wait_for(lambda: scene.read("microrollup_payer_runway_batches") < 1)
    assert {"PayerLow", "PayerOutOfEther", "SettlementFailing"} == scene.find_alerts(early)
    settling = scene.node.read_health()["settling"]
    assert "TransactionRefused" == settling["failure"]["kind"]
    assert settling["failure"]["count"] > 2
    assert (left, 0.0) == (settling["payer"]["balance"], settling["payer"]["runway"])
    scene.fund(100 * ETHER)
    scene.node.wait_until_settled()
    wait_for(lambda: scene.read("microrollup_payer_balance_ether") > 99)
    assert set() == scene.find_alerts()
    assert scene.node.read_health()["settling"]["failure"] is None
    cost, runway = (scene.read(f"microrollup_{name}") for name in ("batch_cost_ether", "payer_runway_batches"))
    assert runway == pytest.approx(scene.read("microrollup_payer_balance_ether") / cost, rel=0.5)


def test_a_transaction_that_waits_is_shown(scene: Scene) -> None:
    """Its age, nonce and fee, until L1 includes it."""
    with scene.site.chain.miner.lock:
        scene.site.submit(scene.node)
        wait_for(lambda: scene.read("microrollup_pending_transaction_age_seconds") > 0)
        pending = scene.node.read_health()["settling"]["pending"]
        (sent,) = [each for each in scene.node.command.read_log("l1_sent") if each["nonce"] == pending["nonce"]]
        assert (sent["transaction"], sent["cap"]) == (pending["transactionHash"], pending["feePerGas"])
        assert pending["feePerGas"] == scene.read("microrollup_pending_transaction_fee_per_gas_wei")
        wait_for(lambda: scene.read("microrollup_unsettled_age_seconds") > 0)
    scene.node.wait_until_settled()
    wait_for(lambda: scene.read("microrollup_pending_transaction_age_seconds") == 0)
    assert scene.node.read_health()["settling"]["pending"] is None
    wait_for(lambda: scene.read("microrollup_unsettled_age_seconds") == 0)


def test_an_l1_that_does_not_answer_keeps_nobody_waiting(scene: Scene) -> None:
    """`/metrics` and `/health` are answered while every question to L1 hangs, and the age of what it said rises."""
    with scene.hanging():
        wait_for(lambda: scene.node.command.read_log("not_observed"))
        known = scene.read("microrollup_payer_age_seconds")
        assert known < wait_for(lambda: scene.read("microrollup_payer_age_seconds"))
        assert int(scene.payer["balance"]) > 0
        scene.site.submit(scene.node)
    scene.node.wait_until_settled()
    wait_for(lambda: scene.read("microrollup_payer_age_seconds") < known)
