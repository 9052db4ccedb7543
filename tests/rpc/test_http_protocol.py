"""HTTP itself, spoken over a bare socket: what is asked before a body, heads and trailers without end, and bytes that
two readers could take for different requests.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator

import pytest

from microrollup.rpc.limits import RpcLimits
from node_fixtures import Caller, Site, serve_node

LIMITS = RpcLimits(head_seconds=30, body_seconds=30, idle_seconds=30, head_bytes=8_000, body_bytes=200_000)
CALL = b'{"jsonrpc":"2.0","id":1,"method":"rollup_height"}'
LINE = b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\n"
HEAD = LINE + b"Content-Type: application/json\r\n"
WHOLE = b"%sContent-Length: %d\r\n\r\n%s" % (HEAD, len(CALL), CALL)
LAST = WHOLE.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
"""A call after which the connection ends."""
CHUNKED = b"%sTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n" % (HEAD, len(CALL), CALL)
WEBSOCKET = (
    b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)
H2C = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n"


@pytest.fixture(scope="module")
def caller(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Caller]:
    with Site(tmp_path_factory.mktemp("site")).open() as node, serve_node(node, LIMITS) as caller:
        yield caller


def ask(caller: Caller, *parts: bytes) -> list[int]:
    """The statuses of all answers until the server ends the connection; each part is sent once something has come."""
    received = b""
    with socket.create_connection(("127.0.0.1", caller.port), timeout=60) as raw:
        try:
            for part in parts:
                raw.sendall(part)
                received += (data := raw.recv(1 << 16))
            while data:
                received += (data := raw.recv(1 << 16))
        except (ConnectionResetError, BrokenPipeError):
            pass
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3})", received)]


def test_expect_continue(caller: Caller) -> None:
    """A client that asks before it sends its body (curl does, beyond a megabyte) is told to go on, or why not."""
    head = b"%sExpect: 100-continue\r\nConnection: close\r\nContent-Length: " % HEAD
    assert [100, 200] == ask(caller, b"%s%d\r\n\r\n" % (head, len(CALL)), CALL)
    wrong = head.replace(b"application/json", b"text/plain")
    assert [415] == ask(caller, b"%s%d\r\n\r\n" % (wrong, len(CALL)))


def test_pipelined(caller: Caller) -> None:
    """Requests that are sent at once are answered in their order, calls and others."""
    health = b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    untyped = b"%sContent-Length: %d\r\n\r\n%s" % (LINE, len(CALL), CALL)
    note = CALL.replace(b'"id":1,', b"")
    silent = b"%sContent-Length: %d\r\n\r\n%s" % (HEAD, len(note), note)
    many = b"".join([WHOLE, health, untyped, silent, CHUNKED + b"\r\n"])
    assert [200, 200, 415, 204, 200, 200] == ask(caller, many + LAST)
    assert [200] * 101 == ask(caller, WHOLE * 100 + LAST)


@pytest.mark.parametrize(
    "odd",
    [
        b"%sTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" % HEAD,
        b"%sTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n" % HEAD,
        b"%sTransfer-Encoding: identity\r\nContent-Length: 49\r\n\r\n%s" % (HEAD, CALL),
        b"%sContent-Length: 3\r\nContent-Length: 49\r\n\r\n%s" % (HEAD, CALL),
        b"%sContent-Length: +49\r\n\r\n%s" % (HEAD, CALL),
        b"%sContent-Length: %s\r\n\r\n%s" % (HEAD, b"9" * 30, CALL),
        b"%sContent-Length : 49\r\n\r\n%s" % (HEAD, CALL),
        b"%sX: a\r\n b\r\nContent-Length: 49\r\n\r\n%s" % (HEAD, CALL),
        b"%sX: a\x00b\r\nContent-Length: 49\r\n\r\n%s" % (HEAD, CALL),
        b"%sTransfer-Encoding: chunked\r\n\r\n-1\r\n" % HEAD,
        b"%sTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n" % HEAD,
        WHOLE.replace(b"\r\n", b"\n"),
        b"%s%sContent-Length: %d\r\n\r\n%s" % (HEAD, H2C, len(WHOLE), WHOLE),
        b"%s%sTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" % (HEAD, H2C),
        b"%s%sContent-Length: %d\r\n\r\n%s" % (HEAD, WEBSOCKET, len(WHOLE), WHOLE),
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n%sContent-Length: 10\r\n\r\n" % WEBSOCKET,
        b"CONNECT 127.0.0.1:80 HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n\r\n%s" % (len(WHOLE), WHOLE),
    ],
)
def test_two_readers_see_one_request(caller: Caller, odd: bytes) -> None:
    """Lengths that contradict each other, and a body where another protocol would begin: refused, and nothing of what
    comes after is read as a request.
    """
    assert [400] == ask(caller, odd + LAST)


def test_an_upgrade_that_nobody_speaks(caller: Caller) -> None:
    """Without a body it is passed over, as HTTP says."""
    health = b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n" + H2C
    assert [200] == ask(caller, health.replace(b"Upgrade,", b"Upgrade, close,") + b"\r\n")


def test_heads_are_bounded(caller: Caller) -> None:
    """In one packet as in many, and by their own size: a large body in the same packet does not count."""
    body = b'{"jsonrpc":"2.0","id":"%s","method":"rollup_height"}' % (b" " * 20_000)
    fits = b"%sX: %s\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (HEAD, b"y" * 7_000, len(body), body)
    assert [200] == ask(caller, fits)
    for more in (b"X: %s\r\n" % (b"y" * 20_000), b"X: y\r\n" * 2_000):
        refused = ask(caller, b"%s%sContent-Length: %d\r\n\r\n%s" % (HEAD, more, len(CALL), CALL))
        assert set(refused) <= {400}, "who is cut off while sending may not see why"


@pytest.mark.parametrize("odd", [b"X: y\r\n" * 300, b"Sec-WebSocket-Version: 1\r\n", b"Sec-WebSocket-Key: AA==\r\n"])
def test_a_handshake_that_fails_ends(caller: Caller, odd: bytes) -> None:
    """Of more headers than are read, or with others than there may be: the connection does not stay."""
    assert [400] == ask(caller, b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n%s%s\r\n" % (WEBSOCKET, odd))


def test_trailers_are_bounded(caller: Caller) -> None:
    """What comes after a chunked body is read as headers are; one without an end is cut off."""
    assert [200, 200] == ask(caller, CHUNKED + b"X: y\r\n\r\n" + LAST)
    with socket.create_connection(("127.0.0.1", caller.port), timeout=60) as raw:
        raw.sendall(CHUNKED + b"X: ")
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            for _ in range(100_000):
                raw.sendall(b"y" * 1_000)
