"""A node whose L1 does not answer at its start serves what it has, and goes on as a builder once L1 is there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from urllib.parse import urlsplit

import msgspec
import pytest

from l1_node_fixtures import RollupSite, Zygote, run_chain
from tcp_relay import Relay
from waiting import wait_for


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RollupSite]:
    with closing(Zygote()) as zygote, run_chain() as chain:
        site = RollupSite(tmp_path_factory.mktemp("away"), chain, zygote)
        site.deploy("--da", "calldata")
        yield site


def test_reads_go_on_without_l1(site: RollupSite) -> None:
    """A killed node starts while its L1 is away: it proves what settled, knows what it acknowledged in the open block,
    and refuses actions with the reason. Once L1 answers it takes them at the same address, and settles.
    """
    port = urlsplit(site.chain.proxy.url).port
    assert port is not None
    with closing(Relay(port)) as relay:
        named = ("--l1-url", f"http://127.0.0.1:{relay.port}")
        with site.run(*named) as node:
            first = site.submit(node)[0]
            settled = node.wait_until_settled()
        with site.run(*named, "--block-time", "1h") as node:
            (open_ack,) = site.submit(node, 1)
            node.command.kill()
        relay.cut()
        with site.run(*named) as node:
            status, raw = node.get("/health")
            health = json.loads(raw)
            assert (503, "stopped") == (status, health["intake"])
            assert "no answer from L1" in health["reason"]
            assert "once L1 answers" in health["reason"]
            assert settled == health["height"]["settled"] == node.get_heights()["latest"]
            assert first["seq"] == node.call("getReceipt", hash=first["actionHash"])["seq"]
            assert open_ack["seq"] == node.call("getReceipt", hash=open_ack["actionHash"])["seq"]
            assert settled == node.call("getConfirmation", height=settled)["height"]
            lines = site.make_lines(1)
            code, message = node.fail("submitActions", actions=[msgspec.Raw(line) for line in lines])
            assert (-32003, True) == (code, "no answer from L1" in message)
            assert b"microrollup_intake_open 0.0" in node.get("/metrics")[1]
            relay.mend()
            wait_for(lambda: len(node.command.read_all()) > 1)
            wait_for(lambda: "open" == node.read_health()["intake"])
            site.acks += [answer["ack"] for answer in node.submit(*lines)]
            node.wait_until_settled()
            site.check_settled_once(node)
            assert 0 == node.command.stop()
            assert ["l1_away", "l1_back"] == [each["event"] for each in node.command.read_log("l1_away", "l1_back")]
