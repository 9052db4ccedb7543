"""One connection to a node at a time, which ends when it takes too long, or when another thread says so.

A timeout of the socket alone ends neither an answer that comes byte by byte nor a wait for one when this process stops.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from typing import Any, Final

__all__ = ["Wire", "connect"]

_Addresses = list[tuple[Any, ...]]

_lock: Final = threading.Lock()
_lookups: Final[dict[tuple[str, int], Future[_Addresses]]] = {}
"""Those under way, one for a name: so many threads may hang in the system's resolver, however often it is asked."""


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


def connect(host: str, port: int, seconds: float) -> socket.socket:
    """A connection to the first address of a name that takes one, within so many seconds, the look-up included.

    Raises `OSError`.
    """
    deadline = time.monotonic() + seconds
    addresses = _resolve(host, port, seconds)
    failure: OSError | None = None
    for tried, (family, kind, protocol, _, address) in enumerate(addresses):
        share = (deadline - time.monotonic()) / (len(addresses) - tried)
        if share <= 0:
            break
        opened = socket.socket(family, kind, protocol)
        try:
            opened.settimeout(share)
            opened.connect(address)
        except OSError as error:
            opened.close()
            failure = error
        else:
            return opened
    raise failure or TimeoutError(f"no connection in {seconds:g} seconds")


def _resolve(host: str, port: int, seconds: float) -> _Addresses:
    """The addresses of a name. The system's resolver takes no limit of time: its thread goes on by itself."""
    place = host, port
    with suppress(OSError, UnicodeError):
        return socket.getaddrinfo(*place, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    with _lock:
        found = _lookups.get(place)
        if found is None:
            found = _lookups[place] = Future()
            threading.Thread(target=_look_up, args=(place, found), name="resolver", daemon=True).start()
    try:
        return found.result(seconds)
    except TimeoutError:
        raise TimeoutError(f"its name was not resolved in {seconds:g} seconds") from None


def _look_up(place: tuple[str, int], found: Future[_Addresses]) -> None:
    try:
        found.set_result(socket.getaddrinfo(*place, type=socket.SOCK_STREAM))
    except OSError as error:
        found.set_exception(error)
    except UnicodeError:
        found.set_exception(OSError("not a name of a host"))
    finally:
        with _lock:
            del _lookups[place]


def _shut(connection: socket.socket) -> None:
    """Wake who reads from it; past TLS, whose own way out waits for the other side."""
    with suppress(OSError):
        socket.socket.shutdown(connection, socket.SHUT_RDWR)
