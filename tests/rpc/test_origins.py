"""Web pages of other origins: those that the operator lists may use the server, all others may not."""

import json
from contextlib import closing
from http.client import HTTPConnection

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from microrollup.errors import UsageError
from microrollup.rpc.access import Access
from microrollup.rpc.origins import read_origin
from node_fixtures import Site

PAGE = "https://app.example:8443"
OTHER = "https://app.example"
CALL = b'{"jsonrpc":"2.0","id":1,"method":"rollup_height"}'
PREFLIGHT = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}


@pytest.fixture(scope="module")
def caller(tmp_path_factory):
    site = Site(tmp_path_factory.mktemp("site"))
    with site.serve(access=Access(origins=frozenset({PAGE}))) as caller:
        yield caller


def ask(caller, method, path="/", body=None, **headers):
    """Status, headers that concern other origins, and body."""
    with closing(HTTPConnection("127.0.0.1", caller.port, timeout=60)) as connection:
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        response = connection.getresponse()
        raw = response.read()
    shown = {name.lower(): value for name, value in response.getheaders() if name.lower().startswith("access-control")}
    return response.status, shown, raw


def test_a_listed_page_calls(caller):
    """Its preflight is answered, its calls too, errors included, each with its own origin and nothing wider."""
    status, shown, _ = ask(caller, "OPTIONS", Origin=PAGE, **PREFLIGHT)
    assert 204 == status
    assert {
        "access-control-allow-origin": PAGE,
        "access-control-allow-methods": "GET, POST",
        "access-control-allow-headers": "content-type, authorization, x-microrollup-min-height",
        "access-control-max-age": "600",
        "access-control-expose-headers": "retry-after, x-microrollup-height",
    } == shown
    exposed = "retry-after, x-microrollup-height"
    allowed = {"access-control-allow-origin": PAGE, "access-control-expose-headers": exposed}
    status, shown, raw = ask(caller, "POST", body=CALL, Origin=PAGE, Content_Type="application/json")
    assert (200, allowed, True) == (status, shown, "result" in json.loads(raw))
    assert (415, allowed) == ask(caller, "POST", body=CALL, Origin=PAGE, Content_Type="text/plain")[:2]
    for path in ("/health", "/openrpc.json", "/metrics", "/explorer/app.js", "/"):
        assert (200, allowed) == ask(caller, "GET", path, Origin=PAGE)[:2]


@pytest.mark.parametrize(
    "origin", [OTHER, "http://app.example:8443", "https://app.example:8443.evil.example", "null", "*", ""]
)
def test_other_pages_do_not(caller, origin):
    """A page whose origin is not the listed one to the letter learns nothing and changes nothing."""
    assert (405, {}) == ask(caller, "OPTIONS", Origin=origin, **PREFLIGHT)[:2]
    assert (403, {}) == ask(caller, "POST", body=CALL, Origin=origin, Content_Type="application/json")[:2]
    assert (200, {}) == ask(caller, "GET", "/health", Origin=origin)[:2]


def test_hosts_are_checked_all_the_same(caller):
    """A name that is not this server's is refused, whatever page asks: a listed origin is no way around it."""
    assert 421 == ask(caller, "OPTIONS", Origin=PAGE, Host="rebound.example", **PREFLIGHT)[0]
    assert 421 == ask(caller, "POST", body=CALL, Origin=PAGE, Host="rebound.example")[0]


def test_pages_reach_a_private_network(caller):
    """Browsers ask once more before a public page may reach an address like 127.0.0.1; a listed page may."""
    asked = {**PREFLIGHT, "Access-Control-Request-Private-Network": "true"}
    assert "true" == ask(caller, "OPTIONS", Origin=PAGE, **asked)[1]["access-control-allow-private-network"]
    assert {} == ask(caller, "OPTIONS", Origin=OTHER, **asked)[1]


def test_answers_vary_by_origin(caller):
    """A cache keeps the answers to different pages apart, and those for browsers and programs too."""
    with closing(HTTPConnection("127.0.0.1", caller.port, timeout=60)) as connection:
        for headers in ({}, {"Origin": PAGE}, {"Origin": OTHER}):
            connection.request("GET", "/", headers=headers)
            response = connection.getresponse()
            response.read()
            assert ["Accept", "Origin"] == response.headers.get_all("Vary")


def test_sockets(caller):
    """A listed page may open a WebSocket, others may not."""
    url = f"ws://127.0.0.1:{caller.port}/"
    with connect(url, origin=PAGE) as socket:
        socket.send(CALL)
        assert "result" in json.loads(socket.recv(timeout=60))
    with pytest.raises(InvalidStatus):
        connect(url, origin=OTHER)


def test_origins_are_written_as_browsers_send_them():
    """The scheme's own port, a slash and capitals are left out; what would let everybody in is no origin."""
    assert "https://app.example" == read_origin("HTTPS://App.Example:443/")
    assert "http://127.0.0.1:3000" == read_origin("http://127.0.0.1:3000")
    assert "http://[::1]:5173" == read_origin("http://[::1]:5173")
    assert "chrome-extension://abcdef" == read_origin("chrome-extension://abcdef")
    assert "http://app.example:443" == read_origin("http://app.example:443")
    for wrong in (
        "*",
        "null",
        "",
        "app.example",
        "https://",
        "https://a/b",
        "https://*.a",
        "https://a b",
        "https://a:",
    ):
        with pytest.raises(UsageError, match="not an origin"):
            read_origin(wrong)
