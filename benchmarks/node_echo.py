"""Row: one client alone at a node, beside a server of the same kind that does nothing: what the HTTP call costs."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from benchmarks.context import Bench
from benchmarks.measure import read_cpu_seconds
from benchmarks.node_load import make_lines
from benchmarks.node_process import HttpClient, RunningNode, make_call
from benchmarks.report import Row, make_size_row

__all__ = ["CPU_TARGET", "P50_TARGET", "measure_echo"]

_ROOT: Final = Path(__file__).resolve().parent.parent
CPU_TARGET: Final = 700.0
"""Microseconds."""
P50_TARGET: Final = 0.8
"""Milliseconds."""

_ROUNDS: Final = 5
_A_ROUND: Final = 200
_FIRST_SENDER: Final = 900_000
_ENDING_SECONDS: Final = 30


class _Times(msgspec.Struct):
    """What the requests to one server took."""

    latencies: list[float] = []
    cpu: float = 0.0
    """Seconds of the server's process."""

    def describe(self) -> str:
        """Percentiles of a request."""
        ordered = sorted(self.latencies)
        p50, p90 = (1e3 * ordered[int(len(ordered) * share)] for share in (0.5, 0.9))
        return f"p50/p90 {p50:.2f}/{p90:.2f} ms"

    def compute_cpu(self) -> float:
        """Microseconds of a request."""
        return 1e6 * self.cpu / len(self.latencies)

    def find_median(self) -> float:
        """Seconds of a request."""
        return sorted(self.latencies)[len(self.latencies) // 2]


def measure_echo(bench: Bench, node: RunningNode) -> list[Row]:
    """Single submissions to the node and to the echo server by turns, from one connection each."""
    count = max(1, min(_A_ROUND, bench.sizes.signed // _ROUNDS))
    bodies = [make_call("submitAction", [msgspec.Raw(line)]) for line in make_lines(_ROUNDS * count, _FIRST_SENDER)]
    bench.say(f"{len(bodies):,} single submissions beside an echo server")
    fsync = bench.measure_fsync()
    ours, bare = _Times(), _Times()
    with node.connect() as client:
        size = len(client.post(make_call("submitAction", [msgspec.Raw(make_lines(1, 2 * _FIRST_SENDER)[0])])))
        with _run_echo(size) as (pid, echo):
            for first in range(0, len(bodies), count):
                part = bodies[first : first + count]
                _send(client, node.pid, part, ours)
                _send(echo, pid, part, bare)
    accounts = f"0 to {node.count_accounts():,}"
    what = "one client alone at C0, into a new store"
    cpu = {"node": ours.compute_cpu(), "echo server": bare.compute_cpu()}
    beside = Row(
        name="node",
        what=f"{what}, beside an echo server",
        ours=1e3 * ours.find_median(),
        unit="ms",
        limit=1e3 * bare.find_median(),
        limit_name=f"the same server, {size} constant bytes",
        score=bare.find_median() / ours.find_median(),
        higher_is_better=True,
        repetitions=_ROUNDS,
        fsync=fsync,
        accounts=accounts,
        cpu=cpu,
        note=f"ours {ours.describe()}; echo {bare.describe()}; ours is durable, with a block every 250 ms",
    )

    def hold(name: str, figure: float, unit: str, target: float) -> Row:
        return make_size_row(
            "node",
            f"{what}, {name}",
            figure,
            unit,
            target=target,
            repetitions=_ROUNDS,
            fsync=fsync,
            accounts=accounts,
            cpu=cpu,
        )

    return [
        beside,
        hold("CPU of the node", ours.compute_cpu(), "us", CPU_TARGET),
        hold("p50", 1e3 * ours.find_median(), "ms", P50_TARGET),
    ]


def _send(client: HttpClient, pid: int, bodies: Sequence[bytes], into: _Times) -> None:
    before = read_cpu_seconds([pid])
    for body in bodies:
        started = time.perf_counter()
        answer = client.post(body)
        into.latencies.append(time.perf_counter() - started)
        if b'"result"' not in answer:
            raise RuntimeError(f"refused: {answer!r}")
    into.cpu += read_cpu_seconds([pid]) - before


@contextmanager
def _run_echo(size: int) -> Iterator[tuple[int, HttpClient]]:
    """A process that answers `size` bytes to everything, and a client of it; it runs until the block ends."""
    command = [sys.executable, "-m", "benchmarks.child_echo", str(size)]
    with subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.PIPE) as process:
        if process.stdout is None:
            raise AssertionError
        client = HttpClient(int(process.stdout.readline()))
        try:
            yield process.pid, client
            client.close()
            process.terminate()
            process.communicate(timeout=_ENDING_SECONDS)
        finally:
            if process.poll() is None:
                process.kill()
