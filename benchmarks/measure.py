"""Measuring on a noisy machine: interleaved repetitions, their medians, sync latency, memory, facts of the machine."""

from __future__ import annotations

import os
import platform
import statistics
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Self

import msgspec

from microrollup._native.choice import describe_path
from microrollup.system import count_cores, sync_data

__all__ = [
    "Comparison",
    "Fsync",
    "Machine",
    "MemorySampler",
    "Stopwatch",
    "compare",
    "describe_machine",
    "list_children",
    "list_processes",
    "measure_fsync",
    "read_anonymous_mb",
    "read_cpu_seconds",
    "timed",
]

_SYNC_BYTES: Final = 4096
_SYNC_SAMPLES: Final = 40
_SAMPLE_SECONDS: Final = 0.02


class Fsync(msgspec.Struct, frozen=True):
    """How long `fdatasync` takes after a write of 4 KiB on the file system of the stores, in microseconds."""

    p50_us: float
    p90_us: float


class Machine(msgspec.Struct, frozen=True):
    """Where the figures were taken."""

    cores: int
    cpu: str
    python: str
    system: str
    native: str = ""
    """Which path hashes and recovery take; rows that compare both say so."""


class Comparison(msgspec.Struct, frozen=True):
    """Our path and its limit: medians of interleaved repetitions, in seconds a unit of work."""

    ours: float
    limit: float
    low: float
    high: float
    """The extremes of the repetitions' own ratios: how much the machine's neighbours matter."""
    repetitions: int

    @property
    def ratio(self) -> float:
        """Limit / ours: the share of the limit's speed that our path reaches."""
        return self.limit / self.ours

    def name_cpu(self, ours: str, limit: str) -> dict[str, float]:
        """Microseconds of both by name, where the seconds are those of CPU."""
        return {ours: 1e6 * self.ours, limit: 1e6 * self.limit}


class Stopwatch:
    """What work takes, lap by lap, on the wall clock and of CPU of this process. Each `with` statement is a lap."""

    def __init__(self, units: int = 1) -> None:
        """Each lap does so many units of work."""
        self._units = units
        self._walls: list[float] = []
        self._cpus: list[float] = []
        self._began = (0.0, 0.0)

    def __enter__(self) -> Self:
        self._began = time.perf_counter(), time.process_time()
        return self

    def __exit__(self, *_: object) -> None:
        wall, cpu = self._began
        self._cpus.append((time.process_time() - cpu) / self._units)
        self._walls.append((time.perf_counter() - wall) / self._units)

    @property
    def lap(self) -> float:
        """Seconds of a unit in the last lap."""
        return self._walls[-1]

    @property
    def wall(self) -> float:
        """Seconds of a unit: the median of all laps."""
        return statistics.median(self._walls)

    @property
    def cpu(self) -> float:
        """Microseconds of CPU of a unit: the median of all laps."""
        return 1e6 * statistics.median(self._cpus)


def compare(ours: Callable[[int], float], limit: Callable[[int], float], repetitions: int) -> Comparison:
    """Run both in turn, as often as said; each returns the seconds of a unit in the i-th repetition."""
    pairs: list[tuple[float, float]] = []
    for number in range(repetitions):
        first, second = (ours, limit) if number % 2 else (limit, ours)
        one, other = first(number), second(number)
        pairs.append((one, other) if number % 2 else (other, one))
    ratios = sorted(bare / own for own, bare in pairs)
    return Comparison(
        ours=statistics.median(own for own, _ in pairs),
        limit=statistics.median(bare for _, bare in pairs),
        low=ratios[0],
        high=ratios[-1],
        repetitions=repetitions,
    )


@contextmanager
def timed(into: list[float]) -> Iterator[None]:
    """Append the seconds that the block takes."""
    started = time.perf_counter()
    yield
    into.append(time.perf_counter() - started)


def measure_fsync(directory: Path) -> Fsync:
    """Sync latency of the file system that holds `directory`, as it is now."""
    path = directory / "fsync-probe"
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    seconds: list[float] = []
    try:
        for number in range(_SYNC_SAMPLES):
            os.pwrite(handle, os.urandom(_SYNC_BYTES), number * _SYNC_BYTES)
            with timed(seconds):
                sync_data(handle)
    finally:
        os.close(handle)
        path.unlink()
    seconds.sort()
    return Fsync(1e6 * seconds[len(seconds) // 2], 1e6 * seconds[len(seconds) * 9 // 10])


def describe_machine() -> Machine:
    """Cores that this process may use, processor, Python and kernel."""
    return Machine(
        cores=count_cores(),
        cpu=_read_cpu(),
        python=f"{platform.python_implementation()} {platform.python_version()}",
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        native=describe_path(),
    )


def _read_cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or "unknown"


def list_processes(executor: ProcessPoolExecutor | None) -> list[int]:
    """The ids of an executor's processes."""
    return [] if executor is None else [*executor._processes]


def list_children(pid: int) -> list[int]:
    """The processes that a process has started and that run, with those that they have."""
    own = [int(child) for path in Path(f"/proc/{pid}/task").glob("*/children") for child in path.read_text().split()]
    return [*own, *[below for child in own for below in list_children(child)]]


def read_cpu_seconds(pids: Iterable[int]) -> float:
    """CPU that other processes have taken, user and system, in the kernel's ticks of mostly 10 ms."""
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def read_anonymous_mb() -> float:
    """Anonymous memory of this process that is resident: what the page cache cannot take back, in MB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1]) * 1024 / 1e6
    raise OSError("the kernel does not report RssAnon")


class MemorySampler:
    """Looks at this process's anonymous memory from a thread and keeps the peak. Use it in a `with` statement."""

    def __init__(self) -> None:
        self.peak_mb = read_anonymous_mb()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._stopped.wait(_SAMPLE_SECONDS):
            self.peak_mb = max(self.peak_mb, read_anonymous_mb())
