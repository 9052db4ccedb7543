"""A node in this process, over a rollup in a directory, with or without its server; and a small client of its API."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import msgspec
from websockets.sync.client import ClientConnection, connect

from kernel_fixtures import MAP_SIZE, Signer, make_key, make_steps
from microrollup.crypto.ecdsa import PrivateKey, SigningKey, compute_address
from microrollup.declaration.rollup import load_rollup
from microrollup.execution.authentication import Authenticated
from microrollup.ledger.genesis import make_genesis
from microrollup.ledger.ledger import Ledger
from microrollup.node.divergence_note import mend_divergence
from microrollup.node.options import NodeOptions
from microrollup.node.runtime import Node, VerifierSpec
from microrollup.node.writer import WriterOptions
from microrollup.rpc.app import make_app
from microrollup.rpc.limits import RpcLimits
from microrollup.rpc.server import Server, bind
from microrollup.settlement.local import SECONDS_PER_BLOCK, LocalSettlement
from microrollup.settlement.place import LocalPlace
from microrollup.verifier.events import VerifierRequest
from paths import SUPPORT

ZOO = "zoo:zoo"
BUILDER_KEY = make_key("builder of nodes")
VERIFIER_KEYS = [make_key(f"verifier {number} of nodes") for number in range(3)]
FAST = NodeOptions(timing=WriterOptions(block_seconds=0.05, gap_seconds=0.5, poll_seconds=0.05))


class Site:
    """A directory with a rollup in it, whose nodes come and go."""

    def __init__(self, root: Path, reference: str = ZOO, verifiers: int = 1) -> None:
        self.root = root
        self.reference = reference
        self.rollup = load_rollup(reference)
        self.keys = VERIFIER_KEYS[:verifiers]
        self.ahead = 0.0
        number = int(self.get_time()) // SECONDS_PER_BLOCK - 1
        self.genesis = make_genesis(
            self.rollup,
            builder=compute_address(BUILDER_KEY),
            verifiers=tuple(compute_address(key) for key in self.keys),
            quorum=verifiers // 2 + 1,
            l1_start=number,
            genesis_time=number * SECONDS_PER_BLOCK,
            l1_chain_id=31337,
        )
        owner, stf_id = compute_address(BUILDER_KEY), self.rollup.oldest.stf_id
        LocalSettlement.create(root / "l1", self.genesis, owner, stf_id).close()
        Ledger.create(root / "node", self.rollup, self.genesis, map_size=MAP_SIZE).close()
        self.signer = Signer(self.rollup, self.genesis)

    def get_time(self) -> float:
        """The clock of this site's L1, which a test may put forward."""
        return time.time() + self.ahead

    def make_spec(self, key: PrivateKey) -> VerifierSpec:
        """A verifier that the node runs."""
        address = compute_address(key)
        request = VerifierRequest(
            app=self.reference,
            source=str(self.root / "node"),
            directory=str(self.root / f"verifier-{address.hex()}"),
            python_path=[str(SUPPORT)],
            l1=LocalPlace(str(self.root / "l1")),
            secret=key.secret.hex(),
            workers=0,
            signed=str(self.root / f"signed-{address.hex()}"),
            follow=True,
        )
        return VerifierSpec(address, request)

    @contextmanager
    def open(self, *, verifiers: int = 0, options: NodeOptions = FAST, key: SigningKey = BUILDER_KEY) -> Iterator[Node]:
        """A node that is started, and stopped at the end."""
        divergent = mend_divergence(self.root / "node", self.rollup)
        with (
            Ledger.open(self.root / "node", self.rollup, map_size=MAP_SIZE) as ledger,
            closing(LocalSettlement.open(self.root / "l1", self.get_time)) as l1,
        ):
            specs = [self.make_spec(key) for key in self.keys[:verifiers]]
            node = Node(self.reference, ledger, l1, key, verifiers=specs, options=options, divergent=divergent)
            node.start()
            try:
                yield node
            finally:
                node.stop()

    @contextmanager
    def serve(
        self, *, verifiers: int = 0, options: NodeOptions = FAST, limits: RpcLimits | None = None, **more: Any
    ) -> Iterator[Caller]:
        """A node with its server."""
        with self.open(verifiers=verifiers, options=options) as node, serve_node(node, limits, **more) as caller:
            yield caller

    def line(self, *steps: tuple[str, int, int], name: str = "alice", nonce: int | None = None) -> bytes:
        """An `Edit` that `name` signs, with the next nonce, as JSON."""
        return to_line(self, self.signer.sign(make_steps(*steps), name, nonce))


def to_line(site: Site, action: Authenticated) -> bytes:
    """The JSON form of an authenticated action."""
    types = site.rollup.action_types
    return msgspec.json.encode(types.to_json(types.decode_record(action.record)))


@contextmanager
def serve_node(node: Node, limits: RpcLimits | None = None, **more: Any) -> Iterator[Caller]:
    """A server of a node in a thread of its own, on any port."""
    chosen = limits or RpcLimits()
    ready = threading.Event()
    server = Server(make_app(node, chosen, **more), bind("127.0.0.1", 0), chosen, on_ready=ready.set)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        assert ready.wait(60)
        with closing(Caller(node, server.port)) as caller:
            yield caller
    finally:
        server.stop()
        thread.join(60)
        assert not thread.is_alive()


class Caller:
    """Calls a served node."""

    def __init__(self, node: Node, port: int) -> None:
        self.node = node
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def post(self, body: bytes, path: str = "/", **headers: str) -> tuple[int, bytes]:
        """Status and body of a POST."""
        return self._send("POST", path, body, {"Content-Type": "application/json", **headers})

    def get(self, path: str, **headers: str) -> tuple[int, bytes]:
        """Status and body of a GET."""
        return self._send("GET", path, None, headers)

    def _send(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> tuple[int, bytes]:
        """Over the connection that is open, or over a new one if the server has closed it."""
        for again in (True, False):
            try:
                self._connection.request(method, path, body, headers)
                response = self._connection.getresponse()
                return response.status, response.read()
            except (ConnectionError, http.client.HTTPException):
                self._connection.close()
                if not again:
                    raise
        raise AssertionError

    def ask(self, method: str, *args: Any, **params: Any) -> dict[str, Any]:
        """The whole answer of a call, by name or by position."""
        request = {"jsonrpc": "2.0", "id": 7, "method": f"rollup_{method}", "params": list(args) or params}
        status, body = self.post(msgspec.json.encode(request))
        answer: dict[str, Any] = json.loads(body)
        assert (200, "2.0", 7) == (status, answer["jsonrpc"], answer["id"])
        return answer

    def call(self, method: str, *args: Any, **params: Any) -> Any:
        """The result of a call, which must have one."""
        answer = self.ask(method, *args, **params)
        assert "result" in answer, answer
        return answer["result"]

    def fail(self, method: str, *args: Any, **params: Any) -> tuple[int, str]:
        """Code and message of a call that must fail."""
        error = self.ask(method, *args, **params)["error"]
        return error["code"], error["message"]

    def submit(self, *lines: bytes) -> list[Any]:
        """The results of `submitActions`."""
        result: list[Any] = self.call("submitActions", actions=[msgspec.Raw(line) for line in lines])
        return result

    def connect(self, **options: Any) -> ClientConnection:
        """A WebSocket; to be used in a `with` statement."""
        return connect(f"ws://127.0.0.1:{self.port}/", max_size=1 << 24, **options)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def subscribe(socket: ClientConnection, topic: str, **params: Any) -> dict[str, Any]:
    """Subscribe; what was answered."""
    return socket_call(socket, "subscribe", topic=topic, **params)


def socket_call(socket: ClientConnection, method: str, **params: Any) -> Any:
    """The result of a call over a WebSocket on which nothing else is expected."""
    socket.send(json.dumps({"jsonrpc": "2.0", "id": 1, "method": f"rollup_{method}", "params": params}))
    answer = json.loads(socket.recv(timeout=60))
    assert "result" in answer, answer
    return answer["result"]


def receive(socket: ClientConnection, count: int) -> list[dict[str, Any]]:
    """The params of the next notifications."""
    messages = [json.loads(socket.recv(timeout=60)) for _ in range(count)]
    assert {"rollup_subscription"} == {message["method"] for message in messages}
    return [message["params"] for message in messages]
