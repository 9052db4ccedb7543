"""Methods of an app's own: one for each thing that they may do, and some that go wrong."""

from __future__ import annotations

import threading
import time

import msgspec

from hostile_rollup import Tally
from microrollup import Address, Bytes, Bytes32, NodeView, Uint64, View, http_route, require

RELEASED = threading.Event()
"""`stall` answers when it is set."""


class Counted(msgspec.Struct, frozen=True):
    """What became of an action."""

    action_hash: Bytes32
    seq: Uint64
    status: str
    total: Uint64
    """At the newest closed block."""
    level: str


def count_now(node: NodeView, line: Bytes) -> Counted:
    """Take a signed action, and tell where it stands."""
    ack = node.submit(line)
    receipt = node.get_receipt(ack.action_hash)
    assert receipt == node.get_receipt(ack.seq) == node.list_receipts(ack.seq, 10)[0]
    return Counted(
        ack.action_hash, ack.seq, receipt.status, node.get_value("total"), node.get_confirmation(ack.action_hash).level
    )


@http_route("GET /look/{number}/at-{height}.json", "POST /look", "POST /look/{number}")
def look(node: NodeView, number: Uint64, height: Uint64) -> list[Uint64]:
    """A value in three ways, and where it was read."""
    view: View[Tally] = node.view(height)
    proof = node.prove("counts", number, height)
    header = node.get_header(height)
    assert header.state_root == proof.state_root == node.get_block(height).header.state_root
    assert node.get_confirmation(header.height).height == header.height <= node.height
    return [
        view.state.counts.get(number, 0),
        node.get_value("counts", number, height) or 0,
        proof.stored or 0,
        view.height,
    ]


@http_route("GET /nonce/{who}", any_origin=True)
def next_nonce(node: NodeView, who: Address) -> Uint64:
    """The next nonce."""
    return node.get_nonce(who)


@http_route("GET /far")
def too_far(node: NodeView) -> Uint64:
    """What is not there."""
    return node.get_header(10**6).height


@http_route("GET /unsure", "POST /unsure", any_origin=True)
def unsure(node: NodeView) -> Uint64:
    """Rejects."""
    require(False, "not today")
    return 1


@http_route("GET /breaks")
def breaks(node: NodeView) -> Uint64:
    """A fault of its own."""
    return 1 // len(b"")


@http_route("GET /lies")
def lies(node: NodeView) -> Uint64:
    """Of another type."""
    return "1"  # type: ignore[return-value]


@http_route("GET /toil/{milliseconds}")
def toil(node: NodeView, milliseconds: Uint64) -> Uint64:
    """Works for so long."""
    began = time.thread_time_ns()
    while time.thread_time_ns() - began < milliseconds * 1_000_000:
        pass
    return node.height


@http_route("GET /stall")
def stall(node: NodeView) -> Uint64:
    """Takes its time."""
    RELEASED.wait(30)
    return node.settled


@http_route("POST /stall")
def stall_after(node: NodeView, line: Bytes) -> Uint64:
    """Takes an action first."""
    node.submit(line)
    return stall(node)
