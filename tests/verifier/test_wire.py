"""A source that answers byte by byte, or not at all: what asks it comes to an end."""

from __future__ import annotations

import socket
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress

import pytest

from microrollup.errors import DecodeError, SourceUnavailable
from microrollup.verifier import http_source
from microrollup.verifier.http_source import HttpSource
from microrollup.verifier.wire import Wire, connect
from resolver import NAME, hang_lookups
from waiting import wait_for

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 90000\r\n\r\n"


@contextmanager
def listen(answer: Callable[[socket.socket, threading.Event], None]) -> Iterator[tuple[str, threading.Event]]:
    """A server that takes one connection, reads a little and answers as it likes; its address, and once it is asked."""
    listener = socket.create_server(("127.0.0.1", 0))
    asked, ended = threading.Event(), threading.Event()

    def serve() -> None:
        connection, _ = listener.accept()
        with closing(connection):
            connection.recv(65_536)
            asked.set()
            with suppress(OSError):
                answer(connection, ended)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", asked
    finally:
        ended.set()
        thread.join()
        listener.close()


def drip(head: bytes) -> Callable[[socket.socket, threading.Event], None]:
    """One byte after another, each long before a timeout of silence."""

    def answer(connection: socket.socket, ended: threading.Event) -> None:
        connection.sendall(head)
        while not ended.wait(0.01):
            connection.sendall(b"a")

    return answer


SLOW = {"head": drip(b"HTTP/1.1 200 OK\r\nX: "), "body": drip(HEAD), "silence": lambda _, ended: ended.wait(600)}


@pytest.mark.parametrize("kind", SLOW)
def test_another_thread_ends_a_call(kind: str) -> None:
    """So that a process that stops does not wait for its source. After that nothing is asked any more."""
    wire = Wire()
    outcomes: list[str] = []

    def ask() -> None:
        try:
            HttpSource(address, wire)
        except (SourceUnavailable, DecodeError) as error:
            outcomes.append(str(error))

    with listen(SLOW[kind]) as (address, asked):
        thread = threading.Thread(target=ask)
        thread.start()
        wait_for(asked.is_set)
        wire.cut()
        thread.join(60)
        assert not thread.is_alive()
        assert 1 == len(outcomes)
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        pytest.raises(SourceUnavailable, match="this process stops"),
    ):
        HttpSource(f"http://127.0.0.1:{listener.getsockname()[1]}", wire)


@pytest.mark.parametrize("kind", SLOW)
def test_an_answer_has_an_end(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The time of a whole answer is bounded, not only that of its silences."""
    monkeypatch.setattr(http_source, "ANSWER_SECONDS", 0.2)
    with listen(SLOW[kind]) as (address, _), pytest.raises(SourceUnavailable):
        HttpSource(address)


def test_what_is_not_asked_for_takes_no_memory() -> None:
    """A million small lists where a status is expected are passed over, and not built."""
    raw = b'{"jsonrpc":"2.0","id":1,"result":{"record":5,"more":[' + b"[]," * 1_000_000 + b"0]}}"

    def answer(connection: socket.socket, _: threading.Event) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(raw) + raw)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65_536):
            pass

    with listen(answer) as (address, _):
        tracemalloc.start()
        try:
            with pytest.raises(DecodeError):
                HttpSource(address)
            assert tracemalloc.get_traced_memory()[1] < 6 * len(raw)
        finally:
            tracemalloc.stop()


def test_a_name_that_is_not_resolved(monkeypatch: pytest.MonkeyPatch) -> None:
    """The system's resolver is given so much time and no more, by one thread however often it is asked."""
    monkeypatch.setattr(http_source, "CONNECT_SECONDS", 0.1)
    with hang_lookups(monkeypatch) as resolver:
        for _ in range(3):
            with pytest.raises(SourceUnavailable, match=r"not resolved in 0\.1 seconds"):
                HttpSource(f"http://{NAME}")
        assert resolver.asked.acquire(timeout=60)
        assert not resolver.asked.acquire(blocking=False)
        monkeypatch.setattr(http_source, "CONNECT_SECONDS", 60)
        resolver.released.set()
        with pytest.raises(SourceUnavailable, match="unknown"):
            HttpSource(f"http://{NAME}")


def test_the_first_address_that_takes_a_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """As of a name with an address of each family, where one leads nowhere; a name that cannot be one is refused."""
    with socket.create_server(("127.0.0.1", 0)) as open_port, socket.create_server(("127.0.0.1", 0)) as closed_port:
        places = [closed_port.getsockname(), open_port.getsockname()]
        closed_port.close()
        found = [(socket.AF_INET, socket.SOCK_STREAM, 0, "", place) for place in places]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
        with connect("source.invalid", 1, 60) as connection:
            assert places[1] == connection.getpeername()
        found.pop()
        with pytest.raises(ConnectionRefusedError):
            connect("source.invalid", 1, 60)
        monkeypatch.undo()
    with pytest.raises(SourceUnavailable, match="not a name"):
        HttpSource(f"http://{'a' * 64}.invalid")
