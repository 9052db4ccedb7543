"""A web3signer in this process: real HTTP on loopback, with the checks that the real one makes of what it is sent."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from microrollup.crypto.ecdsa import PrivateKey, sign_digest
from microrollup.crypto.keccak import keccak256

__all__ = ["SignerDouble", "run_signer"]


class SignerDouble:
    """Holds keys, and signs what a `POST /api/v1/eth1/sign/PUBLIC_KEY` brings."""

    def __init__(self, keys: Sequence[PrivateKey]) -> None:
        self.keys = {f"0x{key.public_key.format(compressed=False)[1:].hex()}": key for key in keys}
        self.signed: list[bytes] = []
        """Messages, in the order in which their signatures left."""
        self.left: int | None = None
        """Signatures until it goes away; None: it stays."""
        self.answer: bytes | None = None
        """In place of each signature."""
        self.most = 0
        """Requests that were under way at once."""
        self._running = 0
        self.gate = threading.Event()
        """Requests wait for it."""
        self.gate.set()
        self.lock = threading.Lock()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._make_handler())
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    @property
    def is_away(self) -> bool:
        return self.left == 0

    def sign(self, identifier: str, content_type: str, body: bytes) -> tuple[int, bytes]:
        """Status and body, as the real one gives them."""
        key = self.keys.get(identifier.lower() if identifier[:2] == "0x" else f"0x{identifier.lower()}")
        if "application/json" not in content_type:
            return 400, b"Bad Request"
        try:
            document = json.loads(body)
            data = bytes.fromhex(document["data"].removeprefix("0x"))
        except (ValueError, KeyError, TypeError, AttributeError):
            return 400, b"Bad Request"
        if key is None:
            return 404, b"Public Key not found"
        with self.lock:
            if self.left is not None:
                self.left -= 1
            self.signed.append(data)
        return 200, self.answer or f"0x{sign_digest(key, keccak256(data)).hex()}".encode()

    def _make_handler(self) -> type[BaseHTTPRequestHandler]:
        double = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                if double.is_away:
                    self._vanish()
                elif self.path == "/api/v1/eth1/publicKeys":
                    self._reply(200, json.dumps(list(double.keys)).encode(), "application/json")
                else:
                    self._reply(404, b"Resource not found")

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", "0")))
                prefix = "/api/v1/eth1/sign/"
                with double.lock:
                    double._running += 1
                    double.most = max(double.most, double._running)
                double.gate.wait(60)
                with double.lock:
                    double._running -= 1
                if double.is_away:
                    self._vanish()
                elif not self.path.startswith(prefix):
                    self._reply(404, b"Resource not found")
                else:
                    self._reply(*double.sign(self.path[len(prefix) :], self.headers.get("content-type", ""), body))

            def _vanish(self) -> None:
                self.close_connection = True
                self.connection.close()

            def _reply(self, status: int, body: bytes, kind: str = "text/plain; charset=utf-8") -> None:
                self.send_response(status)
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                return

        return Handler


@contextmanager
def run_signer(*keys: PrivateKey) -> Iterator[SignerDouble]:
    """A signer that answers until the block ends."""
    double = SignerDouble(keys)
    thread = threading.Thread(target=double.server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield double
    finally:
        double.gate.set()
        double.server.shutdown()
        double.server.server_close()
        thread.join(60)
