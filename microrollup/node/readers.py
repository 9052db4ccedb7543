"""Reader processes of a node: queries wait for them in one bounded queue; what kills or hangs one is answered too."""

from __future__ import annotations

import multiprocessing
import queue
import threading
from concurrent.futures import Future
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Final, TypeAlias

import msgspec
import structlog

from microrollup.node.errors import Overloaded
from microrollup.node.reader_process import QueryReply, QueryRequest, serve_queries

__all__ = ["MAX_QUEUED_QUERIES", "QUERY_SECONDS", "Readers"]

MAX_QUEUED_QUERIES: Final = 64
"""Queries that wait for a reader; more are refused as busy."""

QUERY_SECONDS: Final = 5.0
"""What a query may take by the clock: some 30 times its steps. Its process is ended then."""

START_SECONDS: Final = 60.0
"""What a reader process may take to load the app."""

_CLOSE_SECONDS: Final = 2.0
_log = structlog.get_logger(__name__)
_REPLY_DECODER: Final = msgspec.msgpack.Decoder(QueryReply)
_encode: Final = msgspec.msgpack.Encoder().encode

_Waiting: TypeAlias = "tuple[QueryRequest, Future[QueryReply]] | None"


class Readers:
    """Some reader processes, each driven by a thread. `submit` never blocks."""

    def __init__(self, reference: str, directory: Path, count: int = 1, seconds: float = QUERY_SECONDS) -> None:
        """`reference` is `module:name` of the app, `directory` its store's. Nothing is started yet."""
        self._seconds = seconds
        self._queue: queue.Queue[_Waiting] = queue.Queue(MAX_QUEUED_QUERIES)
        self._closing = threading.Event()
        self._links = [_Link(reference, directory, number) for number in range(count)]
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
            reply = link.ask(request, self._seconds)
            if reply.code in ("time", "died"):
                self.lost += 1
                _log.warning("reader_lost", reader=link.number, query=request.name, reason=reply.code)
            future.set_result(reply)
        link.close()


def _refuse(future: Future[QueryReply]) -> None:
    """Answer a query that no reader takes any more."""
    if future.set_running_or_notify_cancel():
        future.set_result(QueryReply("died", b"", "the node is shutting down"))


class _Link:
    """One reader process and the pipe to it; one thread drives it, `kill` is any thread's."""

    def __init__(self, reference: str, directory: Path, number: int) -> None:
        self.number = number
        self._arguments = (reference, str(directory))
        self._process: SpawnProcess | None = None
        self._pipe: Connection | None = None
        self._lock = threading.Lock()
        self._killed = False

    @property
    def pid(self) -> int | None:
        process = self._process
        return None if process is None else process.pid

    def ensure(self) -> Connection | None:
        """The pipe to a process that is ready, started now if there is none; None if it does not come up."""
        if self._pipe is not None:
            return self._pipe
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=serve_queries, args=(theirs, *self._arguments), daemon=True)
        with self._lock:
            if self._killed:
                return None
            process.start()
            self._process = process
        theirs.close()
        if _receive(ours, START_SECONDS) is None:
            ours.close()
            self._end()
            return None
        self._pipe = ours
        return ours

    def ask(self, request: QueryRequest, seconds: float) -> QueryReply:
        """Run one query; the process is ended if it takes too long."""
        pipe = self.ensure()
        if pipe is None:
            return QueryReply("died", b"", "no reader process comes up; the node's log says why")
        reply, code = None, "died"
        try:
            pipe.send_bytes(_encode(request))
            if pipe.poll(seconds):
                reply = _REPLY_DECODER.decode(pipe.recv_bytes())
            else:
                code = "time"
        except (OSError, EOFError, msgspec.MsgspecError):
            code = "died"
        if reply is not None:
            return reply
        pipe.close()
        self._pipe = None
        self._end()
        if code == "time":
            return QueryReply("time", b"", f"it took longer than {seconds:g} seconds")
        return QueryReply("died", b"", "its reader process ended")

    def _end(self) -> None:
        with self._lock:
            process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.join()
            process.close()

    def close(self) -> None:
        """End the process, and let go of the pipe."""
        if self._pipe is not None:
            self._pipe.close()
            self._pipe = None
        self._end()

    def kill(self) -> None:
        """End the process for good."""
        with self._lock:
            self._killed = True
            process = self._process
            if process is not None:
                process.kill()
                process.join(_CLOSE_SECONDS)


def _receive(pipe: Connection, seconds: float) -> QueryReply | None:
    try:
        return _REPLY_DECODER.decode(pipe.recv_bytes()) if pipe.poll(seconds) else None
    except (OSError, EOFError, msgspec.MsgspecError):
        return None
