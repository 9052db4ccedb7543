"""The block's own entry over RPC, and the blocks without actions in which it runs."""

from __future__ import annotations

from pathlib import Path

import pytest

import alarms
from alarms import Wake
from microrollup.chain.block import compute_rollup_id
from microrollup.chain.block_entry import compute_block_entry_id
from microrollup.chain.receipt_proof import check_receipt_proof, receipt_proof_from_json
from microrollup.node.options import NodeOptions
from microrollup.node.writer import WriterOptions
from node_fixtures import FAST, Caller, Site, subscribe, to_line
from waiting import wait_for

OPEN = NodeOptions(timing=WriterOptions(block_seconds=60, poll_seconds=60))
EMPTY = NodeOptions(timing=WriterOptions(block_seconds=0.05, poll_seconds=60, empty_seconds=0.1))
ZERO = "0x" + "00" * 20


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path, "alarms:app")


def identify(site: Site, height: int) -> str:
    """The identity of the block's own entry."""
    return "0x" + compute_block_entry_id(compute_rollup_id(site.genesis), height).hex()


def get_height(caller: Caller) -> int:
    """Of the newest closed block."""
    return int(caller.call("height")["latest"])


def test_the_entry_is_told(site: Site) -> None:
    """As action and receipt by its identity, while its block is open and afterwards; to subscribers; in its block with
    what it changed; and in a proof.
    """
    with site.serve(options=OPEN) as caller, caller.connect() as socket:
        subscribe(socket, "receipts")
        (answer,) = caller.submit(to_line(site, site.signer.sign(Wake(0))))
        assert 1 == int(answer["ack"]["seq"])
        identity = identify(site, 1)
        for _ in range(2):
            action = caller.call("getAction", hash=identity)
            found = [action[name] for name in ("origin", "type", "message", "signature", "sender", "seq")]
            assert ["block", None, None, None, ZERO, "0"] == [*found[:5], str(found[5])]
            receipt = caller.call("getReceipt", hash=identity)
            assert (identity, "executed", None) == (receipt["actionHash"], receipt["status"], receipt["type"])
            caller.node._writer.ask(lambda sequencer: sequencer.close_block()).result()
            wait_for(lambda: get_height(caller) == 1)
        block = caller.call("getBlock", height=1, withChanges=True)
        own, signed = block["actions"]
        assert ("block", "signed", identity) == (own["origin"], signed["origin"], own["hash"])
        assert ["runs"] == [change["field"] for change in own["changes"]]
        proof = receipt_proof_from_json(caller.call("getReceiptProof", hash=identity))
        checked = check_receipt_proof(proof, rollup_id=compute_rollup_id(site.genesis))
        assert (0, identity) == (checked.receipt.seq, f"0x{checked.receipt.action_hash.hex()}")
        assert "no action" in caller.fail("getReceipt", hash=identify(site, 2))[1]


def test_blocks_without_actions(site: Site) -> None:
    """With `empty_seconds` they follow one another while nothing comes in, and the hook rings what is due."""
    with site.serve(options=FAST) as caller:
        caller.submit(*[to_line(site, site.signer.sign(Wake(0))) for _ in range(alarms.RUNG_AT_ONCE + 2)])
        wait_for(lambda: get_height(caller) == 1)
    with site.serve(options=EMPTY) as caller:
        wait_for(lambda: get_height(caller) >= 3)
        value = caller.call("getState", field="rung")
        assert alarms.RUNG_AT_ONCE + 2 == int(value["value"])
        events = caller.call("getReceipt", hash=identify(site, 3))["events"]
        assert ["Rang", "Rang"] == [event["name"] for event in events]
        assert {"number": "4", "owner": caller.call("getReceipt", seq=1)["sender"]} == {
            name: str(value) for name, value in events[0]["fields"].items()
        }
