"""What a follower passes on to its source, and what it does not: headers, rates, and what an answer leaves open."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from microrollup.rpc import passing_on
from microrollup.rpc.errors import LIMIT_EXCEEDED, SOURCE_UNAVAILABLE, ErrorResponse
from microrollup.rpc.limits import RpcLimits
from microrollup.rpc.passing_on import Passing, read_via
from microrollup.rpc.proxies import PROXY_HEADERS, TrustedProxies, read_proxy
from microrollup.rpc.rates import LOCAL, name_client

BEARER = "Bearer token-0123456789abcdef"


class Source(ThreadingHTTPServer):
    """A source that keeps the headers of each call, and answers what it is told to."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.seen: list[list[tuple[str, str]]] = []
        self.answer = b'{"jsonrpc":"2.0","id":1,"result":true}'
        self.go = threading.Event()
        self.go.set()


class _Handler(BaseHTTPRequestHandler):
    server: Source

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.seen.append([(name.lower(), value) for name, value in self.headers.items()])
        self.server.go.wait(60)
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.server.answer)))
        self.end_headers()
        self.wfile.write(self.server.answer)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def source() -> Iterator[Source]:
    with Source() as source:
        thread = threading.Thread(target=source.serve_forever, args=(0.01,))
        thread.start()
        yield source
        source.go.set()
        source.shutdown()
        thread.join()


def pass_on(source: Source, client: str = LOCAL, *authorization: str, limits: RpcLimits | None = None) -> Any:
    async def call() -> Any:
        passing = Passing(source.url, "here", limits or RpcLimits())
        try:
            return await passing.call("m", b"{}", client=client, authorization=authorization, via=())
        finally:
            await passing.close()

    return json.loads(bytes(asyncio.run(call())))


@pytest.mark.parametrize("header", PROXY_HEADERS)
@pytest.mark.parametrize("host", ["203.0.113.9", "2001:db8:1:2:3::4", "::ffff:203.0.113.9"])
def test_a_source_counts_the_client_whichever_header_it_reads(source: Source, header: Any, host: str) -> None:
    """By IPv4 and by IPv6: the bucket at the source is the one here. Nothing is said of this machine's own callers."""
    assert pass_on(source, name_client(host)) is True
    headers = [(name.encode(), value.encode()) for name, value in source.seen[0]]
    found = TrustedProxies((read_proxy("127.0.0.1"),), header).find_client(
        {"client": ("127.0.0.1", 1), "headers": headers}
    )
    assert found is not None
    assert name_client(host) == name_client(found[0])
    pass_on(source, LOCAL)
    assert not {name for name, _ in source.seen[1]} & set(PROXY_HEADERS)


@pytest.mark.parametrize(
    ("authorization", "passed"),
    [
        ([BEARER], [BEARER]),
        (["bearer  token-0123456789abcdef=="], ["bearer  token-0123456789abcdef=="]),
        ([], []),
        ([BEARER, BEARER], []),
        (["Basic dXNlcjpwYXNz"], []),  # that of a proxy before this follower
        (
            ["Bearer \u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9"],
            [],
        ),
        ([f"{BEARER}\r\nx-forwarded-for: 10.0.0.1"], []),
        ([f"{BEARER}\n"], []),
        (["Bearer " + "a" * 60_000], []),
        (["Bearer short"], []),
    ],
)
def test_a_bearer_token_is_all_that_is_passed_on(source: Source, authorization: list[str], passed: list[str]) -> None:
    """Nothing that breaks a header, and no other secret."""
    assert pass_on(source, LOCAL, *authorization) is True
    assert passed == [value for name, value in source.seen[0] if name == "authorization"]


def test_what_cannot_be_an_instance_is_left_out() -> None:
    """Else a header of a client would break the follower's own."""
    assert ("0a1b", "ff") == read_via("0a1b, \u00e9, a b, , ff")
    assert 8 == len(read_via(",".join(["aa"] * 9_000)))
    assert () == read_via(None)


def test_an_answer_that_is_cut_short_leaves_it_open(source: Source) -> None:
    """What was passed on may have been taken: no error says that nothing was, also where this node has no room."""
    source.answer = b'{"jsonrpc":"2.0","id":1,"result":"' + b"a" * 5_000 + b'"}'
    for limits in (RpcLimits(answers_bytes=1_000), RpcLimits(answer_bytes=1_000)):
        with pytest.raises(ErrorResponse, match="may have been taken") as caught:
            pass_on(source, limits=limits)
        assert SOURCE_UNAVAILABLE == caught.value.code != LIMIT_EXCEEDED


def test_a_slow_source_lets_nobody_wait_for_ever(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who finds all ways to the source taken is told so, after the time that the source has."""
    monkeypatch.setattr(passing_on, "_AT_ONCE", 1)
    monkeypatch.setattr(passing_on, "SECONDS", 0.5)
    source.go.clear()

    async def call_three() -> list[Any]:
        passing = Passing(source.url, "here", RpcLimits())
        calls = [passing.call("m", b"{}", client=LOCAL, authorization=(), via=()) for _ in range(3)]
        try:
            return await asyncio.gather(*calls, return_exceptions=True)
        finally:
            await passing.close()

    reasons = sorted(str(each) for each in asyncio.run(call_three()))
    assert 3 == len(reasons)
    assert 1 <= sum("nothing was passed on" in reason for reason in reasons) <= 2
