"""A node that upgrades: it ends and is made anew under the next version, and shows blocks of both."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
import structlog

from kernel_fixtures import make_key
from microrollup import Action, MicroRollup
from microrollup.crypto.ecdsa import compute_address
from microrollup.deployment.announcing import announce_code
from microrollup.deployment.directory import VerifierChoice, open_rollup
from microrollup.errors import DomainChanged, UsageError
from microrollup.node.options import NodeOptions
from microrollup.node.runtime import Node
from microrollup.node.upgrade_watch import UpgradeWatch
from microrollup.sequencer.sequencer import Sequenced
from microrollup.settlement.local import SECONDS_PER_BLOCK, LocalSettlement
from microrollup.testing.signing import sign_action
from node_fixtures import BUILDER_KEY, FAST, Site, serve_node
from shop import v1, v2, v3, v4
from waiting import wait_for

UPGRADING = msgspec.structs.replace(FAST, upgrade=True)


def sign(version: MicroRollup, action: Action, nonce: int) -> bytes:
    return sign_action(version, action, nonce, make_key("alice"), version.make_domain())


def submit(node: Node, line: bytes) -> Any:
    (result,) = node.submit([line]).result(60)
    return result


def announce(site: Site, node: Node, version: MicroRollup) -> None:
    assert isinstance(node.l1, LocalSettlement)
    node.l1.announce_code(version.stf_id, caller=compute_address(BUILDER_KEY), delay_blocks=0)
    site.ahead += 2 * SECONDS_PER_BLOCK


def test_a_node_upgrades(tmp_path: Path) -> None:
    site = Site(tmp_path, "shop.v3", verifiers=1)
    with site.open(options=UPGRADING) as node, serve_node(node) as caller:
        assert isinstance(submit(node, sign(v1.app, v1.Deposit(250), 0)), Sequenced)
        late = sign(v1.app, v1.Deposit(5), 2)  # waits for a nonce that never comes
        waiting = node.submit([late])
        wait_for(lambda: caller.call("height")["latest"] == 1)
        called: list[int] = []
        node.on_upgrade = lambda: called.append(1)
        announce(site, node, v2.app)
        wait_for(lambda: node.has_upgraded)
        wait_for(lambda: bool(called))
        (refusal,) = waiting.result(60)
        assert isinstance(refusal, DomainChanged)
    with site.open(verifiers=1, options=UPGRADING) as node, serve_node(node) as caller:
        assert v2.app is node.rollup
        config = caller.call("config")
        assert ("2", "2") == (config["version"], config["domain"]["version"])
        assert {"orders": 3, "accounts": 1, "labels": 2, "total": 0} == {
            field["name"]: field["number"] for field in config["fields"] if field["settled"]
        }
        assert "sender_required" == submit(node, without_sender(sign(v2.app, v2.Order(7), 1))).code
        assert "sender_mismatch" == submit(node, sign(v1.app, v1.Deposit(1), 1)).code
        assert isinstance(submit(node, sign(v2.app, v2.Order(7), 1)), Sequenced)
        wait_for(lambda: caller.call("height")["verified"] == 3)
        sender = json.loads(sign(v1.app, v1.Deposit(1), 1))["sender"]
        found = [caller.call("getState", field="accounts", key=sender, height=height) for height in (1, 2, 3)]
        assert [{"balance": 250}, {"balance": 250, "level": 2}] == [each["value"] for each in found[:2]]
        assert ["0x" + "00" * 31 + "02"] == [
            entry["value"] for entry in caller.call("getEntries", field="labels", height=2)["entries"]
        ]
        proof = caller.call("getProof", field="accounts", key=sender, height=1)
        assert proof["treeKey"] == caller.call("getProof", field="accounts", key=sender, height=3)["treeKey"]
        blocks = [caller.call("getBlock", height=height, withChanges=True) for height in (1, 2, 3)]
        assert [["Deposit"], [None], ["Order"]] == [[each["type"] for each in block["actions"]] for block in blocks]
        assert ["signed", "upgrade", "signed"] == [block["actions"][0]["origin"] for block in blocks]
        assert [3, 0, 1] == [len(block["actions"][0]["changes"]) for block in blocks]
        upgrade = caller.call("getReceipt", hash=blocks[1]["actions"][0]["hash"])
        assert {"accounts": 1} == upgrade["events"][0]["fields"]
        deposit = caller.call("getReceipt", hash=blocks[0]["actions"][0]["hash"])
        assert ("Deposited", {"balance": 250}) == (deposit["events"][0]["name"], deposit["events"][0]["fields"])
        assert "upgrade" == caller.call("getAction", hash=blocks[1]["actions"][0]["hash"])["origin"]


def without_sender(line: bytes) -> bytes:
    document = json.loads(line)
    del document["sender"]
    return msgspec.json.encode(document)


def test_without_consent_a_node_stops_taking_actions(tmp_path: Path) -> None:
    site = Site(tmp_path, "shop.v3")
    with site.open(options=NodeOptions(timing=FAST.timing)) as node:
        announce(site, node, v2.app)
        wait_for(lambda: node.stopped is not None)
        assert "run --upgrade" in str(node.stopped)


def test_announcing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = tmp_path / "data"
    with open_rollup(data, v1.app, verifiers=VerifierChoice()):
        pass
    with pytest.raises(UsageError, match="version 1 is the code in force"):
        announce_code(data, v1.app)
    announced = announce_code(data, v2.app, 1_000)
    assert (v2.app.version, "executed", "", 3) == (
        announced.version, announced.outcome, announced.reason, announced.rows
    )  # fmt: skip
    with open_rollup(data, v2.app) as opened, structlog.testing.capture_logs() as logs:
        assert announced.effective == opened.l1.get_code_since(1 << 40)
        for app in (v2.app, v1.app):  # what the first one logs is no warning
            opened.ledger.app = app
            watch = UpgradeWatch(opened.ledger, opened.l1)
            for _ in range(2):
                watch.look()
                watch.join()
        assert ["announced_code_missing"] == [each["event"] for each in logs if each["log_level"] == "warning"]


def test_queries_of_a_version_read_its_own_heights(tmp_path: Path) -> None:
    """What a version's query would not understand is refused with `other_code`; the earlier version has no queries."""
    site = Site(tmp_path, "shop.v4")
    with site.open(options=UPGRADING) as node, serve_node(node) as caller:
        assert node.readers is None
        assert isinstance(submit(node, sign(v1.app, v1.Deposit(250), 0)), Sequenced)
        wait_for(lambda: caller.call("height")["latest"] == 1)
        announce(site, node, v4.app)
        wait_for(lambda: node.has_upgraded)
    with site.open(options=UPGRADING) as node, serve_node(node) as caller:
        assert isinstance(submit(node, sign(v4.app, v3.See(), 1)), Sequenced)
        wait_for(lambda: caller.call("height")["latest"] == 3)

        def query(height: int) -> dict[str, Any]:
            request = {"jsonrpc": "2.0", "id": 1, "method": "shop_countBlocks", "params": {"height": height}}
            found: dict[str, Any] = json.loads(caller.post(msgspec.json.encode(request))[1])
            return found

        assert [0, 1] == [query(height)["result"] for height in (2, 3)]
        refused = query(1)["error"]["data"]
        assert {"code": "other_code", "detail": "block 1 has a state of another version of the app"} == refused
