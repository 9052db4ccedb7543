"""Subscriptions: nothing is missed from a cursor on, filters hold, limits hold, and who does not read is dropped."""

import json
import socket
import threading
import time
from contextlib import ExitStack, suppress
from types import SimpleNamespace

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from kernel_fixtures import make_key
from microrollup.codec.document import compile_form
from microrollup.crypto.ecdsa import compute_address
from microrollup.errors import RefusedError
from microrollup.node.options import NodeOptions
from microrollup.node.writer import WriterOptions
from microrollup.rpc import feeds
from microrollup.rpc.limits import RpcLimits
from microrollup.rpc.method import PlainMethod
from microrollup.rpc.openrpc import NOTIFICATIONS
from microrollup.rpc.params import NoParams
from node_fixtures import FAST, Site, receive, socket_call, subscribe
from waiting import wait_for

OPTIONS = NodeOptions(block_size=10, timing=WriterOptions(block_seconds=0.05, gap_seconds=0.5, poll_seconds=60))


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    return Site(tmp_path_factory.mktemp("site"))


@pytest.fixture(scope="module")
def caller(site):
    with site.serve(options=OPTIONS) as caller:
        yield caller


def wait_closed(caller):
    """Until the open block is closed; the newest height."""
    wait_for(lambda: caller.node.ledger.block is None)
    return caller.call("height")["latest"]


def test_calls_over_a_socket(site, caller):
    """Every call works over a WebSocket too, batches included, as text or as bytes."""
    with caller.connect() as ws:
        assert caller.call("getGenesis") == socket_call(ws, "getGenesis")
        ws.send(b'[{"jsonrpc":"2.0","id":"a","method":"rollup_height"},{"jsonrpc":"2.0","method":"rollup_height"}]')
        (answer,) = json.loads(ws.recv(timeout=60))
        assert "a" == answer["id"]
        ws.send("{")
        assert -32700 == json.loads(ws.recv(timeout=60))["error"]["code"]


def test_subscribing_needs_a_socket(caller):
    """Over HTTP a subscription is refused, with the reason."""
    code, message = caller.fail("subscribe", topic="blocks")
    assert -32600 == code
    assert "WebSocket" in message


def test_what_is_new(site, caller):
    """Blocks, receipts, events and confirmations are told in order; each can be read when it is told."""
    with caller.connect() as blocks, caller.connect() as receipts, caller.connect() as confirmations:
        height = wait_closed(caller)
        assert height + 1 == subscribe(blocks, "blocks")["cursor"]
        seq = subscribe(receipts, "receipts")["cursor"]
        subscribe(confirmations, "confirmations")
        acks = [answer["ack"] for answer in caller.submit(*[site.line(("count", 0, 1)) for _ in range(3)])]
        told = receive(receipts, 3)
        assert [ack["seq"] for ack in acks] == [each["cursor"] for each in told] == [seq, seq + 1, seq + 2]
        assert [ack["actionHash"] for ack in acks] == [each["result"]["actionHash"] for each in told]
        assert told[0]["result"]["confirmation"] in ("C0", "C1")  # the block may be closed by now
        (block,) = receive(blocks, 1)
        assert (height + 1, height + 1) == (block["cursor"], block["result"]["header"]["height"])
        assert block["result"]["hash"] == caller.call("getBlock", height=height + 1)["hash"]
        (confirmation,) = receive(confirmations, 1)
        assert ("C1", height + 1) == (confirmation["result"]["level"], confirmation["result"]["height"])


def test_filters(site, caller):
    """Receipts of one sender, events of one name, receipts that hold an event of one name."""
    bob = "0x" + compute_address(make_key("bob")).hex()
    with caller.connect() as ws, caller.connect() as events, caller.connect() as holding:
        subscribe(ws, "receipts", filter={"sender": bob})
        subscribe(events, "events", filter={"name": "Edited"})
        subscribe(holding, "receipts", filter={"name": "Edited"})
        lines = [site.line(("count", 0, 1), name=name) for name in ("alice", "bob", "alice", "bob")]
        caller.submit(*lines)
        assert [bob, bob] == [each["result"]["sender"] for each in receive(ws, 2)]
        told = receive(events, 4)
        assert [{"steps": 1}] * 4 == [each["result"]["fields"] for each in told]
        assert [each["cursor"] for each in told] == [each["result"]["seq"] for each in told]
        assert [each["cursor"] for each in told] == [each["cursor"] for each in receive(holding, 4)]


@pytest.mark.parametrize(
    ("topic", "wanted", "reason"),
    [
        ("events", {"name": "Other"}, "the app has no event 'Other'; it has Edited"),
        ("receipts", {"name": "edited"}, "the app has no event 'edited'"),
        ("blocks", {"name": "Edited"}, "blocks have no filter"),
        ("confirmations", {"sender": "0x" + "00" * 20}, "confirmations have no filter"),
    ],
)
def test_what_would_wait_for_ever_is_refused(caller, topic, wanted, reason):
    """A subscription that nothing can pass is refused with the reason; the connection stays usable."""
    with caller.connect() as ws:
        params = {"topic": topic, "filter": wanted}
        ws.send(json.dumps({"jsonrpc": "2.0", "id": 1, "method": "rollup_subscribe", "params": params}))
        error = json.loads(ws.recv(timeout=60))["error"]
        assert (-32602, True) == (error["code"], reason in error["message"])
        assert caller.call("getGenesis") == socket_call(ws, "getGenesis")


def test_from_a_cursor_nothing_is_missed(site, caller, monkeypatch):
    """A subscriber that comes back with its cursor gets all that was retained, from the ring or from the store."""
    caller.submit(*[site.line(("count", 0, 1)) for _ in range(25)])
    latest, first = wait_closed(caller), caller.node.receipts.next - 25
    for reaches_back in (True, False):
        if not reaches_back:
            monkeypatch.setattr(caller.node.receipts, "_first", caller.node.receipts.next)
            monkeypatch.setattr(caller.node.blocks, "_first", caller.node.blocks.next)
        with caller.connect() as ws:
            assert first == subscribe(ws, "receipts", **{"from": first})["cursor"]
            assert list(range(first, first + 25)) == [each["cursor"] for each in receive(ws, 25)]
        with caller.connect() as ws:
            subscribe(ws, "blocks", **{"from": 1})
            assert list(range(1, latest + 1)) == [each["cursor"] for each in receive(ws, latest)]
        with caller.connect() as ws:
            subscribe(ws, "confirmations", **{"from": 1})
            told = receive(ws, latest)
            assert list(range(1, latest + 1)) == [each["result"]["height"] for each in told]
            assert {"C1"} == {each["result"]["level"] for each in told}
            assert {1} == {each["cursor"] for each in told}


def test_unsubscribing(site, caller):
    """After unsubscribing nothing comes any more; a subscription of another connection cannot be ended."""
    with caller.connect() as ws, caller.connect() as other:
        wait_for(lambda: caller.call("status")["subscribers"] == 0)  # those of other tests are gone
        identity = subscribe(ws, "receipts")["subscription"]
        assert 1 == caller.call("status")["subscribers"]
        other.send(_call("unsubscribe", subscription=identity))
        assert -32001 == json.loads(other.recv(timeout=60))["error"]["code"]
        assert socket_call(ws, "unsubscribe", subscription=identity) is True
        caller.submit(site.line(("count", 0, 1)))
        with pytest.raises(TimeoutError):
            ws.recv(timeout=0.2)
        assert 0 == caller.call("status")["subscribers"]


def _call(method, **params):
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": f"rollup_{method}", "params": params})


def test_bad_subscriptions(caller):
    """Unknown topics, filters and members are refused."""
    with caller.connect() as ws:
        for params in ({"topic": "x"}, {"topic": "blocks", "from": -1}, {"topic": "receipts", "filter": {"x": 1}}, {}):
            ws.send(_call("subscribe", **params))
            assert -32602 == json.loads(ws.recv(timeout=60))["error"]["code"], params


def test_subscriptions_are_limited(tmp_path):
    """A connection has so many subscriptions and no more, and so has the server; closing gives them back."""
    limits = RpcLimits(subscriptions_per_socket=2, subscriptions=3)
    site = Site(tmp_path)
    with site.serve(limits=limits) as caller:
        with caller.connect() as one, caller.connect() as two:
            for ws, count in ((one, 2), (two, 1)):
                for _ in range(count):
                    subscribe(ws, "blocks")
                ws.send(_call("subscribe", topic="blocks"))
                assert -32004 == json.loads(ws.recv(timeout=60))["error"]["code"]
        wait_for(lambda: caller.call("status")["subscribers"] == 0)


def test_who_does_not_read_is_dropped(tmp_path):
    """A subscriber that takes nothing is dropped; nothing piles up for it, and others are served meanwhile."""
    limits = RpcLimits(send_seconds=0.6, lag=50)
    site = Site(tmp_path)
    with site.serve(options=FAST, limits=limits) as caller:
        stuck = _connect_small(caller.port)
        for _ in range(8):
            stuck.sendall(_frame(_call("subscribe", topic="receipts", **{"from": 0}).encode()))
        with caller.connect(max_queue=None) as ws:
            subscribe(ws, "blocks")
            wanted = caller.call("height")["latest"] + 3
            while (
                not _read_dropped(caller)
                or caller.call("status")["subscribers"] > 1
                or caller.call("height")["latest"] < wanted
            ):
                caller.submit(*[site.line(("count", 0, 1)) for _ in range(200)])
            assert receive(ws, 3)
        assert 1 == _read_dropped(caller)
        stuck.close()


def _read_dropped(caller):
    (line,) = [
        line
        for line in caller.get("/metrics")[1].decode().splitlines()
        if line.startswith("microrollup_subscribers_dropped_total ")
    ]
    return float(line.split()[1])


def _connect_small(port, receive_bytes=2048):
    """A WebSocket by hand, whose system takes next to nothing and whose owner reads nothing."""
    stuck = socket.socket()
    stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    stuck.connect(("127.0.0.1", port))
    stuck.sendall(
        f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    assert stuck.recv(64).startswith(b"HTTP/1.1 101")
    return stuck


def _frame(payload):
    """A masked text frame (the mask is zero)."""
    assert len(payload) < 126
    return bytes([0x81, 0x80 | len(payload)]) + bytes(4) + payload


def test_pages_of_others_get_no_socket(caller):
    """A browser's page of another origin, or one that calls this server by a foreign name, is refused."""
    for headers in ({"Origin": "http://evil.example"}, {"Origin": "null"}):
        with pytest.raises(InvalidStatus), caller.connect(additional_headers=headers):
            pass
    with caller.connect(additional_headers={"Origin": f"http://127.0.0.1:{caller.port}"}) as ws:
        assert socket_call(ws, "height")


def test_large_messages_end_the_connection(tmp_path):
    """A message beyond the limit closes its connection and nothing else."""
    site = Site(tmp_path)
    with site.serve(limits=RpcLimits(body_bytes=10_000)) as caller, ExitStack() as stack:
        ws, other = stack.enter_context(caller.connect()), stack.enter_context(caller.connect())
        with pytest.raises(ConnectionClosed):
            ws.send("x" * 20_000)
            ws.recv(timeout=60)
        assert socket_call(other, "height")


def test_a_pipelined_gap_does_not_block(site, caller):
    """Actions sent over one socket out of order are answered when the earlier ones have come behind them."""
    early = site.line(("count", 0, 1), name="piper", nonce=1)
    late = site.line(("count", 0, 1), name="piper", nonce=0)
    with caller.connect() as ws:
        for number, line in ((1, early), (0, late)):
            ws.send(b'{"jsonrpc":"2.0","id":%d,"method":"rollup_submitAction","params":[%s]}' % (number, line))
        answers = {answer["id"]: answer for answer in (json.loads(ws.recv(timeout=60)) for _ in range(2))}
    assert answers[0]["result"]["seq"] + 1 == answers[1]["result"]["seq"]


def test_levels_are_those_of_the_moment(tmp_path):
    """What was read at one level is told at another when it has come further, to whoever subscribes then."""
    site = Site(tmp_path)
    with site.serve(verifiers=1, options=FAST) as caller, caller.connect() as early:
        subscribe(early, "blocks")
        caller.submit(site.line(("count", 0, 1)))
        assert "C1" == receive(early, 1)[0]["result"]["confirmation"]
        wait_for(lambda: caller.call("height")["settled"] >= 1)
        for topic, start in (("blocks", 1), ("receipts", 0)):
            with caller.connect() as late:
                subscribe(late, topic, **{"from": start})
                assert "C3B" == receive(late, 1)[0]["result"]["confirmation"]


def test_a_subscription_that_fails_says_so(site, caller, monkeypatch):
    """A fault while history is read ends the subscription with a last word without details, and nothing else."""

    def fail(*_):
        raise RuntimeError("secret")

    monkeypatch.setattr(caller.node, "read_headers", fail)
    with caller.connect() as ws:
        monkeypatch.setattr(caller.node.blocks, "read", lambda *_: None)
        subscribed = subscribe(ws, "blocks", **{"from": 0})
        (told,) = receive(ws, 1)
        assert {"subscription": subscribed["subscription"], "error": "internal error"} == told
        assert caller.call("getGenesis") == socket_call(ws, "getGenesis")


BIG = PlainMethod("zoo_big", "A large answer.", NoParams, str, lambda _api, _params: "x" * 8_000_000)
ASK_BIG = b'{"jsonrpc":"2.0","id":1,"method":"zoo_big"}'


def test_answers_of_all_are_bounded(tmp_path):
    """Answers that nobody reads are held up to a budget, over HTTP and WebSocket together; then large ones are refused
    and small ones are not; when their readers are gone there is room again.
    """
    limits = RpcLimits(answers_bytes=17_000_000, send_seconds=60)
    with (
        Site(tmp_path).serve(limits=limits, more=[BIG]) as caller,
        _connect_small(caller.port) as stuck,
        socket.create_connection(("127.0.0.1", caller.port)) as http,
    ):
        stuck.sendall(_frame(ASK_BIG))
        http.sendall(
            f"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(ASK_BIG)}\r\n\r\n".encode()
            + ASK_BIG
        )

        assert stuck.recv(1)  # both answers are there, and go on to be read by nobody
        assert http.recv(1)

        def ask():
            return json.loads(caller.post(ASK_BIG)[1])

        wait_for(lambda: ask().get("error", {}).get("code") == -32004)
        assert 0 == caller.call("height")["latest"]
        stuck.close()
        wait_for(lambda: "result" in ask())
        http.close()
        wait_for(lambda: "result" in ask())


def test_a_large_answer_has_time_to_be_read(tmp_path, monkeypatch):
    """Who reads a large answer over a WebSocket steadily gets all of it, however long that takes."""
    now, looks = [0.0], []
    clock = SimpleNamespace(**{**vars(time), "monotonic": lambda: looks.append(1) or now[0]})
    monkeypatch.setattr("microrollup.rpc.sockets.time", clock)
    limits = RpcLimits(send_seconds=1.0)
    with Site(tmp_path).serve(limits=limits, more=[BIG]) as caller, _connect_small(caller.port, 1 << 16) as slow:
        slow.settimeout(60)
        slow.sendall(_frame(ASK_BIG))
        count, paused = 0, 0
        while count < 8_000_000:
            chunk = slow.recv(1 << 16)
            assert chunk, f"ended after {count} bytes"
            count += len(chunk)
            if count - paused > 800_000:
                paused, seen = count, len(looks)
                now[0] += 0.9
                if count < 3_000_000:  # not all of the rest is the system's yet: the node looks how it goes
                    wait_for(lambda seen=seen: len(looks) > seen)


def test_what_feeds_share_is_bounded(monkeypatch):
    """JSON that subscribers share is kept up to a number and a size, whatever threads ask; the newest stays."""
    monkeypatch.setattr(feeds, "_MAX_CACHED", 50)
    monkeypatch.setattr(feeds, "_MAX_CACHED_BYTES", 10_000)
    cache = feeds.Caches().receipts
    failures = []

    def work(first):
        try:
            for number in range(first, first + 2_000):
                assert json.dumps("x" * 5) == bytes(cache.get(number % 300, "C1", lambda: "x" * 5)).decode()
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(first,)) for first in (0, 77, 150, 290)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [] == failures
    assert (50, 50 * 7) == (len(cache._raw), cache._size)
    for number in range(1_000, 1_010):
        cache.get(number, "C1", lambda: "x" * 2_998)
    assert ([(1_007, "C1"), (1_008, "C1"), (1_009, "C1")], 9_000) == (list(cache._raw), cache._size)


def test_notifications_are_as_documented(site, caller):
    """What is told of each topic reads as the type that the document names, and as nothing more."""
    with caller.connect() as ws:
        for topic in NOTIFICATIONS:
            subscribe(ws, topic)
        caller.submit(site.line(("count", 0, 1)))
        found = {}
        while found.keys() != NOTIFICATIONS.keys():
            (told,) = receive(ws, 1)
            for topic, cls in NOTIFICATIONS.items():
                form = compile_form(cls)
                with suppress(RefusedError):
                    if told["result"] == form.write(form.read(told["result"])):
                        found[topic] = told["result"]
    assert {"steps": 1} == found["events"]["fields"]
    assert found["events"]["seq"] == found["receipts"]["seq"]
