"""A follower verifies what its source has, serves it, passes on what is not for it, and believes nothing."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pytest

from kernel_fixtures import make_key
from microrollup.chain.block import Block
from microrollup.chain.export import decode_block, encode_block
from microrollup.codec.json import hex0x
from microrollup.crypto.ecdsa import compute_address
from microrollup.deployment.serving_follower import open_follower
from microrollup.errors import UsageError
from microrollup.node.follower import FollowerNode
from microrollup.node.runtime import Node
from microrollup.rpc.limits import RpcLimits
from microrollup.rpc.passing_on import VIA
from node_fixtures import FAST, ZOO, Caller, Site, receive, serve_node, socket_call, subscribe
from ports import find_port
from waiting import wait_for

LIMITS = RpcLimits(height_seconds=0.3)
SLOW = msgspec.structs.replace(FAST, timing=msgspec.structs.replace(FAST.timing, block_seconds=3_600.0))


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@contextmanager
def follow(site: Site, url: str, name: str = "follower", limits: RpcLimits = LIMITS) -> Iterator[Caller]:
    """A served follower of the node at a URL; `caller.node` is it. Of L1 it knows nothing: this process has it open."""
    with open_follower(ZOO, site.root / name, site.rollup, url, None, FAST) as node:
        node.start()
        try:
            with serve_node(node, limits) as caller:
                yield caller
        finally:
            node.stop()


def wait_for_height(caller: Caller, height: int) -> None:
    wait_for(lambda: caller.call("height")["latest"] >= height)


def get_follower(caller: Caller) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(caller.get("/health")[1])["follower"]
    return found


def test_it_serves_what_it_has_verified_and_passes_on_the_rest(site: Site) -> None:
    """Blocks, proofs, state and pages are its own; nonces, submissions and look-ups of the open block are the source's,
    so that a used nonce is never handed out. What settled, and what it vouches for, it finds by itself.
    """
    alice = hex0x(compute_address(make_key("alice")))
    with site.serve(verifiers=1) as source:
        acks = [answer["ack"] for answer in source.submit(site.line(("count", 1, 10)), site.line(("count", 2, 20)))]
        wait_for(lambda: source.call("height")["settled"] >= 1)
        with follow(site, source.url) as caller:
            wait_for_height(caller, 1)
            assert source.call("getHeader", height=1) == caller.call("getHeader", height=1)
            assert source.call("getBlocks", **{"from": 1}) == caller.call("getBlocks", **{"from": 1})
            receipt = {**caller.call("getReceipt", hash=acks[1]["actionHash"]), "confirmation": ""}
            assert {**source.call("getReceipt", hash=acks[1]["actionHash"]), "confirmation": ""} == receipt
            proof = caller.call("getReceiptProof", hash=acks[1]["actionHash"])
            assert (1, None) == (proof["header"]["height"], proof.get("acknowledgement"))
            assert {"latest": 1, "verified": 1, "available": 0, "settled": 0} == caller.call("height")
            assert b"microrollup_follower_lag_blocks 0.0" in caller.get("/metrics")[1]
            assert 200 == caller.get("/explorer/app.js")[0]
            with caller.connect() as socket:
                subscribe(socket, "blocks", **{"from": 1})
                assert [1] == [each["result"]["header"]["height"] for each in receive(socket, 1)]
                (through,) = caller.submit(site.line(("count", 3, 30)))
                assert 2 == through["ack"]["seq"]
                assert [2] == [each["result"]["header"]["height"] for each in receive(socket, 1)]
            status = get_follower(caller)
            assert (source.url, 0, None, None) == (
                status["source"], status["lagBlocks"], status["reason"], status["refused"]
            )  # fmt: skip
    with site.serve(options=SLOW) as source, follow(site, source.url) as caller:
        wait_for_height(caller, 2)
        (opened,) = caller.submit(site.line(("count", 4, 40)))
        assert 3 == opened["ack"]["height"]
        assert 4 == caller.call("getNonce", sender=alice)["next"]
        assert 3 == caller.call("getReceipt", hash=opened["ack"]["actionHash"])["seq"]
        assert "C0" == caller.call("getConfirmation", hash=opened["ack"]["actionHash"])["level"]
        assert (2, 2) == (caller.call("height")["latest"], caller.node.ledger.checkpoint.height)
        assert -32001 == caller.fail("getReceipt", hash="0x" + "77" * 32)[0]
        assert (
            -32000
            == caller.ask("submitAction", action=msgspec.Raw(site.line(("count", 5, 5), nonce=0)))["error"]["code"]
        )


def test_a_height_that_was_seen_elsewhere_is_waited_for(site: Site) -> None:
    """`minHeight`, by header or beside `params`, waits for a block, and is refused with the height that there is."""
    with site.serve(limits=LIMITS) as source, follow(site, source.url) as caller:
        body = b'{"jsonrpc":"2.0","id":7,"method":"rollup_getHeader"%s}'
        status, raw = caller.post(body % b"", **{"X-Microrollup-Min-Height": "1"})
        error = json.loads(raw)["error"]
        assert (200, -32010, {"height": 0, "minHeight": 1}) == (status, error["code"], error["data"])
        source.submit(site.line(("count", 1, 10)))
        wait_for_height(caller, 1)
        for asked in (caller, source):
            assert 1 == json.loads(asked.post(body % b',"minHeight":1')[1])["height"]
            assert "height" not in json.loads(asked.post(body % b"")[1])
            for wrong in (b"-1", b'"1"', b"1e3", b"9007199254740992"):
                assert -32600 == json.loads(asked.post(body % (b',"minHeight":' + wrong))[1])["error"]["code"]
            for text in ("x", "-1", "1" * 17, "\u0661"):
                found = asked.post(body % b"", **{"X-Microrollup-Min-Height": text.encode().decode("latin-1")})
                assert (400, -32602) == (found[0], json.loads(found[1])["error"]["code"])
        with caller.connect() as socket:
            socket.send((body % b',"minHeight":2').decode())
            source.submit(site.line(("count", 2, 20)))
            answer = json.loads(socket.recv(timeout=60))
            assert ("error" in answer and -32010 == answer["error"]["code"]) or answer["height"] >= 2
        wait_for_height(caller, 2)
        request = msgspec.json.encode({"jsonrpc": "2.0", "id": 1, "method": "rollup_getHeader", "params": {}})
        caller._connection.request(
            "POST", "/", request, {"Content-Type": "application/json", "X-Microrollup-Min-Height": "2"}
        )
        response = caller._connection.getresponse()
        assert ("2", 2) == (
            response.headers["X-Microrollup-Height"], json.loads(response.read())["result"]["height"]
        )  # fmt: skip


class Liar:
    """A proxy of a node that rewrites results by method."""

    def __init__(self, target: Caller) -> None:
        self.rewrite: dict[str, Callable[[Any], Any]] = {}
        self.body: bytes | None = None
        liar, port = self, target.port

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                import http.client

                body = self.rfile.read(int(self.headers["content-length"]))
                with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
                    connection.request("POST", "/", body, {"Content-Type": "application/json"})
                    raw = connection.getresponse().read()
                method, answer = json.loads(body)["method"], json.loads(raw)
                if "result" in answer and method in liar.rewrite:
                    answer["result"] = liar.rewrite[method](answer["result"])
                    raw = json.dumps(answer).encode()
                raw = liar.body if liar.body is not None else raw
                self.send_response(200)
                self.send_header("content-length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            def log_message(self, *arguments: object) -> None:
                """Tests are quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def change_blocks(self, change: Callable[[Block], Block]) -> None:
        def rewrite(result: list[str]) -> list[str]:
            return [hex0x(encode_block(change(decode_block(bytes.fromhex(each[2:]))))) for each in result]

        self.rewrite["rollup_getBlocks"] = rewrite


def change_header(**changes: object) -> Callable[[Block], Block]:
    return lambda block: msgspec.structs.replace(block, header=msgspec.structs.replace(block.header, **changes))


LIES: dict[str, Callable[[Block], Block]] = {
    "stateRoot": change_header(state_root=b"\x01" * 32),
    "rollupId": change_header(rollup_id=b"\x02" * 32),
    "height": change_header(height=7),
    "actionCount": lambda block: msgspec.structs.replace(block, records=block.records[:-1]),
    "seal": lambda block: msgspec.structs.replace(
        block, seal=msgspec.structs.replace(block.seal, signature=bytes(64) + b"\x1b")
    ),
}


def test_a_lying_source_is_named_and_what_was_verified_is_served_on(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wrong blocks, seals, forms, sizes and rollups are refused, each by its name; once the source is honest the
    follower goes on from where it was.
    """
    monkeypatch.setattr("microrollup.node.follower.REFUSED_SECONDS", 0.05)
    monkeypatch.setattr("microrollup.node.follower.TROUBLE_SECONDS", 0.05)
    with site.serve() as source, closing(Liar(source)) as liar, follow(site, liar.url) as caller:
        source.submit(site.line(("count", 1, 10)))
        wait_for_height(caller, 1)
        first = caller.call("getHeader", height=1)
        for field, change in LIES.items():
            liar.change_blocks(change)
            height = source.call("height")["latest"] + 1
            source.submit(site.line(("count", 2, 10), ("count", 3, 10)))
            refused = wait_for(lambda: get_follower(caller)["refused"])
            assert (height, field) == (refused["height"], refused["field"])
            assert first == caller.call("getHeader", height=1)
            assert height - 1 == caller.call("height")["latest"]
            assert b"microrollup_follower_refused 1.0" in caller.get("/metrics")[1]
            liar.rewrite.clear()
            wait_for_height(caller, height)
            wait_for(lambda: get_follower(caller)["refused"] is None)
        for garbage in (b"", b"[]", b"\xff", b'{"result":1}', b'{"result":' + b"[" * 100_000, b"{" + b" " * (33 << 20)):
            liar.body = garbage
            wait_for(lambda: get_follower(caller)["reason"])
            assert first == caller.call("getHeader", height=1)
            answer = caller.ask("getNonce", sender=hex0x(bytes(20)))
            assert 1 == answer["result"] if garbage == b'{"result":1}' else -32009 == answer["error"]["code"]
            liar.body = None
            wait_for(lambda: get_follower(caller)["reason"] is None)
        for error in (
            {"code": 5},
            {"code": -32006, "message": "rate exceeded", "data": {"retryAfterMs": []}},
            {"code": []},
        ):
            liar.body = json.dumps({"error": error}).encode()
            assert caller.fail("getNonce", sender=hex0x(bytes(20)))[0] in {-32009, -32006}
        liar.body = None
        liar.rewrite["rollup_status"] = lambda status: status | {"height": {"latest": 2**53}}
        wait_for(lambda: "status" in (get_follower(caller)["reason"] or ""))
        liar.rewrite.clear()
        wait_for(lambda: get_follower(caller)["reason"] is None)


def test_blocks_that_are_built_anew_are_taken_back(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other blocks than those that were verified are refused, unless the builder's seals say that it has built anew:
    then the follower takes its own back, is made anew, and has the source's.
    """
    monkeypatch.setattr("microrollup.node.follower.REFUSED_SECONDS", 0.05)

    def build(source: Caller, *values: int) -> None:
        for value in values:
            source.submit(site.line(("count", 1, value)))
            tip = source.call("height")["latest"]
            wait_for(lambda: source.call("status")["acknowledged"] == source.call("getHeader")["firstSeq"] + 1)
            assert tip <= source.call("height")["latest"]

    with site.serve() as source:
        build(source, 1)
    shutil.copytree(site.root / "node", site.root / "other")
    with site.serve() as source, follow(site, source.url) as caller:
        build(source, 2, 3)
        wait_for_height(caller, 3)
        kept = caller.call("getHeader")
    shutil.rmtree(site.root / "node")
    (site.root / "other").rename(site.root / "node")
    site.signer.nonces["alice"] = 1
    with site.serve() as source:
        build(source, 4, 5)
        with follow(site, source.url) as caller:
            refused = wait_for(lambda: get_follower(caller)["refused"])
            assert (2, "round") == (refused["height"], refused["field"])
            assert kept == caller.call("getHeader")
            assert isinstance(source.node, Node)
            source.node.rebuild(2)
            wait_for(lambda: caller.node.is_spent)
        with follow(site, source.url) as caller:
            wait_for_height(caller, 3)
            for height in (1, 2, 3):
                assert source.call("getBlocks", **{"from": height}) == caller.call("getBlocks", **{"from": height})


def test_followers_in_a_circle_are_told(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A follower of itself, and two of each other, say so; a call that comes back to who passed it on is refused."""
    monkeypatch.setattr("microrollup.node.follower.TROUBLE_SECONDS", 0.05)
    with ExitStack() as stack:
        with site.serve() as source:
            source.submit(site.line(("count", 1, 10)))
            for name in ("one", "two"):
                with follow(site, source.url, name) as caller:
                    wait_for_height(caller, 1)
        one = stack.enter_context(follow(site, source.url, "one"))
        two = stack.enter_context(follow(site, one.url, "two"))
        for node, url in ((one.node, one.url), (one.node, two.url)):
            assert isinstance(node, FollowerNode)
            node._followed.url = url
            node._followed._source = None
            wait_for(lambda: "circle" in (get_follower(one)["reason"] or ""))
            assert 1 == one.call("getHeader")["height"]
        for caller in (one, two):
            assert -32009 == caller.fail("getNonce", sender=hex0x(bytes(20)))[0]
        body = b'{"jsonrpc":"2.0","id":7,"method":"rollup_getNonce","params":{"sender":"0x%s"}}' % (b"00" * 20)
        for via in (one.node.instance, ", ".join(map(str, range(9)))):
            error = json.loads(one.post(body, **{VIA: via})[1])["error"]
            assert (-32009, True) == (error["code"], "circle" in error["message"])


def test_a_follower_of_a_follower(site: Site) -> None:
    """Blocks and writes go through both; each knows the builder's head, and who lies between."""
    with (
        site.serve() as source,
        follow(site, source.url, "near") as near,
        follow(site, near.url, "far") as far,
    ):
        (taken,) = far.submit(site.line(("count", 1, 10)))
        wait_for_height(far, taken["ack"]["height"])
        assert source.call("getHeader") == far.call("getHeader")
        wait_for(lambda: (near.node.instance, source.node.instance) == tuple(get_follower(far)["path"]))
        wait_for(lambda: get_follower(far)["head"] == 1)


def test_reads_go_on_while_the_source_is_away(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A follower starts without its source too. Writes are refused with a reason, `/health` stays well for reads, and
    what the source has built meanwhile is taken when it is back.
    """
    monkeypatch.setattr("microrollup.node.follower.TROUBLE_SECONDS", 0.05)
    with site.serve() as source:
        source.submit(site.line(("count", 1, 10)))
        with follow(site, source.url) as caller:
            wait_for_height(caller, 1)
    with follow(site, f"http://127.0.0.1:{find_port()}") as caller:
        assert 1 == caller.call("getHeader")["height"]
        code, message = caller.fail("submitActions", actions=[msgspec.Raw(site.line(("count", 2, 20)))])
        assert (-32009, True) == (code, "nothing was passed on" in message)
        wait_for(lambda: get_follower(caller)["reason"])
        status, raw = caller.get("/health")
        health = json.loads(raw)
        assert (200, "stopped") == (status, health["intake"])
        assert "does not answer" in health["reason"]
    (site.root / "built" / "keys").mkdir(parents=True)
    (site.root / "built" / "keys" / "builder.key").write_text("00" * 32)
    with pytest.raises(UsageError, match="another directory"), follow(site, "http://127.0.0.1:1", "built"):
        pass


def test_what_is_followed_is_this_rollup(tmp_path_factory: pytest.TempPathFactory, site: Site) -> None:
    """Another rollup's node is refused, by the genesis of the store."""
    stranger = Site(tmp_path_factory.mktemp("stranger"), verifiers=3)
    with stranger.serve() as other, site.serve() as source:
        with follow(site, source.url):
            pass
        with follow(site, other.url) as caller:
            wait_for(lambda: "another rollup" in (get_follower(caller)["reason"] or ""))
            assert 0 == caller.call("getHeader")["height"]


def test_what_is_passed_on_is_counted_here(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each action of a batch is a call of its client at the follower too: else one client would use up what the source
    gives to all that come through it.
    """
    with (
        site.serve() as source,
        follow(site, source.url, limits=RpcLimits(rate=0.001, burst_seconds=10_000.0)) as caller,
    ):
        monkeypatch.setattr("microrollup.rpc.app.name_client", lambda _: "203.0.113.9")
        assert 12 == len(caller.submit(*[site.line(("count", number, 1)) for number in range(1, 13)]))
        assert -32006 == caller.fail("height")[0]


def test_a_header_that_cannot_be_passed_on_harms_nothing(site: Site) -> None:
    """Bytes beyond ASCII in a token, or in what names followers, were a fault of the node's."""
    body = b'{"jsonrpc":"2.0","id":7,"method":"rollup_getNonce","params":{"sender":"0x%s"}}' % (b"00" * 20)
    with site.serve() as source, follow(site, source.url) as caller:
        for name in ("Authorization", VIA):
            assert 0 == json.loads(caller.post(body, **{name: "Bearer \u00e9" * 9})[1])["result"]["next"]


def test_a_follower_of_a_silent_source_stops(site: Site) -> None:
    """At once, and not when the source's time is up: SIGTERM leaves a node a minute."""
    with site.serve() as source, closing(Liar(source)) as liar, follow(site, liar.url) as caller:
        source.submit(site.line(("count", 1, 10)))
        wait_for_height(caller, 1)
        held, asked, go = liar.rewrite, threading.Event(), threading.Event()
        held["rollup_status"] = lambda result: asked.set() or (go.wait(600) and result)
        wait_for(asked.is_set)
        ended = threading.Thread(target=caller.node.stop)
        ended.start()
        wait_for(lambda: not ended.is_alive(), seconds=50)
        go.set()


def test_many_subscribers(site: Site) -> None:
    """A hundred WebSockets on a follower each get each block."""
    with site.serve() as source, follow(site, source.url) as caller, ExitStack() as stack:
        sockets = [stack.enter_context(caller.connect()) for _ in range(100)]
        for socket in sockets:
            subscribe(socket, "blocks", **{"from": 1})
        assert 100 == json.loads(caller.get("/health")[1])["subscribers"]
        source.submit(site.line(("count", 1, 10)))
        assert {1} == {receive(socket, 1)[0]["result"]["header"]["height"] for socket in sockets}
        assert 1 == socket_call(sockets[0], "getHeader")["height"]
