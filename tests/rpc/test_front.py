"""The front of a replicated node: calls wait for a leader, are passed on to it, and find this node once it leads."""

from __future__ import annotations

import asyncio
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from microrollup.rpc import front as front_module
from microrollup.rpc.access import Access
from microrollup.rpc.front import Front
from microrollup.rpc.limits import RpcLimits
from microrollup.rpc.proxies import FORWARDING, TrustedProxies, read_proxy
from microrollup.rpc.server import Server, bind
from waiting import wait_for

LIMITS = RpcLimits(body_bytes=1_000)


class Told:
    """An application that says who it is and what it was asked."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.headers: list[tuple[bytes, bytes]] = []
        self.entered = threading.Event()
        self.go_on = threading.Event()
        self.go_on.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.accept"})
            while (await receive())["type"] != "websocket.disconnect":
                await send({"type": "websocket.send", "text": self.name})
            return
        if scope["type"] == "lifespan":
            return
        self.headers = scope["headers"]
        message = await receive()
        self.entered.set()
        await asyncio.to_thread(self.go_on.wait)
        text = (
            f"{self.name} {scope['method']} {scope['path']}?{scope['query_string'].decode()} {message['body'].decode()}"
        )
        await send({"type": "http.response.start", "status": 201, "headers": [(b"x-who", self.name.encode())]})
        await send({"type": "http.response.body", "body": text.encode()})


@contextmanager
def serve(app: ASGIApp) -> Iterator[str]:
    ready = threading.Event()
    server = Server(app, bind("127.0.0.1", 0), LIMITS, on_ready=ready.set)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    assert ready.wait(60)
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.stop()
        thread.join(60)


@pytest.fixture
def front() -> Front:
    return Front(
        LIMITS, lambda: (b'{"role":"standby"}', False), lambda: b"metric 1\n",
        access=Access(frozenset({"known.example"}), frozenset({"https://app.example"})),
    )  # fmt: skip


@pytest.fixture
def url(front: Front) -> Iterator[str]:
    with serve(front) as url:
        yield url


def ask(url: str, body: bytes | None = b"hello", path: str = "/a?b=c", **headers: str) -> tuple[int, str]:
    request = urllib.request.Request(url + path, body, headers)  # noqa: S310 - loopback
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - loopback
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


class Asking(threading.Thread):
    """A call that may have to wait."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self.url = url
        self.answer: tuple[int, str] | None = None
        self.start()

    def run(self) -> None:
        self.answer = ask(self.url)


def test_calls_wait_for_a_leader(front: Front, url: str) -> None:
    """Without one a call waits; this node's application answers it, body and all, once it leads."""
    asking = Asking(url)
    assert (503, '{"role":"standby"}') == ask(url, None, "/health")
    assert (200, "metric 1\n") == ask(url, None, "/metrics")
    assert asking.answer is None
    front.use(Told("here"))
    asking.join(60)
    assert (201, "here POST /a?b=c hello") == asking.answer


def test_calls_are_passed_on(front: Front, url: str) -> None:
    """To the node that leads, with method, path, query, body and status; once and not in a circle."""
    with serve(Front(LIMITS, lambda: (b"{}", True), lambda: b"")) as between, serve(Told("there")) as there:
        front.pass_on(there)
        assert (201, "there POST /a?b=c hello") == ask(url)
        assert (201, "there GET /a?b=c ") == ask(url, None)
        front.pass_on(between)  # it does not lead either
        asking = Asking(url)
        front.pass_on(there)
        asking.join(60)
        assert (201, "there POST /a?b=c hello") == asking.answer


def test_the_leader_is_told_who_calls() -> None:
    """The client's address as this node knows it, in the header that it reads itself, instead of what the client says;
    a token goes on.
    """
    proxies = TrustedProxies((read_proxy("127.0.0.1"),), "forwarded")
    front = Front(LIMITS, lambda: (b"{}", True), lambda: b"", access=Access(proxies=proxies))
    there = Told("there")
    with serve(front) as url, serve(there) as leader:
        front.pass_on(leader)
        sent = {"Forwarded": "for=198.51.100.1, for=203.0.113.9", "X-Forwarded-For": "198.51.100.2"}
        assert 201 == ask(url, Authorization="Bearer a", **sent)[0]
        assert [b"for=203.0.113.9"] == [value for name, value in there.headers if name in FORWARDING]
        assert (b"authorization", b"Bearer a") in there.headers


def test_a_leader_that_is_gone_is_asked_no_longer(front: Front, url: str) -> None:
    """A call whose answer does not come goes to the next leader as soon as that is known."""
    there = Told("there")
    there.go_on.clear()
    with serve(there) as elsewhere:
        front.pass_on(elsewhere)
        asking = Asking(url)
        assert there.entered.wait(60)
        front.use(Told("here"))
        front.pass_on(None)
        asking.join(60)
        assert (201, "here POST /a?b=c hello") == asking.answer
        there.go_on.set()


def test_it_drains_and_holds(front: Front, url: str) -> None:
    """What the application has is answered by it; what comes later waits."""
    here = Told("here")
    here.go_on.clear()
    front.use(here)
    first = Asking(url)
    assert here.entered.wait(60)
    front.hold()
    second = Asking(url)
    assert not front.drain(0.05)
    here.go_on.set()
    assert front.drain(60)
    first.join(60)
    assert (201, "here POST /a?b=c hello") == first.answer
    assert second.answer is None
    front.use(Told("again"))
    second.join(60)
    assert (201, "again POST /a?b=c hello") == second.answer


def test_nobody_waits_for_ever(front: Front, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a while a call is refused and told to come again; so is a body that is too large, at once."""
    monkeypatch.setattr(front_module, "WAIT_SECONDS", 0.3)
    status, text = ask(url)
    assert 503 == status
    assert "no node leads" in text
    front.pass_on("http://127.0.0.1:1")
    status, text = ask(url, bytes(1_001))
    assert (413, True) == (status, "larger than 1000 bytes" in text)


def test_strangers_are_refused_here(front: Front, url: str) -> None:
    """The leader knows this server by another name: names of hosts and origins of pages are judged before."""
    with serve(Told("there")) as there:
        front.pass_on(there)
        assert 421 == ask(url, Host="unknown.example")[0]
        assert 403 == ask(url, Origin="https://evil.example")[0]
        assert 201 == ask(url, Host="known.example", Origin="http://known.example")[0]
        assert 201 == ask(url, Origin="https://app.example")[0]


def test_websockets_are_the_leader_s(front: Front, url: str) -> None:
    """Refused while this node does not lead, and closed with 1012 when it does no longer."""
    place = url.replace("http", "ws")
    with pytest.raises(InvalidStatus), connect(place):
        pass
    front.use(Told("here"))
    with connect(place) as socket:
        socket.send("x")
        assert "here" == socket.recv(timeout=60)
        front.hold()
        wait_for(lambda: socket.protocol.close_code)
        assert 1012 == socket.protocol.close_code
