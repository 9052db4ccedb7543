"""The proxy of the guide, run: TLS, calls and WebSockets through it, rates per client, pages of other origins."""

import http.client
import json
import re
import socket
import ssl
from contextlib import closing

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from caddy import run_caddy
from microrollup.rpc.access import Access
from microrollup.rpc.limits import RpcLimits
from microrollup.rpc.proxies import TrustedProxies, read_proxy
from microrollup.rpc.write_tokens import WriteTokens
from node_fixtures import Site
from paths import ROOT
from ports import find_port

NAME = "rollup.example"
PAGE = "https://app.example"
TOKEN = "0123456789abcdef"  # noqa: S105  # no secret
FEW = RpcLimits(rate=0.001, local_rate=0.001, burst_seconds=5_000)
"""Five calls, and the next one a quarter of an hour later."""

CALL = b'{"jsonrpc":"2.0","id":1,"method":"rollup_height"}'
SUBMIT = b'{"jsonrpc":"2.0","id":1,"method":"rollup_submitActions","params":{"actions":[]}}'


HERE = """{
	admin off
	skip_install_trust
	local_certs
	auto_https disable_redirects
	default_bind 127.0.0.1
	servers 127.0.0.1:%d {
		trusted_proxies static 127.0.0.1/32
	}
}
"""


class Proxied:
    """A node behind the guide's proxy, which has two ports: at the second it believes what stands before it."""

    def __init__(self, ports, context):
        self.ports = ports
        self.context = context

    def ask(self, method="POST", path="/", body=CALL, *, port=0, **headers):
        """Status, headers and body, by TLS."""
        raw = socket.create_connection(("127.0.0.1", self.ports[port]), 60)
        named = {"Content-Type": "application/json"} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        with closing(http.client.HTTPConnection(NAME, timeout=60)) as connection:
            connection.sock = self.context.wrap_socket(raw, server_hostname=NAME)
            connection.request(method, path, body, named)
            response = connection.getresponse()
            return response.status, response.headers, response.read()

    def open(self, port=0, **options):
        raw = socket.create_connection(("127.0.0.1", self.ports[port]), 60)
        return connect(f"wss://{NAME}/", sock=raw, ssl=self.context, server_hostname=NAME, **options)


@pytest.fixture
def proxied(tmp_path):
    text = (ROOT / "microrollup" / "docs" / "operate" / "run.md").read_text(encoding="utf-8")
    guide = re.search(r'```caddyfile title="Caddyfile"\n(.*?)```', text, re.DOTALL)[1]
    access = Access(
        frozenset({NAME}), frozenset({PAGE}), TrustedProxies((read_proxy("127.0.0.1"),)), WriteTokens([TOKEN])
    )
    with Site(tmp_path).serve(access=access, limits=FEW) as caller:
        first, second = find_port(), find_port()
        here = HERE % second
        sites = [
            guide.replace(NAME, f"{NAME}:{port}").replace("127.0.0.1:8650", f"127.0.0.1:{caller.port}")
            for port in (first, second)
        ]
        with run_caddy(tmp_path, here + "".join(sites), NAME, first, second) as context:
            yield Proxied((first, second), context)


def test_through_the_proxy(proxied):
    """Calls, pages, WebSockets and a token come through; what is for the operator alone does not."""
    status, _, raw = proxied.ask()
    assert (200, True) == (status, "result" in json.loads(raw))
    assert [403, 403] == [proxied.ask("GET", path, None)[0] for path in ("/metrics", "/health")]
    assert 401 == proxied.ask(body=SUBMIT)[0]
    assert 200 == proxied.ask(body=SUBMIT, Authorization=f"Bearer {TOKEN}")[0]
    with proxied.open() as websocket:
        websocket.send(CALL)
        assert "result" in json.loads(websocket.recv(timeout=60))
    with pytest.raises(ssl.SSLCertVerificationError):
        ssl.create_default_context().wrap_socket(
            socket.create_connection(("127.0.0.1", proxied.ports[0]), 60), server_hostname=NAME
        )


def test_pages_of_other_origins(proxied):
    """A listed page is answered through the proxy, its preflight too; another is not, over HTTP or WebSocket."""
    asked = {"Access_Control_Request_Method": "POST", "Access_Control_Request_Headers": "authorization,content-type"}
    status, headers, _ = proxied.ask("OPTIONS", body=None, port=1, Origin=PAGE, **asked)
    assert (204, PAGE) == (status, headers["Access-Control-Allow-Origin"])
    assert "authorization" in headers["Access-Control-Allow-Headers"]
    assert headers["Access-Control-Allow-Credentials"] is None
    status, headers, _ = proxied.ask("OPTIONS", body=None, port=1, Origin="https://other.example", **asked)
    assert (405, None) == (status, headers["Access-Control-Allow-Origin"])
    assert 200 == proxied.ask(port=1, Origin=PAGE)[0]
    assert 403 == proxied.ask(port=1, Origin="https://other.example")[0]
    with proxied.open(1, origin=PAGE) as websocket:
        websocket.send(CALL)
        assert "result" in json.loads(websocket.recv(timeout=60))
    with pytest.raises(InvalidStatus):
        proxied.open(1, origin="https://other.example")


def test_rates_behind_proxies(proxied):
    """Two clients have a rate each, over HTTP and WebSocket; who stands before the first proxy cannot choose one."""
    ask = lambda client: proxied.ask(port=1, X_Forwarded_For=client)  # noqa: E731
    is_answered = lambda found: "result" in json.loads(found[2])  # noqa: E731
    assert [True] * 5 + [False] == [is_answered(ask("203.0.113.9")) for _ in range(6)]
    assert not is_answered(ask("198.51.100.7, 203.0.113.9"))
    with pytest.raises(InvalidStatus):
        proxied.open(1, additional_headers={"X-Forwarded-For": "203.0.113.9"})
    with proxied.open(1, additional_headers={"X-Forwarded-For": "203.0.113.10"}) as websocket:
        websocket.send(CALL)
        assert "result" in json.loads(websocket.recv(timeout=60))
    assert [True] * 5 + [False] == [is_answered(proxied.ask(X_Forwarded_For=f"203.0.113.{n}")) for n in range(20, 26)]
