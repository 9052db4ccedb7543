"""Load on a node over loopback: acknowledged means durable, and every latency is taken where the client is."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, Final

import msgspec
from websockets.asyncio.client import ClientConnection, connect

from benchmarks.node_process import HttpClient, RunningNode, make_call
from benchmarks.signing import sign_senders
from benchmarks.workload import ACTIONS_PER_SENDER

__all__ = [
    "Levels",
    "Load",
    "hold_subscribers",
    "make_lines",
    "submit_batches",
    "submit_over_socket",
    "submit_singly",
    "watch_levels",
]

LEVELS: Final = ("C1", "C2", "C3A", "C3B")
_WAIT_SECONDS: Final = 60.0


class Load(msgspec.Struct, frozen=True):
    """What a load gave: actions, the seconds of all of them together, and each request's own."""

    actions: int
    seconds: float
    latencies: list[float]
    heights: list[tuple[int, float]]
    """Of each request: the block of its last action, and when it was sent (`time.monotonic`)."""

    @property
    def rate(self) -> float:
        """Actions per second."""
        return self.actions / self.seconds

    def find(self, share: float) -> float:
        """The latency that this share of requests does not exceed."""
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))]

    def describe(self) -> str:
        """Rate and percentiles, for the table."""
        marks = "/".join(f"{1e3 * self.find(share):.3g}" for share in (0.5, 0.9, 0.99))
        return f"{self.rate:,.0f} actions/s, latency p50/p90/p99 {marks} ms"


def make_lines(count: int, first_sender: int) -> list[bytes]:
    """So many signed lines of senders of their own, whose nonces come in order."""
    return sign_senders((first_sender, -(-count // ACTIONS_PER_SENDER))).lines[:count]


def submit_batches(node: RunningNode, shares: Sequence[Sequence[bytes]], size: int) -> Load:
    """`submitActions` of `size` actions each over HTTP, one connection a share, the next when the last is answered."""

    def work(client: HttpClient, lines: Sequence[bytes], into: _Times) -> None:
        for first in range(0, len(lines), size):
            raw = [msgspec.Raw(line) for line in lines[first : first + size]]
            sent = time.monotonic()
            acks = [answer["ack"] for answer in client.call("submitActions", raw)]
            into.note(sent, acks[-1]["height"])

    return _drive(node, shares, work)


def submit_singly(node: RunningNode, shares: Sequence[Sequence[bytes]]) -> Load:
    """`submitAction` over HTTP, one connection a share, the next when the last is answered."""

    def work(client: HttpClient, lines: Sequence[bytes], into: _Times) -> None:
        for line in lines:
            sent = time.monotonic()
            into.note(sent, client.call("submitAction", msgspec.Raw(line))["height"])

    return _drive(node, shares, work)


class _Times:
    """What one client notes."""

    def __init__(self) -> None:
        self.latencies: list[float] = []
        self.heights: list[tuple[int, float]] = []

    def note(self, sent: float, height: int) -> None:
        """A request was answered now."""
        self.latencies.append(time.monotonic() - sent)
        self.heights.append((height, sent))


def _drive(node: RunningNode, shares: Sequence[Sequence[bytes]], work: Any) -> Load:
    """One thread a share; raises the first failure of any."""
    times = [_Times() for _ in shares]
    failures: list[BaseException] = []

    def run(client: HttpClient, lines: Sequence[bytes], into: _Times) -> None:
        try:
            work(client, lines, into)
        except BaseException as error:
            failures.append(error)

    with ExitStack() as stack:
        clients = [stack.enter_context(node.connect()) for _ in shares]
        threads = [threading.Thread(target=run, args=each) for each in zip(clients, shares, times, strict=True)]
        started = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        seconds = time.monotonic() - started
    if failures:
        raise failures[0]
    return _gather(sum(map(len, shares)), seconds, times)


def _gather(actions: int, seconds: float, times: Sequence[_Times]) -> Load:
    latencies = [each for one in times for each in one.latencies]
    return Load(actions, seconds, latencies, [each for one in times for each in one.heights])


def submit_over_socket(node: RunningNode, lines: Sequence[bytes], window: int) -> Load:
    """`submitAction` over one WebSocket, with up to `window` calls on their way."""
    return asyncio.run(_submit_over_socket(node, lines, window))


async def _submit_over_socket(node: RunningNode, lines: Sequence[bytes], window: int) -> Load:
    times = _Times()
    sent = [0.0] * len(lines)
    slots = asyncio.Semaphore(window)
    async with _open_socket(node) as socket:

        async def receive() -> None:
            for _ in lines:
                answer = json.loads(await socket.recv())
                times.note(sent[answer["id"]], answer["result"]["height"])
                slots.release()

        started = time.monotonic()
        receiving = asyncio.create_task(receive())
        for number, line in enumerate(lines):
            await slots.acquire()
            sent[number] = time.monotonic()
            await socket.send(make_call("submitAction", [msgspec.Raw(line)], number), text=True)
        await asyncio.wait_for(receiving, _WAIT_SECONDS)
        seconds = time.monotonic() - started
    return _gather(len(lines), seconds, [times])


def _open_socket(node: RunningNode) -> connect:
    return connect(f"ws://127.0.0.1:{node.port}/", compression=None, max_queue=None, ping_interval=None)


class Levels:
    """When each height reached each level, as a subscriber was told."""

    def __init__(self) -> None:
        self.reached: dict[tuple[int, str], float] = {}

    def find_latencies(self, load: Load, level: str) -> list[float]:
        """From sending to being told, in ascending order; requests whose block was not told of are left out."""
        pairs = [(self.reached.get((height, level)), sent) for height, sent in load.heights]
        return sorted([told - sent for told, sent in pairs if told is not None])

    def find_lags(self, level: str) -> list[float]:
        """From the close of each block to its level, in ascending order."""
        closed = {height: told for (height, name), told in self.reached.items() if name == "C1"}
        return sorted([told - closed[h] for (h, name), told in self.reached.items() if name == level and h in closed])


@contextmanager
def watch_levels(node: RunningNode) -> Iterator[Levels]:
    """Listen to confirmations from now on, until all that is closed is settled after the block ends."""
    levels, ready, done = Levels(), threading.Event(), threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(_watch(node, levels, ready, done)), daemon=True)
    thread.start()
    if not ready.wait(_WAIT_SECONDS):
        raise TimeoutError("no confirmations")
    try:
        yield levels
        _wait_until_settled(node)
    finally:
        done.set()
        thread.join(_WAIT_SECONDS)


async def _watch(node: RunningNode, levels: Levels, ready: threading.Event, done: threading.Event) -> None:
    async with _open_socket(node) as socket:
        await socket.send(make_call("subscribe", ["confirmations"]), text=True)
        await socket.recv()
        ready.set()
        while not done.is_set():
            try:
                message = json.loads(await asyncio.wait_for(socket.recv(), 0.2))
            except TimeoutError:
                continue
            result = message["params"]["result"]
            levels.reached.setdefault((result["height"], result["level"]), time.monotonic())


def _wait_until_settled(node: RunningNode) -> None:
    deadline = time.monotonic() + _WAIT_SECONDS
    with node.connect() as client:
        while time.monotonic() < deadline:
            time.sleep(0.2)
            heights = client.call("height")
            if heights["settled"] == heights["latest"]:
                return
    raise TimeoutError("not settled")


@contextmanager
def hold_subscribers(node: RunningNode, count: int) -> Iterator[list[ClientConnection]]:
    """So many connections, each with a subscription to blocks and nothing to do, until the block ends."""
    loop = asyncio.new_event_loop()
    sockets: list[ClientConnection] = []

    async def open_all() -> None:
        for _ in range(count):
            socket = await _open_socket(node)
            sockets.append(socket)
            await socket.send(make_call("subscribe", ["blocks"]), text=True)
            await socket.recv()

    async def close_all() -> None:
        await asyncio.gather(*[socket.close() for socket in sockets])

    try:
        loop.run_until_complete(open_all())
        yield sockets
    finally:
        loop.run_until_complete(close_all())
        loop.close()
