"""Whose address counts behind a proxy: what trusted proxies have added, and nothing that a client says."""

import http.client
import json
from contextlib import closing

import pytest

from microrollup.errors import UsageError
from microrollup.rpc.access import Access
from microrollup.rpc.limits import RpcLimits
from microrollup.rpc.proxies import MAX_HOPS, TrustedProxies, read_proxy
from node_fixtures import Site

TRUSTED = tuple(read_proxy(text) for text in ("127.0.0.1", "10.0.0.0/8", "2001:db8:ffff::/48"))
FEW = RpcLimits(rate=0.001, local_rate=0.001, burst_seconds=5_000)
"""Five calls, and the next one a quarter of an hour later."""

CALL = b'{"jsonrpc":"2.0","id":1,"method":"rollup_height"}'


def find(peer, *values, header="x-forwarded-for", name=None):
    """The client's address behind a peer, for values of a header."""
    headers = [((name or header).encode(), value.encode("latin-1")) for value in values]
    return TrustedProxies(TRUSTED, header).find_client({"client": (peer, 5), "headers": headers})[0]


@pytest.mark.parametrize(
    ("peer", "values", "client"),
    [
        ("127.0.0.1", ["203.0.113.9"], "203.0.113.9"),
        ("127.0.0.1", ["198.51.100.1, 203.0.113.9"], "203.0.113.9"),  # the first is what the client says
        ("127.0.0.1", ["198.51.100.1", "203.0.113.9, 10.1.1.1"], "203.0.113.9"),
        ("::ffff:10.9.9.9", ["203.0.113.9:4711"], "203.0.113.9"),
        ("2001:db8:ffff::1", ["[2001:db8::7]:4711"], "2001:db8::7"),
        ("127.0.0.1", ["2001:db8::7"], "2001:db8::7"),
        ("127.0.0.1", ["10.3.0.1,10.2.0.1"], "10.3.0.1"),  # all are trusted: where it began
        ("127.0.0.1", [], "127.0.0.1"),
        ("127.0.0.1", ["203.0.113.9, unknown"], "127.0.0.1"),
        ("127.0.0.1", ["203.0.113.9, , 10.0.0.1"], "10.0.0.1"),
        ("10.0.0.1", ["127.0.0.2"], "10.0.0.1"),  # not of this machine
        ("10.0.0.1", ["::1"], "10.0.0.1"),
        ("127.0.0.1", ["x" * 60_000], "127.0.0.1"),
        ("127.0.0.1", ["10.0.0.1," * 1_000 + "203.0.113.9"], "203.0.113.9"),
    ],
)  # fmt: skip
def test_the_last_hop_that_is_not_trusted(peer, values, client):
    """The list is read from its end, as far as who wrote it is trusted; what is no address ends it."""
    assert client == find(peer, *values)


@pytest.mark.parametrize("peer", ["203.0.113.1", "127.0.0.2", "11.0.0.1", "2001:db8::1"])
@pytest.mark.parametrize("header", ["x-forwarded-for", "forwarded"])
def test_an_untrusted_peer_is_the_client(peer, header):
    """Whatever it says."""
    for value in ("198.51.100.1", "127.0.0.1", "for=198.51.100.1", "10.0.0.1"):
        assert peer == find(peer, value, header=header)


@pytest.mark.parametrize(
    ("value", "client"),
    [
        ("for=203.0.113.9", "203.0.113.9"),
        ('For="[2001:db8::7]:4711";proto=https;by=10.0.0.1', "2001:db8::7"),
        ("for=198.51.100.1, for=203.0.113.9;host=a, for=10.0.0.1", "203.0.113.9"),
        ('for=", for=203.0.113.9', "203.0.113.9"),  # a quote that the client has opened
        ('for="198.51.100.1, for=203.0.113.9"', "203.0.113.9"),
        ("for=_hidden", "127.0.0.1"),
        ("for=198.51.100.1;for=203.0.113.9", "127.0.0.1"),
        ("proto=https", "127.0.0.1"),
        ("203.0.113.9", "127.0.0.1"),
    ],
)
def test_forwarded(value, client):
    """The same by RFC 7239, of which `for` is read."""
    assert client == find("127.0.0.1", value, header="forwarded")


def test_the_other_header_is_what_a_client_says():
    """A proxy that sets one header hands on the other as it came, so the other is not read."""
    assert "127.0.0.1" == find("127.0.0.1", "for=198.51.100.1", name="forwarded")
    assert "127.0.0.1" == find("127.0.0.1", "198.51.100.1", header="forwarded", name="x-forwarded-for")


def test_hops_are_bounded():
    """Of a longer list the last hops are looked at."""
    hops = [f"10.0.0.{number}" for number in range(MAX_HOPS)]
    assert "203.0.113.9" == find("127.0.0.1", ", ".join(["203.0.113.9", *hops[1:]]))
    assert "10.0.0.0" == find("127.0.0.1", ", ".join(["203.0.113.9", *hops]))


def test_it_finds_the_same_twice():
    """A server in front has looked already where an application looks again."""
    for values in (["198.51.100.1, 203.0.113.9"], ["10.3.0.1, 10.2.0.1"], ["unknown, 10.2.0.1"], ["127.0.0.9"]):
        first = find("127.0.0.1", *values)
        assert first == find(first, *values)


def test_a_pipe_has_no_address():
    """A peer without an address stays one."""
    assert None is TrustedProxies(TRUSTED).find_client({"client": None, "headers": [(b"x-forwarded-for", b"1.2.3.4")]})


def test_what_is_a_proxy():
    """An address or a network; not everybody, and nothing that has to be looked up."""
    assert "10.0.0.0/8" == str(read_proxy("10.0.0.0/8"))
    assert "::1/128" == str(read_proxy(" ::1 "))
    for wrong, reason in [
        ("0.0.0.0/0", "everybody"), ("::/0", "everybody"), ("proxy.example", "is not an address"),
        ("10.0.0.1/8", "host bits"), ("", "is not an address"), ("*", "is not an address"),
    ]:  # fmt: skip
        with pytest.raises(UsageError, match=reason):
            read_proxy(wrong)


@pytest.fixture
def ask(tmp_path):
    """Call a node that trusts 127.0.0.1, from any address of this machine."""
    access = Access(proxies=TrustedProxies((read_proxy("127.0.0.1"),)))

    def call(caller, client=None, source="127.0.0.1"):
        """Whether a call is answered, and a page and a WebSocket where they are all that is asked for."""
        headers = {"Content-Type": "application/json"} | ({} if client is None else {"X-Forwarded-For": client})
        with closing(http.client.HTTPConnection("127.0.0.1", caller.port, 60, (source, 0))) as connection:
            connection.request("POST", "/", CALL, headers)
            return "result" in json.loads(connection.getresponse().read())

    with Site(tmp_path).serve(access=access, limits=FEW) as caller:
        yield lambda *args, **kwargs: call(caller, *args, **kwargs)


def test_rates_are_per_client(ask):
    """Behind a trusted proxy each client has its own rate, whatever it has put into the header itself."""
    assert [True] * 5 + [False] == [ask("203.0.113.9") for _ in range(6)]
    assert [False] * 3 == [ask(f"198.51.100.{number}, 203.0.113.9") for number in range(3)]
    assert [True] * 5 + [False] == [ask("203.0.113.10") for _ in range(6)]


def test_who_is_not_trusted_has_one_rate(ask):
    """A peer that is no proxy counts by its own address, however many it names."""
    answers = [ask(f"203.0.113.{number}", source="127.0.0.2") for number in range(6)]
    assert [True] * 5 + [False] == answers
    assert ask("203.0.113.5")
