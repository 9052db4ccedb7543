"""A node under load over loopback, short: what is acknowledged is counted the same everywhere, an action alone gets a
commit of its own, and a thousand subscribers cost a bounded amount of memory. The benchmarks measure the same at size.
"""

import json
import socket
import struct
from contextlib import ExitStack

import pytest

from benchmarks.node_load import (
    hold_subscribers,
    make_lines,
    submit_batches,
    submit_over_socket,
    submit_singly,
    watch_levels,
)
from benchmarks.node_process import run_node
from microrollup.rpc.limits import RpcLimits
from node_fixtures import Site, receive, subscribe
from waiting import wait_for

SUBSCRIBERS = 1_000
SUBSCRIBER_BYTES = 80_000
"""So much memory a connection with an idle subscription may cost."""


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    with run_node(tmp_path_factory.mktemp("load") / "data", "--block-time", "100ms") as node:
        yield node


def read_counts(node):
    """Actions as the metrics, the headers and the log have them."""
    executed = node.read_metrics().get('microrollup_actions_total{outcome="executed"}', 0)
    with node.connect() as client:
        header = client.call("getHeader")
        return executed, header["firstSeq"] + header["actionCount"]


def report(name, load):
    print(name, load.describe())  # noqa: T201 - shown with -s, beside what the benchmarks measure
    assert 0 < load.find(0.5) <= load.find(0.9) <= load.find(0.99)


def test_counts_agree(node):
    """Batches, single calls and a WebSocket: all that clients counted is in the metrics and in the closed blocks."""
    before = read_counts(node)
    with watch_levels(node) as levels:
        loads = {
            "batches": submit_batches(node, [make_lines(500, 0), make_lines(500, 1_000)], 100),
            "singly": submit_singly(node, [make_lines(60, 2_000 + 100 * number) for number in range(4)]),
            "socket": submit_over_socket(node, make_lines(300, 3_000), 32),
        }
    total = sum(load.actions for load in loads.values())
    assert 1_540 == total
    assert (before[0] + total, before[1] + total) == read_counts(node)
    for name, load in loads.items():
        report(name, load)
        told = [levels.find_latencies(load, level) for level in ("C1", "C2", "C3A", "C3B")]
        assert [len(load.latencies)] * 4 == [len(each) for each in told], "each level of each block was told"
        medians = [each[len(each) // 2] for each in told]
        assert sorted(medians) == medians
    assert levels.find_lags("C2")


def test_a_lone_action_waits_for_its_own_commit(node):
    """The actions of a client that is alone are committed each by itself, as they come: none waits for another."""
    before = node.read_metrics()
    load = submit_singly(node, [make_lines(100, 5_000)])
    report("alone", load)
    counted = "microrollup_group_seconds_count"
    assert 100 == node.read_metrics()[counted] - before[counted]


def test_a_thousand_idle_subscribers(node):
    """A thousand connections with a subscription each cost a bounded amount of memory, are all told of the next block,
    and leave nothing behind.
    """
    before = node.read_memory()
    with hold_subscribers(node, SUBSCRIBERS) as sockets, node.connect() as client:
        wait_for(lambda: client.call("status")["subscribers"] == SUBSCRIBERS == len(sockets))
        grown = node.read_memory() - before
        assert grown < SUBSCRIBERS * SUBSCRIBER_BYTES
        assert 1 == submit_singly(node, [make_lines(1, 6_000)]).actions
    with node.connect() as client:
        wait_for(lambda: client.call("status")["subscribers"] == 0)


def test_the_next_subscriber_is_refused(tmp_path):
    """Of a limit of a thousand the last one gets in and the next one does not, until somebody leaves; meanwhile a slow
    one among them is dropped, and the others are told all the same.
    """
    site = Site(tmp_path)
    limits = RpcLimits(subscriptions=SUBSCRIBERS, subscriptions_per_socket=100, send_seconds=0.5, lag=50)
    with site.serve(limits=limits) as caller, ExitStack() as stack:
        sockets = [stack.enter_context(caller.connect(max_queue=None)) for _ in range(11)]
        slow = stack.enter_context(connect_deaf(caller.port))
        for ws in sockets[:9]:
            for _ in range(100):
                subscribe(ws, "receipts", filter={"name": "Edited"})
        for _ in range(99):
            subscribe(sockets[9], "blocks", **{"from": 1 << 40})
        slow.sendall(make_frame(b'{"jsonrpc":"2.0","id":1,"method":"rollup_subscribe","params":["receipts",null,0]}'))
        wait_for(lambda: caller.call("status")["subscribers"] == SUBSCRIBERS)
        ask = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "rollup_subscribe", "params": ["blocks"]})
        sockets[10].send(ask)
        assert -32004 == json.loads(sockets[10].recv(timeout=60))["error"]["code"]
        while caller.call("status")["subscribers"] == SUBSCRIBERS:
            caller.submit(*[site.line(("count", 0, 1)) for _ in range(200)])
        assert SUBSCRIBERS - 1 == caller.call("status")["subscribers"]
        assert subscribe(sockets[10], "blocks")["subscription"]
        caller.submit(site.line(("count", 0, 1)))
        assert receive(sockets[10], 1)


def connect_deaf(port):
    """A WebSocket by hand, whose system takes next to nothing and whose owner reads nothing."""
    deaf = socket.socket()
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2_048)
    deaf.settimeout(60)
    deaf.connect(("127.0.0.1", port))
    deaf.sendall(
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    assert deaf.recv(64).startswith(b"HTTP/1.1 101")
    return deaf


def make_frame(payload):
    """A masked text frame (the mask is zero)."""
    assert len(payload) < 126
    return struct.pack(">BB", 0x81, 0x80 | len(payload)) + bytes(4) + payload
