"""How much one remote address may ask for."""

import asyncio
import json
from types import SimpleNamespace

import msgspec
import pytest

import microrollup.rpc.app
from microrollup.rpc import rates
from microrollup.rpc.limits import RpcLimits
from microrollup.rpc.rates import LOCAL, RateLimiter, name_client
from node_fixtures import FAST, Site, receive, serve_node, subscribe

LIMITS = RpcLimits(rate=10, local_rate=0, burst_seconds=2)


class Clock:
    """A clock that a test moves."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def test_a_bucket_fills_again():
    """A burst is served, then the rate; who waits as long as was said is served, a moment earlier is not."""
    clock = Clock()
    limiter = RateLimiter(LIMITS, clock)
    assert [0.0] * 20 == [limiter.take("a") for _ in range(20)]
    assert pytest.approx(0.1) == limiter.take("a")
    assert 0.0 == limiter.take("b")
    clock.now += 0.09
    assert limiter.take("a") > 0
    clock.now += 0.011
    assert 0.0 == limiter.take("a")
    assert limiter.take("a") > 0
    assert 3 == limiter.refused
    clock.now += 1_000
    assert 20 == sum([limiter.take("a") == 0 for _ in range(40)])


def test_a_large_call_is_paid_afterwards():
    """A call of many actions is taken once and paid for by waiting, so that none is too large for ever."""
    clock = Clock()
    limiter = RateLimiter(LIMITS, clock)
    assert 0.0 == limiter.take("a")
    limiter.overdraw("a", 1_000)
    assert pytest.approx(98.2) == limiter.take("a")
    clock.now += 98.1
    assert limiter.take("a") > 0
    clock.now += 0.2
    assert 0.0 == limiter.take("a")


def test_the_table_is_bounded(monkeypatch):
    """Of ever more addresses the one that asked longest ago is forgotten; who asks all the time is not."""
    monkeypatch.setattr(rates, "MAX_CLIENTS", 100)
    limiter = RateLimiter(LIMITS, Clock())
    for _ in range(20):
        limiter.take("busy")
    for number in range(1_000):
        limiter.take(str(number))
        assert limiter.take("busy") > 0
    assert 100 == len(limiter)


def test_no_limit_is_none():
    """A rate of 0 limits nothing and remembers nobody."""
    limiter = RateLimiter(LIMITS, Clock())
    assert {0.0} == {limiter.take(LOCAL) for _ in range(1_000)}
    assert 0 == len(limiter)


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("127.0.0.1", LOCAL), ("127.8.9.1", LOCAL), ("::1", LOCAL), ("::ffff:127.0.0.1", LOCAL), (None, LOCAL),
        ("10.1.2.3", "10.1.2.3"), ("::ffff:10.1.2.3", "10.1.2.3"), ("fe80::1%eth0", name_client("fe80::2")),
        ("2001:db8::1", name_client("2001:db8::ffff:ffff:ffff:ffff")), ("testclient", "testclient"),
    ],
)  # fmt: skip
def test_whose_bucket_it_is(host, name):
    """An IPv4 address has its own, in either notation; an IPv6 network of a site has one; this machine has one."""
    assert name == name_client(host)
    assert name_client("2001:db8::1") != name_client("2001:db8:0:1::1") != name_client("10.1.2.3") != LOCAL


@pytest.fixture
def served(tmp_path, monkeypatch):
    """A node that sees its clients as remote ones: 30 calls in a burst, 20 per second of a clock that a test moves."""
    clock = Clock()
    monkeypatch.setattr("microrollup.rpc.dispatch.RateLimiter", lambda limits: RateLimiter(limits, clock))
    monkeypatch.setattr(microrollup.rpc.app, "name_client", lambda _: "10.1.2.3")
    monkeypatch.setattr("microrollup.rpc.sockets.name_client", lambda _: "10.1.2.3")
    site = Site(tmp_path)
    with site.open(options=FAST) as node, serve_node(node, RpcLimits(rate=20, burst_seconds=1.5)) as caller:
        caller.site, caller.clock = site, clock
        yield caller


def exhaust(caller):
    """Ask until there is no token left; the last answer's error."""
    for _ in range(100):
        answer = caller.ask("height")
        if "error" in answer:
            return answer["error"]
    raise AssertionError


def test_calls_are_refused_and_served_again(served):
    """Too many calls are answered with -32006 and how long to wait: single, batched, over a WebSocket, for pages."""
    error = exhaust(served)
    assert -32006 == error["code"]
    assert 50 == error["data"]["retryAfterMs"]
    batch = [{"jsonrpc": "2.0", "id": number, "method": "rollup_height"} for number in range(50)]
    answers = json.loads(served.post(json.dumps(batch).encode())[1])
    assert list(range(50)) == [answer["id"] for answer in answers]
    assert {-32006} == {answer["error"]["code"] for answer in answers[5:]}
    assert -32006 == json.loads(served.post(b"{")[1])["error"]["code"]
    assert 429 == served.get("/openrpc.json")[0]
    served.clock.now += 0.9
    assert 0 == served.call("height")["latest"]
    with served.connect() as ws:
        ws.send(json.dumps(batch))
        assert -32006 == json.loads(ws.recv(timeout=60))[-1]["error"]["code"]
    with pytest.raises(Exception, match="403"):
        served.connect()


def test_actions_count_as_calls(served):
    """What `submitActions` brings is taken together, and counts: then the caller has to wait."""
    lines = [served.site.line(("count", 0, 1)) for _ in range(60)]
    assert 60 == len([answer["ack"] for answer in served.submit(*lines)])
    error = served.ask("submitAction", action=msgspec.Raw(lines[0]))["error"]
    assert -32006 == error["code"]
    assert error["data"]["retryAfterMs"] > 1_000


def test_this_machine_has_a_rate_of_its_own(tmp_path):
    """Callers of this machine are not held to the rate of remote ones."""
    site = Site(tmp_path)
    with site.serve(limits=RpcLimits(rate=1, burst_seconds=1)) as caller:
        assert {0} == {caller.call("height")["latest"] for _ in range(200)}
        assert b"microrollup_rate_exceeded_total 0.0" in caller.get("/metrics")[1]


def test_what_only_grows_is_a_counter(tmp_path):
    """Prometheus takes rates of counters: what is told as one ends in `_total`, and a gauge may fall."""
    site = Site(tmp_path)
    with site.serve() as caller:
        lines = caller.get("/metrics")[1].decode().splitlines()
    types = {name: kind for _, _, name, kind in [line.split() for line in lines if line.startswith("# TYPE ")]}
    known = {name.removeprefix("microrollup_"): kind for name, kind in types.items() if not name.endswith("_created")}
    grow = {"actions", "blocks", "rate_exceeded", "refusals", "rpc_calls", "rpc_faults", "settlement_failures"}
    grow |= {"subscribers_dropped"}
    assert grow == {name.removesuffix("_total") for name, kind in known.items() if kind == "counter"}
    assert [] == [name for name, kind in known.items() if (kind == "counter") != name.endswith("_total")]


def test_history_is_read_at_a_rate(served, monkeypatch):
    """Who follows from long ago waits between pages of the store instead of being refused, and misses nothing."""
    lines = [served.site.line(("count", 0, 1)) for _ in range(600)]
    limited = served.node.receipts.read
    assert 600 == len(served.node.submit(lines).result(60))
    served.node.receipts.read = lambda *_: None  # as if the ring did not reach back
    waits = []

    async def wait(seconds):
        waits.append(seconds)
        served.clock.now += seconds

    monkeypatch.setattr("microrollup.rpc.sockets.asyncio", SimpleNamespace(**{**vars(asyncio), "sleep": wait}))
    with served.connect() as ws:
        subscribe(ws, "receipts", **{"from": 0})
        assert list(range(600)) == [told["cursor"] for told in receive(ws, 600)]
    assert sum(waits) > 1
    served.node.receipts.read = limited
