"""A node as `microrollup run` starts it, over a new store, and the plainest client that HTTP allows."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec

from apps.keystore.transitions import Register
from benchmarks.measure import list_children, read_cpu_seconds
from benchmarks.workload import MIX

__all__ = ["HttpClient", "RunningNode", "make_call", "run_node"]

_ROOT: Final = Path(__file__).resolve().parent.parent
_APP: Final = "apps.keystore"
_TIMEOUT_SECONDS: Final = 60.0
_VERIFIER: Final = b"microrollup.verifier"
"""In the command line of a verifier's process."""
_PARAMS: Final = msgspec.json.Encoder().encode


def make_call(method: str, params: Sequence[Any], identity: int = 0) -> bytes:
    """One call; params that are JSON already travel as `msgspec.Raw`."""
    return _PARAMS({"jsonrpc": "2.0", "id": identity, "method": f"rollup_{method}", "params": params})


class HttpClient:
    """One connection. Calls return the decoded result."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT_SECONDS)

    def post(self, body: bytes) -> bytes:
        """The answer to a body."""
        self._connection.request("POST", "/", body, {"Content-Type": "application/json"})
        return self._connection.getresponse().read()

    def get(self, path: str) -> bytes:
        """The body of a page."""
        self._connection.request("GET", path)
        return self._connection.getresponse().read()

    def call(self, method: str, *params: Any) -> Any:
        """The result of a call. Raises `RuntimeError` with what was answered instead."""
        answer = json.loads(self.post(make_call(method, params)))
        if "result" not in answer:
            raise RuntimeError(f"{method}: {answer}")
        return answer["result"]

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


class RunningNode:
    """A node's process and port."""

    def __init__(self, pid: int, port: int) -> None:
        self.pid = pid
        self.port = port

    @contextmanager
    def connect(self) -> Iterator[HttpClient]:
        """A client of it."""
        client = HttpClient(self.port)
        try:
            yield client
        finally:
            client.close()

    def read_memory(self) -> float:
        """Its resident memory in bytes."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return float(pages * os.sysconf("SC_PAGE_SIZE"))

    def read_cpu(self) -> dict[str, float]:
        """Seconds of CPU that each process has taken until now: the node, its verifier, those that authenticate."""
        children = list_children(self.pid)
        verifiers = [child for child in children if _VERIFIER in Path(f"/proc/{child}/cmdline").read_bytes()]
        workers = [child for child in children if child not in verifiers]
        parts = {"node": [self.pid], "verifier": verifiers, "workers": workers}
        return {process: read_cpu_seconds(pids) for process, pids in parts.items() if pids}

    def count_accounts(self) -> int:
        """Of the keystore, whose clients send the benchmarks' mix."""
        executed = self.read_metrics().get('microrollup_actions_total{outcome="executed"}', 0.0)
        return int(executed) * MIX.count(Register) // len(MIX)

    def read_metrics(self) -> dict[str, float]:
        """The node's own figures, by name and labels."""
        with self.connect() as client:
            lines = client.get("/metrics").decode().splitlines()
        pairs = [line.rsplit(" ", 1) for line in lines if not line.startswith("#")]
        return {name: float(value) for name, value in pairs}


@contextmanager
def run_node(directory: Path, *options: str) -> Iterator[RunningNode]:
    """Run a node until the block ends, its development keys and its verifier included; options are the command's."""
    path = os.pathsep.join(part for part in (str(_ROOT), os.environ.get("PYTHONPATH", "")) if part)
    arguments = ["run", _APP, "--data", str(directory), "--port", "0", "--json", *options]
    with subprocess.Popen(
        [sys.executable, "-m", "microrollup", *arguments],
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
    ) as process:
        if process.stdout is None:
            raise AssertionError
        try:
            first = process.stdout.readline()
            if not first:
                raise RuntimeError(f"the node ended with {process.wait()}")
            yield RunningNode(process.pid, int(json.loads(first)["url"].rpartition(":")[2]))
            process.terminate()
            process.communicate(timeout=_TIMEOUT_SECONDS)
        finally:
            if process.poll() is None:
                process.kill()
