"""Segments by real workers: processes that are killed, and a Dask cluster of three processes."""

from __future__ import annotations

import logging
import multiprocessing
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Self

import pytest

from history import BLOCKS, SPACING, History, require_right
from kernel_fixtures import fast_directory
from microrollup.deployment.segmenting import SegmentedReport, verify_in_segments
from microrollup.errors import SourceUnavailable
from microrollup.segments import executors
from microrollup.segments.coordinator import SegmentFailed
from paths import ROOT, SUPPORT
from ports import find_port
from waiting import SECONDS, wait_for


class Disturber:
    """Calls `disturb` each time that workers have begun another segment, and `times` times at most."""

    def __init__(self, work: Path, times: int, disturb: Callable[[], None]) -> None:
        self.done = 0
        self._work, self._times, self._disturb = work, times, disturb
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while self.done < self._times and not self._ended.wait(0.01):
            if len(list(self._work.glob("*/*/progress"))) > self.done:
                self.done += 1
                self._disturb()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()


def test_workers_that_are_killed_lose_nothing(history: History, tmp_path: Path) -> None:
    def kill_one() -> None:
        for child in multiprocessing.active_children()[:1]:
            child.kill()

    with Disturber(tmp_path, 4, kill_one) as disturber:
        found = verify_in_segments(history.request(tmp_path))
    require_right(found, history)
    assert 4 == disturber.done
    assert found.executors_lost >= 2
    assert BLOCKS // SPACING + 1 == found.segments


# --- Dask ------------------------------------------------------------------------------------------------------------


class Cluster:
    """A scheduler and workers, each a process of its own, on the loopback interface."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.port = find_port()
        self.scheduler: subprocess.Popen[bytes] | None = None
        self.workers: list[subprocess.Popen[bytes]] = []

    def start_scheduler(self) -> None:
        """Returns once it listens: who connects to one that is not there gives up after a few seconds."""
        self.scheduler = self._start(
            "scheduler", "--host", "127.0.0.1", "--port", str(self.port), "--no-dashboard", path=[]
        )
        wait_for(self._is_listening)

    def _is_listening(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def add_worker(self, *path: Path) -> None:
        """A worker whose Python searches `path` first."""
        options = ("--nthreads", "1", "--no-nanny", "--no-dashboard", "--local-directory", str(self.root / "dask"))
        address = f"tcp://127.0.0.1:{self.port}"
        self.workers.append(self._start("worker", address, "--host", "127.0.0.1", *options, path=[*path]))

    def _start(self, *arguments: str, path: list[Path]) -> subprocess.Popen[bytes]:
        with (self.root / "dask.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "dask", *arguments],
                env=os.environ | {"PYTHONPATH": os.pathsep.join(map(str, [*path, ROOT, SUPPORT]))},
                stdout=log,
                stderr=log,
                cwd=self.root,
            )

    def restart_scheduler(self) -> None:
        """The scheduler and what it knew are gone; its workers end by themselves, and others come."""
        count = len(self.workers)
        self.stop()
        self.start_scheduler()
        for _ in range(count):
            self.add_worker()

    def stop(self) -> None:
        for process in [self.scheduler, *self.workers]:
            if process is not None:
                process.kill()
                process.wait(SECONDS)
        self.scheduler, self.workers = None, []


@contextmanager
def run_cluster(workers: int) -> Iterator[Cluster]:
    with ExitStack() as stack:
        cluster = Cluster(stack.enter_context(fast_directory()))
        stack.callback(cluster.stop)
        cluster.start_scheduler()
        for _ in range(workers):
            cluster.add_worker()
        yield cluster


def test_a_cluster_of_three_processes(history: History, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its workers come late; one of them is killed on the way. Then the scheduler is restarted."""
    monkeypatch.setattr(executors, "CONNECT_SECONDS", 300)  # of a restart on a busy machine
    with run_cluster(0) as cluster:
        late = threading.Timer(0.5, lambda: [cluster.add_worker() for _ in range(2)])
        late.start()
        request = history.request(tmp_path, executor=f"dask://127.0.0.1:{cluster.port}")

        def kill_worker() -> None:
            cluster.workers[0].kill()
            cluster.add_worker()

        try:
            with Disturber(tmp_path, 1, kill_worker) as disturber:
                require_right(verify_in_segments(request), history)
        finally:
            late.join()
        assert 1 == disturber.done
        again = history.request(tmp_path / "again", executor=request.executor)
        with Disturber(tmp_path / "again", 1, cluster.restart_scheduler) as disturber:
            found: SegmentedReport = verify_in_segments(again)
        require_right(found, history)
        assert 1 == disturber.done
        assert found.executors_lost >= 1
        assert not logging.getLogger("distributed.client").isEnabledFor(logging.ERROR)  # no traceback among our lines


def test_a_worker_with_another_app_of_that_name(history: History, tmp_path: Path) -> None:
    with run_cluster(0) as cluster:
        (tmp_path / "zoo.py").write_text((SUPPORT / "zoo.py").read_text() + "\nMORE = 1\n")
        cluster.add_worker(tmp_path)
        with pytest.raises(SegmentFailed, match=r"worker .* has other code"):
            verify_in_segments(history.request(tmp_path / "work", executor=f"dask://127.0.0.1:{cluster.port}"))


def test_a_scheduler_without_workers(history: History, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is said once, and work goes on as soon as there is one; where none comes, the command ends."""
    said: list[str] = []
    monkeypatch.setattr(executors, "COUNT_LOOKS", 1)
    monkeypatch.setattr(executors, "MAX_COUNTS", 100_000)
    with run_cluster(0) as cluster:
        request = history.request(tmp_path / "late", executor=f"dask://127.0.0.1:{cluster.port}")

        def warn(event: str, **_: object) -> None:
            if event == "segment_workers_missing":
                said.append(event)
                cluster.add_worker()

        monkeypatch.setattr(executors._log, "warning", warn, raising=False)
        require_right(verify_in_segments(request), history)
        assert ["segment_workers_missing"] == said
        cluster.workers[0].kill()
        cluster.workers[0].wait()
        monkeypatch.setattr(executors, "MAX_COUNTS", 2)
        monkeypatch.setattr(executors._log, "warning", lambda event, **_: said.append(event), raising=False)
        with pytest.raises(SourceUnavailable, match="no workers: start some"):
            verify_in_segments(history.request(tmp_path / "none", executor=request.executor))
        assert ["segment_workers_missing"] * 2 == said


def test_no_scheduler(history: History, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executors, "FIRST_SECONDS", 1)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"dask://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(SourceUnavailable, match=r"no Dask scheduler answers .* start it"):
            verify_in_segments(history.request(tmp_path, executor=address))
