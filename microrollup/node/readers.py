"""Reader processes of a node: queries wait for them in one bounded queue; what kills or hangs one is answered too."""

from __future__ import annotations

import queue
import threading
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeAlias

import msgspec
import structlog

from microrollup.node.child import Child, ChildLost
from microrollup.node.errors import Overloaded
from microrollup.node.reader_process import QueryReply, QueryRequest, serve_queries

__all__ = ["MAX_QUEUED_QUERIES", "QUERY_SECONDS", "Readers"]

MAX_QUEUED_QUERIES: Final = 64
"""Queries that wait for a reader; more are refused as busy."""

QUERY_SECONDS: Final = 5.0
"""What a query may take by the clock: some 30 times its steps. Its process is ended then."""

_log = structlog.get_logger(__name__)
_REPLY_DECODER: Final = msgspec.msgpack.Decoder(QueryReply)
_encode: Final = msgspec.msgpack.Encoder().encode

_Waiting: TypeAlias = "tuple[QueryRequest, Future[QueryReply]] | None"


class Readers:
    """Some reader processes, each driven by a thread. `submit` never blocks."""

    def __init__(
        self, reference: str, directory: Path, count: int = 1, seconds: float = QUERY_SECONDS, *, version: int = 0
    ) -> None:
        """`reference` is `module:name` of the app, `directory` its store's; `version` says which of the app's versions
        answers, 0 for the oldest. Nothing is started yet.
        """
        self._seconds = seconds
        self._queue: queue.Queue[_Waiting] = queue.Queue(MAX_QUEUED_QUERIES)
        self._closing = threading.Event()
        self._links = [_Link(reference, directory, version, number) for number in range(count)]
        self._threads = [
            threading.Thread(target=self._drive, args=(link,), name=f"reader-{link.number}", daemon=True)
            for link in self._links
        ]
        self.lost = 0
        """How often a process was lost or ended for taking too long."""

    def start(self) -> None:
        """Start the processes."""
        for thread in self._threads:
            thread.start()

    def submit(self, request: QueryRequest) -> Future[QueryReply]:
        """Run a query as soon as a reader is free. Raises `Overloaded` if too many wait already."""
        future: Future[QueryReply] = Future()
        try:
            if self._closing.is_set():
                raise queue.Full
            self._queue.put_nowait((request, future))
        except queue.Full:
            raise Overloaded(f"busy: {MAX_QUEUED_QUERIES} queries wait already") from None
        return future

    def close(self) -> None:
        """Answer nothing more and end the processes."""
        self._closing.set()
        for link in self._links:
            link.kill()
        for thread in self._threads:
            if thread.is_alive():
                with suppress(queue.Full):
                    self._queue.put_nowait(None)
                thread.join()
        while True:
            try:
                waiting = self._queue.get_nowait()
            except queue.Empty:
                return
            if waiting is not None:
                _refuse(waiting[1])

    def _drive(self, link: _Link) -> None:
        link.ensure()
        while not self._closing.is_set():
            waiting = self._queue.get()
            if waiting is None or self._closing.is_set():
                if waiting is not None:
                    _refuse(waiting[1])
                break
            request, future = waiting
            if not future.set_running_or_notify_cancel():
                continue
            reply = link.run(request, self._seconds)
            if reply.code in ("time", "died"):
                self.lost += 1
                _log.warning("reader_lost", reader=link.number, query=request.name, reason=reply.code)
            future.set_result(reply)
        link.close()


def _refuse(future: Future[QueryReply]) -> None:
    """Answer a query that no reader takes any more."""
    if future.set_running_or_notify_cancel():
        future.set_result(QueryReply("died", b"", "the node is shutting down"))


class _Link(Child):
    """One reader process."""

    def __init__(self, reference: str, directory: Path, version: int, number: int) -> None:
        super().__init__(serve_queries, (reference, str(directory), version))
        self.number = number

    def run(self, request: QueryRequest, seconds: float) -> QueryReply:
        """Run one query; the process is ended if it takes too long."""
        try:
            return _REPLY_DECODER.decode(self.ask(_encode(request), seconds))
        except msgspec.MsgspecError:
            self.close()
            return QueryReply("died", b"", "its reader process ended")
        except ChildLost as lost:
            if lost.reason == "time":
                return QueryReply("time", b"", f"it took longer than {seconds:g} seconds")
            if lost.reason == "start":
                return QueryReply("died", b"", "no reader process comes up; the node's log says why")
            return QueryReply("died", b"", "its reader process ended")
