"""A gateway as its own small server: any answer to what a resolver asks (ERC-3668)."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

__all__ = ["HttpGateway"]


class HttpGateway:
    """Serves `answer(data)` at `GET /ens/{sender}/{data}.json` and by POST, on any port of the loopback; 503 where
    that raises `NotImplementedError`.
    """

    def __init__(self, answer: Callable[[bytes], bytes]) -> None:
        self.asked: list[str] = []
        """The verb of each question."""
        gateway = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer(self.path.removesuffix(".json").split("/")[-1])

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                self._answer(body["data"])

            def _answer(self, data: str) -> None:
                gateway.asked.append(self.command)
                try:
                    status, body = 200, {"data": "0x" + answer(bytes.fromhex(data[2:])).hex()}
                except NotImplementedError:
                    status, body = 503, {"message": "not now"}
                raw = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/ens"
        """Where it takes POST."""
        self.template = self.url + "/{sender}/{data}.json"
        """Where it takes GET."""
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Stop it."""
        self._server.shutdown()
        self._server.server_close()
