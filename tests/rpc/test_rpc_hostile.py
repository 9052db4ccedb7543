"""Hostile clients: every reply is a well-formed error, nothing is kept without end, others are served meanwhile."""

import json
import random
import select
import socket
from contextlib import suppress

import msgspec
import pytest

from microrollup.rpc.envelope import is_shallow
from microrollup.rpc.guard import is_allowed_host, is_allowed_origin, is_json
from microrollup.rpc.limits import RpcLimits
from microrollup.rpc.methods import make_methods
from microrollup.rpc.openrpc import describe_openrpc
from node_fixtures import Site, serve_node
from waiting import wait_for

LIMITS = RpcLimits(head_seconds=0.5, body_seconds=0.5, idle_seconds=1, head_bytes=8_000, body_bytes=200_000)
CODES = {-32700, -32600, -32601, -32602, -32000, -32001, -32002, -32003, -32004, -32005}


@pytest.fixture(scope="module")
def caller(tmp_path_factory):
    site = Site(tmp_path_factory.mktemp("site"))
    with site.open() as node, serve_node(node, LIMITS) as caller:
        caller.site = site
        yield caller


def check_error(raw):
    """An error object of JSON-RPC, without a trace of Python; its code."""
    answer = json.loads(raw)
    assert {"jsonrpc", "id", "error"} == set(answer), answer
    error = answer["error"]
    assert {"code", "message"} <= set(error) <= {"code", "message", "data"}
    assert error["code"] in CODES, error
    assert "Traceback" not in raw.decode()
    assert 'File "' not in raw.decode()
    return error["code"]


BODIES = [
    (b"", -32700),
    (b"{", -32700),
    (b"nul", -32700),
    (b"\xff\xfe", -32700),
    (b'{"jsonrpc":"2.0","id":1,"method":"\xed\xa0\x80"}', -32700),
    (b"[" * 100_000, -32700),
    (b'{"a":' * 20_000, -32700),
    (b'{"jsonrpc":"2.0","id":1,"method":"rollup_height"} x', -32700),
    (b"1", -32600),
    (b'"x"', -32600),
    (b"{}", -32600),
    (b"[]", -32600),
    (b'{"jsonrpc":"1.0","id":1,"method":"rollup_height"}', -32600),
    (b'{"jsonrpc":"2.0","id":1,"method":5}', -32600),
    (b'{"jsonrpc":"2.0","id":{},"method":"rollup_height"}', -32600),
    (b'{"jsonrpc":"2.0","id":true,"method":"rollup_height"}', -32600),
    (b'{"jsonrpc":"2.0","id":"' + b"x" * 1000 + b'","method":"rollup_height"}', -32600),
    (b'{"jsonrpc":"2.0","id":1,"method":"rollup_height","params":5}', -32600),
    (b'{"jsonrpc":"2.0","id":1,"method":"rollup_height","extra":5}', -32600),
    (b'{"jsonrpc":"2.0","id":1,"method":"eth_call"}', -32601),
    (b'{"jsonrpc":"2.0","id":1,"method":"' + b"x" * 100_000 + b'"}', -32601),
    (b'{"jsonrpc":"2.0","id":1,"method":"rollup_height","params":[1]}', -32602),
    (b'{"jsonrpc":"2.0","id":1,"method":"rollup_height","params":{"x":1}}', -32602),
    (b'{"jsonrpc":"2.0","id":1,"method":"rollup_getBlock","params":{"height":1e99}}', -32602),
    (b'{"jsonrpc":"2.0","id":1,"method":"rollup_getBlock","params":{"height":' + b"9" * 5_000 + b"}}", -32602),
    (
        b'{"jsonrpc":"2.0","id":1,"method":"rollup_getState","params":{"field":"tickets","key":' + b"9" * 5_000 + b"}}",
        -32602,
    ),
    (b"[" + b",".join([b'{"jsonrpc":"2.0","id":1,"method":"rollup_height"}'] * 101) + b"]", -32004),
]


@pytest.mark.parametrize(("body", "code"), BODIES, ids=[str(number) for number in range(len(BODIES))])
def test_bad_bodies(caller, body, code):
    """Each kind of bad body has its code."""
    status, raw = caller.post(body)
    assert (200, code) == (status, check_error(raw))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("height", "height; there is rollup_height"),
        ("rollup_getHeader2", "rollup_getHeader2; there is rollup_getHeader"),
        ("eth_call", "eth_call"),
        ("x" * 101, "x" * 100),
    ],
)
def test_a_method_that_was_meant(caller, name, said):
    """A method that does not exist is answered with the one of the nearest name, if there is one that is near."""
    answer = json.loads(caller.post(json.dumps({"jsonrpc": "2.0", "id": 1, "method": name}).encode())[1])
    assert f"method not found: {said}" == answer["error"]["message"]


def test_bad_calls_of_a_batch_are_told_apart(caller):
    """In a batch, bad calls have errors of their own beside the good one's result; notifications have none."""
    calls = (
        b'[1,{"jsonrpc":"2.0","method":"rollup_height"},{"jsonrpc":"2.0","id":3,"method":"rollup_height"},{"id":4},'
        b'{"jsonrpc":"2.0","id":null,"method":"none"}]'
    )
    answers = json.loads(caller.post(calls)[1])
    assert [None, 3, 4, None] == [answer["id"] for answer in answers]
    assert [-32600, None, -32600, -32601] == [answer.get("error", {}).get("code") for answer in answers]
    assert (204, b"") == caller.post(b'{"jsonrpc":"2.0","method":"rollup_height"}')


@pytest.mark.parametrize("id_", ["7", '"a"', "-1.5", '"\\u00e9"'])
@pytest.mark.parametrize(
    "rest",
    [
        '"jsonrpc":"2.0","method":"rollup_height","params":null',
        '"jsonrpc":"2.0","method":"rollup_height","params":5',
        '"jsonrpc":"1.0","method":"rollup_height"',
        '"method":"rollup_height"',
        '"jsonrpc":"2.0","method":5',
        '"jsonrpc":"2.0","params":[]',
        '"jsonrpc":"2.0","method":"rollup_height","extra":null',
    ],
)
def test_errors_keep_the_id(caller, id_, rest):
    """A request that is not a valid one is answered under its own id, alone and in a batch."""
    for body in (f'{{"id":{id_},{rest}}}', f'{{{rest},"id":{id_}}}'):
        for text in (body, f"[{body}]"):
            answer = json.loads(caller.post(text.encode())[1])
            (told,) = answer if isinstance(answer, list) else [answer]
            assert (json.loads(id_), -32600) == (told["id"], told["error"]["code"])
    for foreign in ("{}", "true", f'"{"x" * 1000}"'):
        assert None is json.loads(caller.post(f'{{"id":{foreign},{rest}}}'.encode())[1])["id"]


def test_large_bodies(caller):
    """A body beyond the limit is refused unread, with or without saying its length."""
    status, raw = caller.post(b" " * 300_000)
    assert (413, -32004) == (status, check_error(raw))
    caller.close()
    caller._connection.request(
        "POST", "/", iter([b" " * 50_000] * 10), {"Content-Type": "application/json"}, encode_chunked=True
    )
    response = caller._connection.getresponse()
    assert (413, -32004) == (response.status, check_error(response.read()))
    caller.close()
    assert caller.call("height")


def test_too_many_actions_at_once(caller):
    """More actions than one call may bring are refused together."""
    code, _ = caller.fail("submitActions", actions=[1] * 1_001)
    assert -32004 == code


def test_other_content_types_and_origins(caller):
    """What a page of another origin could send without asking first is refused, and so are foreign names."""
    body = b'{"jsonrpc":"2.0","id":1,"method":"rollup_height"}'
    for headers, status in (
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
        ({"Origin": "http://evil.example"}, 403),
        ({"Host": "evil.example"}, 421),
        ({"Host": "evil.example:8650"}, 421),
        ({"Host": ""}, 421),
    ):
        found, raw = caller.post(body, **headers)
        assert (status, -32600) == (found, check_error(raw)), headers
    assert 200 == caller.post(body, Origin=f"http://127.0.0.1:{caller.port}")[0]
    assert 200 == caller.post(body, **{"Content-Type": "application/json; charset=utf-8"})[0]
    for path in ("/health", "/metrics", "/", "/openrpc.json"):
        assert 421 == caller.get(path, Host="rebound.example")[0]


def test_no_cors(caller):
    """No answer opens the door to other origins."""
    caller._connection.request("OPTIONS", "/", headers={"Origin": "http://evil.example"})
    response = caller._connection.getresponse()
    response.read()
    assert [] == [name for name, _ in response.getheaders() if name.lower().startswith("access-control")]


def test_hosts():
    """Addresses and localhost are this server's names, others only if they are allowed; an origin is the host's own."""
    for host in ("127.0.0.1", "127.0.0.1:8650", "[::1]:8650", "localhost:1", "10.1.2.3"):
        assert is_allowed_host(host, frozenset())
    for host in (None, "", "evil.example", "localhost.evil.example", "[", "127.0.0.1.evil.example", "127.0.0.1@evil"):
        assert not is_allowed_host(host, frozenset())
    assert is_allowed_host("node.example:80", frozenset({"node.example"}))
    for allowed in (frozenset[str](), frozenset({"https://app.example"})):
        assert is_allowed_origin(None, "a:1", allowed)
        assert is_allowed_origin("http://a:1", "a:1", allowed)
        assert bool(allowed) == is_allowed_origin("https://app.example", "a:1", allowed)
        for origin in ("http://a:2", "null", "https://app.example.evil", "http://app.example", "*", ""):
            assert not is_allowed_origin(origin, "a:1", allowed)
    assert is_json("Application/JSON ; charset=utf-8")
    assert not is_json(None)


def test_depth_is_counted_right():
    """Nesting is that of brackets outside of strings, whatever escapes and brackets the strings hold."""
    assert is_shallow(b"[" * 64 + b"]" * 64, 64)
    assert not is_shallow(b"[" * 65 + b"]" * 65, 64)
    assert not is_shallow(b'{"a":' * 65, 64)
    rng = random.Random(5)
    pieces = ["[", "]", "{", "}", '"', "\\", "a", ",", '\\"']
    for _ in range(300):
        inner = "".join(rng.choice(pieces) for _ in range(rng.randrange(200)))
        depth = rng.randrange(1, 100)
        text = "[" * depth + json.dumps(inner) + "]" * depth
        assert (depth <= 64) == is_shallow(text.encode(), 64), text
    assert is_shallow(json.dumps([[]] * 10_000).encode(), 2)


def connect_raw(caller):
    raw = socket.create_connection(("127.0.0.1", caller.port), timeout=60)
    raw.settimeout(60)
    return raw


def read_to_end(raw):
    received = b""
    while chunk := raw.recv(65_536):
        received += chunk
    return received


HEAD = b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"


def test_slow_requests_are_ended(caller):
    """Connections that say nothing, that do not finish their head, or their body, are closed in time."""
    for sent, expected in (
        (b"", b""),
        (b"POST / HT", b""),
        (HEAD, b""),
        (HEAD + b"Content-Length: 50\r\n\r\n{", b"408"),
    ):
        with connect_raw(caller) as raw:
            raw.sendall(sent)
            try:
                received = read_to_end(raw)
            except ConnectionResetError:
                received = b""
            assert expected in received


def test_endless_heads_are_ended(caller):
    """A request whose head grows without end is refused."""
    with connect_raw(caller) as raw:
        try:
            raw.sendall(b"GET / HTTP/1.1\r\n" + (b"X-A: " + b"x" * 1_000 + b"\r\n") * 1_000)
            received = read_to_end(raw)
        except (ConnectionResetError, BrokenPipeError):
            received = b"400"
    assert b"400" in received


def test_no_http_at_all(caller):
    """Garbage is answered with 400 and nothing else happens."""
    with connect_raw(caller) as raw:
        raw.sendall(b"\x16\x03\x01garbage\r\n\r\n")
        raw.shutdown(socket.SHUT_WR)
        assert b"400" in read_to_end(raw)
    assert caller.call("height")


def test_half_open_sockets_are_ended(caller):
    """A WebSocket that does not answer pings is closed."""
    with connect_raw(caller) as raw:
        raw.sendall(
            b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        received = read_to_end(raw)
    assert received.startswith(b"HTTP/1.1 101")


def test_connections_are_limited(tmp_path):
    """Beyond the limit a connection is closed at once; when one ends, another is served."""
    site = Site(tmp_path)
    with site.serve(limits=RpcLimits(connections=3)) as caller:
        caller.call("height")
        held = [connect_raw(caller) for _ in range(2)]
        with connect_raw(caller) as raw:
            try:
                raw.sendall(b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
                assert b"" == raw.recv(10)
            except (ConnectionResetError, BrokenPipeError):
                pass
        for each in held:
            each.close()

        def is_served():
            with connect_raw(caller) as raw, suppress(ConnectionError):
                raw.sendall(b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
                return raw.recv(20).startswith(b"HTTP/1.1 200")

        wait_for(is_served)


# Driven by the document


def make_value(rng, depth=0):
    """Any JSON value, most of them wrong wherever they are put."""
    scalars = [
        None, True, False, 0, -1, 1, 2**53, 2**63, 2**64, 1.5, 1e300, "", "latest", "0x", "0x00", "0x" + "00" * 20,
        "0x" + "11" * 32, "\u0000", "\U0001f600", "x" * 300, "tickets", "motto", "blocks", "animal 1",
    ]  # fmt: skip
    if depth < 3 and rng.random() < 0.3:
        if rng.random() < 0.5:
            return [make_value(rng, depth + 1) for _ in range(rng.randrange(4))]
        return {rng.choice(["type", "message", "a", "sender", "topic"]): make_value(rng, depth + 1) for _ in range(3)}
    return rng.choice(scalars)


@pytest.mark.parametrize("name", list(make_methods()))
def test_random_params(caller, name):
    """Whatever is put into a method's params, by name or by position, the answer is a result or a well-formed error."""
    (method,) = [each for each in describe_openrpc(make_methods(), "zoo", "")["methods"] if each["name"] == name]
    rng = random.Random(name)
    names = [param["name"] for param in method["params"]]
    calls = []
    for number in range(90):
        if rng.random() < 0.3:
            params = [make_value(rng) for _ in range(rng.randrange(len(names) + 2))]
        else:
            params = {each: make_value(rng) for each in names if rng.random() < 0.8}
            if rng.random() < 0.1:
                params["unknown"] = make_value(rng)
        calls.append({"jsonrpc": "2.0", "id": number, "method": name, "params": params})
    status, raw = caller.post(msgspec.json.encode(calls))
    assert 200 == status
    answers = json.loads(raw)
    assert list(range(90)) == [answer["id"] for answer in answers]
    for answer in answers:
        if "error" in answer:
            check_error(json.dumps(answer).encode())
        else:
            assert {"jsonrpc", "id", "result"} == set(answer)
    assert caller.node.stopped is None


def test_internal_errors_say_nothing(caller, monkeypatch):
    """A bug of ours is answered as an internal error without any detail, and logged."""

    def fail(*_):
        raise RuntimeError("secret")

    monkeypatch.setattr(caller.node.lookups, "get_header", fail)
    assert (-32603, "internal error") == caller.fail("getHeader")
    assert caller.call("height")


def test_bodies_of_all_are_bounded(tmp_path):
    """Many large bodies at once are not held: beyond the budget they are turned away, and it comes back."""
    site = Site(tmp_path)
    with site.serve(limits=RpcLimits(body_bytes=100_000, bodies_bytes=150_000)) as caller:
        held = [connect_raw(caller) for _ in range(3)]
        for raw in held:
            raw.sendall(HEAD + b"Content-Length: 90000\r\n\r\n" + b" " * 70_000)
        (refused, *_), _, _ = select.select(held, [], [], 60)  # whichever of them came last
        assert b"503" in refused.recv(100)
        with caller.connect() as ws:
            ws.send("x" * 60_000)
            assert -32004 == check_error(ws.recv(timeout=60).encode())
        for raw in held:
            raw.close()
        wait_for(lambda: caller.post(b" " * 90_000)[0] == 200)
        assert -32700 == check_error(caller.post(b" " * 90_000)[1])
