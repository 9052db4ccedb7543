"""A proxy in front of an L1 node that delays, loses, doubles and rewrites what goes through it; on the loopback."""

from __future__ import annotations

import json
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Rewrite = Callable[[list[Any], Any], Any]
"""(parameters, the result as the node gave it) -> the result as it is told."""


class JsonRpcError(Exception):
    """What a rewrite raises to tell an error instead of a result."""

    def __init__(self, code: int, message: str, data: str | None = None) -> None:
        super().__init__(message)
        self.form = {"code": code, "message": message} | ({} if data is None else {"data": data})


HttpAnswer = tuple[int, dict[str, str], bytes]
"""Status, headers and body."""


class L1Proxy:
    """What it does to whom, by JSON-RPC method; change it at any time."""

    def __init__(self, target: str) -> None:
        self.target = target
        self.url = ""
        self.latency_seconds = 0.0
        self.lose: Counter[str] = Counter()
        """How many answers are lost after the node has acted."""
        self.fail: Counter[str] = Counter()
        """How many requests never reach the node."""
        self.double: set[str] = set()
        """What the node gets twice; the second answer is told."""
        self.rewrite: dict[str, Rewrite] = {}
        self.hides_blobs = False
        """Answers nothing but JSON-RPC: there is no beacon API."""
        self.replace_body: bytes | None = None
        """Told instead of every answer."""
        self.seen: Counter[str] = Counter()
        self._watch: tuple[str, int, str, Callable[[], None]] | None = None

    def watch(self, method: str, count: int, when: str, act: Callable[[], None]) -> None:
        """Do something "before" or "after" the node gets a method's so-many-th request; its answer is lost."""
        self.seen.clear()
        self._watch = (method, count, when, act)

    def _is_watched(self, methods: list[str], when: str) -> bool:
        if self._watch is None or self._watch[0] not in methods or self._watch[2] != when:
            return False
        method, count, _, act = self._watch
        if self.seen[method] < count:
            return False
        self._watch = None
        act()
        return True

    def reply(self, body: bytes, headers: Message) -> HttpAnswer | None:
        """Status, headers and body; `None` for no answer at all."""
        del headers
        answer = self.answer(body)
        return None if answer is None else (200, {}, answer)

    def answer(self, body: bytes) -> bytes | None:
        """The answer's body; `None` for no answer at all."""
        time.sleep(self.latency_seconds)
        request = json.loads(body)
        calls = request if isinstance(request, list) else [request]
        methods = [call["method"] for call in calls]
        self.seen.update(methods)
        if any(_take(self.fail, method) for method in methods) or self._is_watched(methods, "before"):
            return None
        raw = _post(self.target, body)
        if self.double & set(methods):
            raw = _post(self.target, body)
        if any(_take(self.lose, method) for method in methods) or self._is_watched(methods, "after"):
            return None
        if self.replace_body is not None:
            return self.replace_body
        answer = json.loads(raw)
        answers = {item["id"]: item for item in (answer if isinstance(answer, list) else [answer])}
        for call in calls:
            rewrite, item = self.rewrite.get(call["method"]), answers[call["id"]]
            if rewrite is not None and "result" in item:
                try:
                    item["result"] = rewrite(call["params"], item["result"])
                except JsonRpcError as error:
                    del item["result"]
                    item["error"] = error.form
        return json.dumps(answer).encode()


def _take(counter: Counter[str], method: str) -> bool:
    if counter[method] <= 0:
        return False
    counter[method] -= 1
    return True


def _post(url: str, body: bytes) -> bytes:
    request = urllib.request.Request(url, body, {"content-type": "application/json"})  # noqa: S310
    with urllib.request.urlopen(request, timeout=60) as response:  # noqa: S310
        return bytes(response.read())


@contextmanager
def run_proxy(target: str, proxy: L1Proxy | None = None) -> Iterator[L1Proxy]:
    """A proxy of the node at a URL. What is not JSON-RPC (`GET`, as of beacon nodes) passes as it is."""
    proxy = L1Proxy(target) if proxy is None else proxy

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # head and body in one packet, or each answer waits 40 ms for an acknowledgement
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            reply = proxy.reply(self.rfile.read(int(self.headers["content-length"])), self.headers)
            if reply is None:
                self._tell(None)
            else:
                self._tell(reply[2], reply[0], reply[1])

        def do_GET(self) -> None:
            if proxy.hides_blobs:
                self._tell(b"", 404)
                return
            try:
                with urllib.request.urlopen(proxy.target + self.path, timeout=60) as response:  # noqa: S310
                    self._tell(response.read())
            except urllib.error.HTTPError as error:
                self._tell(error.read(), error.code)

        def _tell(self, body: bytes | None, status: int = 200, more: dict[str, str] | None = None) -> None:
            if body is None:
                self.close_connection = True
                return
            self.send_response(status)
            for name, value in ({"content-type": "application/json"} | (more or {})).items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            """Tests are quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        proxy.url = f"http://127.0.0.1:{server.server_address[1]}"
        yield proxy
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
