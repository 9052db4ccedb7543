"""One connection to a node at a time, which ends when it takes too long, or when another thread says so.

A timeout of the socket alone ends neither an answer that comes byte by byte nor a wait for one when this process stops.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

__all__ = ["Wire"]


class Wire:
    """The connections of one source; `cut` is for any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: socket.socket | None = None
        self._cut = False

    def cut(self) -> None:
        """End the connection that is open, and let no other begin."""
        with self._lock:
            self._cut = True
            if self._open is not None:
                _shut(self._open)

    @contextmanager
    def hold(self, connection: socket.socket, seconds: float) -> Iterator[None]:
        """Use a connection for so many seconds at most, and close it. Raises `OSError` for one that was ended."""
        late = threading.Event()

        def end() -> None:
            late.set()
            _shut(connection)

        timer = threading.Timer(seconds, end)
        timer.daemon = True
        try:
            with self._lock:
                if self._cut:
                    raise ConnectionAbortedError("this process stops")
                self._open = connection
            timer.start()
            yield
            if late.is_set():
                raise TimeoutError(f"no whole answer in {seconds:.0f} seconds")
        finally:
            timer.cancel()
            with self._lock:
                self._open = None
            connection.close()


def _shut(connection: socket.socket) -> None:
    """Wake who reads from it; past TLS, whose own way out waits for the other side."""
    with suppress(OSError):
        socket.socket.shutdown(connection, socket.SHUT_RDWR)
