"""A signed action that was carried through the inbox, as a node serves it."""

from __future__ import annotations

from pathlib import Path

import msgspec

from kernel_fixtures import make_key, make_steps
from microrollup.crypto.ecdsa import compute_address
from microrollup.execution.payload import encode_carried_payload
from microrollup.settlement.forced import compute_forced_id
from microrollup.settlement.local import SECONDS_PER_BLOCK
from node_fixtures import Site, to_line
from waiting import wait_for


def test_a_node_serves_it(tmp_path: Path) -> None:
    """By both identities: signer, message, signature and place in the queue. A copy is refused, the next is taken."""
    site = Site(tmp_path)
    signed, later = (site.signer.sign(make_steps(("set_ticket", 5, 50))) for _ in range(2))
    hostile = site.signer.sign(make_steps(("set_ticket", 5, 51)), nonce=9)
    with site.serve() as caller:
        l1 = caller.node.l1
        index = l1.force(encode_carried_payload(signed.record), sender=b"\x07" * 20)
        l1.force(encode_carried_payload(hostile.record), sender=b"\x07" * 20)
        site.ahead += 3 * SECONDS_PER_BLOCK
        wait_for(lambda: caller.call("height")["latest"] >= 1)
        queue_hash = f"0x{compute_forced_id(caller.node.rollup_id, index).hex()}"
        action = caller.call("getAction", hash=f"0x{signed.action_hash.hex()}")
        assert action == caller.call("getAction", hash=queue_hash)
        sender = f"0x{compute_address(make_key('alice')).hex()}"
        assert (queue_hash, sender, "signed", "Edit", "0") == (
            action["hash"], action["sender"], action["origin"], action["type"], str(action["message"]["nonce"]),
        )  # fmt: skip
        assert str(index) == str(action["forced"]["index"])
        assert action["signature"] is not None
        receipt = caller.call("getReceipt", hash=f"0x{signed.action_hash.hex()}")
        assert (queue_hash, sender, "executed") == (receipt["actionHash"], receipt["sender"], receipt["status"])
        invalid = caller.call("getAction", hash=f"0x{compute_forced_id(caller.node.rollup_id, 1).hex()}")
        assert ("l1", None, None) == (invalid["origin"], invalid["type"], invalid["signature"])
        block = caller.call("getBlock", height=1, withChanges=True)
        assert [("signed", "Edit"), ("l1", None)] == [(entry["origin"], entry["type"]) for entry in block["actions"]]
        assert [1, 0] == [len(entry["changes"]) for entry in block["actions"]]
        error = caller.ask("submitAction", action=msgspec.Raw(to_line(site, signed)))["error"]
        assert ("duplicate", "0") == (error["data"]["code"], str(error["data"]["seq"]))
        assert "executed" == caller.call("submitAction", action=msgspec.Raw(to_line(site, later)))["status"]
