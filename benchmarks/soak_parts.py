"""What runs beside each other in a soak: the node as a process, its load, its L1's miner, and who takes samples."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from http.client import HTTPException
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import msgspec

from benchmarks.node_process import RunningNode
from microrollup.codec.json import hex0x
from microrollup.crypto.ecdsa import compute_address, load_private_key
from microrollup.testing.anvil import DEV_KEYS, Anvil

__all__ = ["APP", "FULL_BYTES", "Load", "Miner", "Sample", "Sampler", "SoakNode", "Wrong", "wait_until"]

APP: Final = "apps.keystore"
FULL_BYTES: Final = 384 << 20
"""The size of the small disk."""

_ROOT: Final = Path(__file__).resolve().parent.parent
_PATIENCE_SECONDS: Final = 180.0
_SAMPLE_SECONDS: Final = 1.0
_MINE_SECONDS: Final = 1.0
_AGAIN_SECONDS: Final = 0.2
_CHECKED_AT_ONCE: Final = 500


class Wrong(AssertionError):
    """A promise was broken; the text says which."""


class Sample(msgspec.Struct, frozen=True, rename="camel"):
    """The node at one moment; 0 megabytes while it does not run."""

    at: float
    node_mb: float
    verifier_mb: float
    files_mb: float
    latest: int
    verified: int
    settled: int
    unsettled_seconds: float
    """Since the oldest block that is not settled was seen."""


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Raises `Wrong` if it does not come."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise Wrong(f"not within {_PATIENCE_SECONDS:.0f} s: {what}")
        time.sleep(0.05)


class SoakNode:
    """The command `run`, started again whenever it has ended; its verifier is a process below it."""

    def __init__(self, directory: Path, logs: Path, options: Sequence[str]) -> None:
        self.directory = directory
        self._logs = logs
        self._options = options
        self._lock = threading.Lock()
        self._running: RunningNode | None = None
        self.starts = 0
        self._process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        """The command, once it serves or has ended."""
        path = os.pathsep.join(part for part in (str(_ROOT), os.environ.get("PYTHONPATH", "")) if part)
        place = ("--data", str(self.directory), "--port", "0", "--json")
        with (self._logs / "node.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "microrollup", "run", APP, *place, *self._options],
                env={**os.environ, "PYTHONPATH": path}, stdout=subprocess.PIPE, stderr=log,
            )  # fmt: skip
        self.starts += 1
        first = b"" if process.stdout is None else process.stdout.readline()
        port = int(json.loads(first)["url"].rpartition(":")[2]) if first else 0
        with self._lock:
            self._process, self._running = process, RunningNode(process.pid, port) if first else None
        return process

    @property
    def running(self) -> RunningNode | None:
        """The process that serves; None while there is none."""
        with self._lock:
            return self._running if self.is_running() else None

    def is_running(self) -> bool:
        """Whether the process is there."""
        return self._process.poll() is None

    def _end(self, how: signal.Signals) -> int:
        process = self._process
        with process:
            process.send_signal(how)
            return process.wait(_PATIENCE_SECONDS)

    def kill(self) -> str:
        """End it at once, and start it again."""
        self._end(signal.SIGKILL)
        self._start()
        return "started again"

    def ends_or_serves(self) -> bool:
        """Whether it takes actions; one that has ended, or whose intake stays shut, is started again."""
        if not self.is_running():
            self._end(signal.SIGKILL)
            self._start()
            return False
        status = self.ask("status")
        if status is not None and status["intake"] != "open":
            self._end(signal.SIGTERM)
            self._start()
            return False
        return status is not None

    def ask(self, method: str, *params: Any) -> Any:
        """The answer of a call; None if there is none at present."""
        running = self.running
        if running is None:
            return None
        try:
            with running.connect() as client:
                return client.call(method, *params)
        except (OSError, RuntimeError, ValueError, HTTPException):  # it is being killed, or refuses
            return None

    def read_heights(self) -> dict[str, int] | None:
        """C1, C2 and C3 by their heights."""
        found: dict[str, int] | None = self.ask("height")
        return found

    def stop(self) -> None:
        """Raises `Wrong` unless SIGTERM ends it in order."""
        code = self._end(signal.SIGTERM)
        if code != 0:
            raise Wrong(f"the node ended with {code}: {(self._logs / 'node.log').read_text()[-2_000:]}")

    def close(self) -> None:
        """End it whatever it does."""
        if self.is_running():
            self._end(signal.SIGKILL)


class Load:
    """Sends the lines in order, at a rate; what is not acknowledged is sent again until it is."""

    def __init__(self, node: SoakNode, lines: Sequence[bytes], rate: float) -> None:
        self._node = node
        self._lines = lines
        self._batch = max(1, round(rate / 4))
        self._pause = self._batch / rate
        self.acknowledged: dict[int, dict[str, Any]] = {}
        self._times: list[float] = []
        self.sent_again = 0
        self.refused = 0
        self.wrong: str | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def highest(self) -> int:
        """The highest block of an acknowledgement."""
        return max([int(ack["height"]) for ack in self.acknowledged.values()], default=0)

    def _run(self) -> None:
        first = 0
        while first < len(self._lines) and not self._stopping.is_set():
            last = min(first + self._batch, len(self._lines))
            while not self._send(first, last):
                self.sent_again += last - first
                time.sleep(_AGAIN_SECONDS)
            first = last
            self._stopping.wait(self._pause)

    def _send(self, first: int, last: int) -> bool:
        """Whether all of them are acknowledged now. One that was already has to get the same answer."""
        answers = self._node.ask("submitActions", [msgspec.Raw(line) for line in self._lines[first:last]])
        if answers is None:
            self.refused += 1
            return False
        for number, answer in enumerate(answers, first):
            if "ack" not in answer:
                self.refused += 1
                continue
            self._note(number, answer["ack"])
        return all(number in self.acknowledged for number in range(first, last))

    def _note(self, number: int, ack: dict[str, Any]) -> None:
        before = self.acknowledged.setdefault(number, ack)
        names = ("actionHash", "seq", "height", "receiptHash")
        if any(before[name] != ack[name] for name in names):
            self.wrong = f"line {number} was acknowledged as {before}, and then as {ack}"
        self._times.append(time.monotonic())

    def measure_silence(self, since: float, until: float) -> float:
        """The longest time without an acknowledgement between two moments."""
        times = [since, *[each for each in self._times if since < each < until]]
        return max([after - before for before, after in pairwise(times)], default=0.0)

    def wait_for_more(self, what: str) -> None:
        """Wait for an acknowledgement that is not there yet. Raises `Wrong` if none comes."""
        before = len(self.acknowledged)
        wait_until(lambda: len(self.acknowledged) > before, what)

    def work_until(self, moment: float) -> None:
        """Raises `Wrong` as soon as an answer is another than before."""
        while time.monotonic() < moment:
            if self.wrong is not None:
                raise Wrong(self.wrong)
            time.sleep(0.1)

    def finish(self) -> None:
        """No new lines; what was begun is acknowledged."""
        self._stopping.set()
        self._thread.join(_PATIENCE_SECONDS)
        if self._thread.is_alive():
            raise Wrong("what was sent is not acknowledged")

    def check_answers(self) -> None:
        """Send everything again: each action has to be known, with its first answer. Raises `Wrong`."""
        for first in range(0, len(self.acknowledged), _CHECKED_AT_ONCE):
            last = min(first + _CHECKED_AT_ONCE, len(self.acknowledged))
            wait_until(partial(self._send, first, last), "an answer to what is known")
        if self.wrong is not None:
            raise Wrong(self.wrong)
        numbers = sorted(int(ack["seq"]) for ack in self.acknowledged.values())
        if numbers != list(range(len(numbers))):
            raise Wrong("two actions have one sequence number, or one number has none")

    def close(self) -> None:
        """End it whatever it does."""
        self._stopping.set()
        self._node.close()
        self._thread.join(1.0)


class Miner:
    """L1's blocks, one per second, each 12 seconds after the last in L1's own time."""

    def __init__(self, anvil: Anvil) -> None:
        self._anvil = anvil
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._done.wait(_MINE_SECONDS):
            with self._lock, suppress(OSError):
                self._anvil.call("evm_mine")

    def reorg(self, depth: int) -> str:
        """Replace so many blocks by as many others and one more; what was in them is gone from the pool too."""
        with self._lock:
            number, _ = self._anvil.get_head()
            somebody = hex0x(compute_address(load_private_key(bytes.fromhex(DEV_KEYS[2]))))
            self._anvil.call("anvil_reorg", depth, [[{"from": somebody, "to": somebody, "value": hex(number)}, 0]])
            self._anvil.call("anvil_dropAllTransactions")
            self._anvil.call("evm_mine")
        return f"{depth} blocks"

    def close(self) -> None:
        """Mine no more."""
        self._done.set()
        self._thread.join()


class Sampler:
    """Takes a sample every second."""

    def __init__(self, node: SoakNode, load: Load) -> None:
        self._node = node
        self._load = load
        self.samples: list[Sample] = []
        self._seen: dict[int, float] = {}
        self._started = time.monotonic()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._done.wait(_SAMPLE_SECONDS):
            heights, running = self._node.read_heights(), self._node.running
            if heights is None or running is None:
                continue
            with suppress(OSError, StopIteration, IndexError):  # the process may be killed at this moment
                self._take(heights, running)

    def _take(self, heights: dict[str, int], running: RunningNode) -> None:
        now = time.monotonic()
        self._seen.setdefault(heights["latest"], now)
        open_since = [moment for height, moment in self._seen.items() if height > heights["settled"]]
        children = [RunningNode(pid, 0).read_memory() for pid in _list_children(running.pid)]
        files = sum(path.stat().st_blocks * 512 for path in self._node.directory.rglob("*") if path.is_file())
        self.samples.append(
            Sample(
                round(now - self._started, 1), _to_mb(running.read_memory()), _to_mb(max(children, default=0.0)),
                _to_mb(files), heights["latest"], heights["verified"], heights["settled"],
                round(now - min(open_since), 1) if open_since else 0.0,
            )
        )  # fmt: skip

    def close(self) -> None:
        """Take no more."""
        self._done.set()
        self._thread.join()


def _list_children(pid: int) -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        found += [int(child) for child in (task / "children").read_text().split()]
    return found


def _to_mb(size: float) -> float:
    return round(size / 1e6, 1)
