"""What runs segments: processes of this machine, or a Dask cluster; anything with the interface of
`concurrent.futures.Executor`.
"""

from __future__ import annotations

import logging
import multiprocessing
import shutil
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec
import structlog

from microrollup.errors import SourceUnavailable, UsageError
from microrollup.limits import MEMORY_BYTES, VERIFIER_FACTOR, limited_memory
from microrollup.logs import configure_logging
from microrollup.system import count_cores, end_with_parent

__all__ = ["LOOK_SECONDS", "DaskCluster", "ExecutorFactory", "ProcessPool", "WorkerWatch", "parse_executor"]

CONNECT_SECONDS: Final = 30
"""For a scheduler that restarts."""
FIRST_SECONDS: Final = 5
"""For the first connection: a scheduler that was not started does not come by itself."""

LOOK_SECONDS: Final = 0.5
"""How long whoever waits for results waits at once."""

COUNT_LOOKS: Final = 10
"""Looks without a result, five seconds, after which it is asked whether there are workers."""

MAX_COUNTS: Final = 60
"""How often in a row there may be none: five minutes."""

_LOOPBACK: Final = ("127.", "localhost", "[::1]")
_log = structlog.get_logger(__name__)
_HELD: Final = ExitStack()
"""What a worker holds for as long as it lives."""

_HINT: Final = "give `processes`, `processes:N`, `dask://HOST:PORT` or `tls://HOST:PORT`"


class ExecutorFactory(Protocol):
    """Makes executors: another one when one is broken."""

    trusted: bool
    """Whether the workers are this machine's own processes."""

    @property
    def workers(self) -> int | None:
        """How many there are; None for a number that changes. Then all work is given out at once."""
        ...

    def open(self) -> Executor:
        """A new executor. Raises `SourceUnavailable`."""
        ...

    def close(self) -> None:
        """Let go of the executor that was opened last, whatever it still does."""
        ...

    def is_alive(self) -> bool:
        """Whether the executor that was opened last can still answer."""
        ...

    def count_workers(self) -> int | None:
        """Workers that are there now; None if that cannot be said."""
        ...

    def clean(self, directory: Path) -> None:
        """Remove a directory wherever the workers are."""
        ...


class ProcessPool(msgspec.Struct):
    """`processes:N`: spawned processes of this machine, one per usable core unless `workers` says otherwise."""

    workers: int
    trusted: bool = True
    _executor: ProcessPoolExecutor | None = None

    def open(self) -> Executor:
        """A new pool."""
        self.close()
        context = multiprocessing.get_context("spawn")
        self._executor = ProcessPoolExecutor(self.workers, mp_context=context, initializer=_start_worker)
        return self._executor

    def close(self) -> None:
        """End its processes now: what they verified is durable."""
        if (executor := self._executor) is None:
            return
        self._executor = None
        processes = list((executor._processes or {}).values())
        executor.shutdown(wait=False, cancel_futures=True)
        for process in processes:
            process.kill()
        for process in processes:
            process.join()

    def is_alive(self) -> bool:
        """Always: a pool that is broken says so in its futures."""
        return True

    def count_workers(self) -> int:
        """As many as there should be: the pool starts others in place of its own."""
        return self.workers

    def clean(self, directory: Path) -> None:
        """Remove a directory here, once nobody works in it any more."""
        self.close()
        shutil.rmtree(directory, ignore_errors=True)


class DaskCluster(msgspec.Struct):
    """`dask://HOST:PORT`: the workers of a Dask scheduler, which run the same release of this package."""

    address: str
    trusted: bool = False
    workers: None = None
    _client: Any = None
    _was_there: bool = False

    def open(self) -> Executor:
        """Connect. Raises `SourceUnavailable` if no scheduler answers, `UsageError` without the extra `dask`."""
        try:
            from distributed import Client  # noqa: PLC0415  # an extra, and a second of imports
        except ImportError:
            raise UsageError("a Dask cluster needs `pip install 'microrollup[dask]'`") from None
        self.close()
        logging.getLogger("distributed.client").setLevel(logging.CRITICAL)  # a lost scheduler is told by our own event
        try:
            connect: Any = Client
            seconds = CONNECT_SECONDS if self._was_there else FIRST_SECONDS
            self._client = connect(self.address, timeout=seconds, set_as_default=False)
        except (OSError, TimeoutError) as error:
            raise SourceUnavailable(
                f"no Dask scheduler answers at {self.address} ({error}): start it (`dask scheduler`) and its workers"
                " first, or leave it to this machine with `--executor processes`"
            ) from None
        self._was_there = True
        executor: Executor = self._client.get_executor(pure=False, retries=0)
        return executor

    def close(self) -> None:
        """Disconnect; tasks that nobody waits for any more are cancelled by the scheduler."""
        if (client := self._client) is not None:
            self._client = None
            client.close(timeout=2)

    def is_alive(self) -> bool:
        """Whether the scheduler is connected; the tasks of one that was restarted are gone."""
        return self._client is not None and self._client.status == "running"

    def count_workers(self) -> int | None:
        """Workers that the scheduler knows: none after a restart of it, since `dask worker` ends with its scheduler."""
        with suppress(Exception):  # `is_alive` tells whether the scheduler is there
            if (client := self._client) is not None:
                return len(client.sync(client.scheduler.ncores, callback_timeout=CONNECT_SECONDS))
        return None

    def clean(self, directory: Path) -> None:
        """Remove a directory here, and on the machines of all workers that are there now."""
        shutil.rmtree(directory, ignore_errors=True)
        if self._client is not None:
            with suppress(Exception):  # the verdict does not depend on it
                self._client.run(shutil.rmtree, str(directory), True, on_error="ignore")


class WorkerWatch:
    """Notices that a cluster has no workers, so that nobody waits for ever without a word."""

    def __init__(self, factory: ExecutorFactory) -> None:
        self._factory = factory
        self._looks = self._alone = 0

    def look(self) -> None:
        """After a look that gave nothing. Raises `SourceUnavailable` once there were no workers for long."""
        self._looks += 1
        if self._looks % COUNT_LOOKS:
            return
        if self._factory.count_workers() != 0:
            self._alone = 0
            return
        if self._alone == 0:
            _log.warning("segment_workers_missing", gives_up_after=f"{MAX_COUNTS * COUNT_LOOKS * LOOK_SECONDS:.0f} s")
        self._alone += 1
        if self._alone >= MAX_COUNTS:
            raise SourceUnavailable("the scheduler has no workers: start some, then run the same command again")


def parse_executor(text: str) -> ExecutorFactory:
    """The executor that a text names. Raises `UsageError`."""
    kind, _, rest = text.partition(":")
    if kind == "processes":
        return ProcessPool(_parse_count(rest) if rest or text.endswith(":") else count_cores())
    if kind in ("dask", "tls") and rest.startswith("//") and len(rest) > len("//"):
        host = rest[len("//") :]
        if kind == "dask" and not host.startswith(_LOOPBACK):
            raise UsageError(f"{text}: a scheduler elsewhere is reached over tls://, which authenticates both sides")
        return DaskCluster(f"{'tcp' if kind == 'dask' else 'tls'}:{rest}")
    raise UsageError(f"{text!r} does not name an executor: {_HINT}")


def _parse_count(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= 1024):
        raise UsageError(f"{text!r} is not a number of processes from 1 to 1024: {_HINT}")
    return int(text)


def _start_worker() -> None:
    """The bounds of a verifier's process: a bad app must not take the machine's memory."""
    configure_logging()
    end_with_parent()
    _HELD.enter_context(limited_memory(MEMORY_BYTES * VERIFIER_FACTOR))
