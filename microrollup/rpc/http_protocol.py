"""The HTTP protocol of the server: uvicorn's, with the limits that it leaves to others.

A request's head has to come in time and in bounds, connections are counted, and a connection whose other side reads
nothing is ended. What two readers of HTTP could take for different requests is refused.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable
from typing import Any, Final

from starlette.types import Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from microrollup.rpc.body import ANSWERING, WHOLE
from microrollup.rpc.limits import RpcLimits
from microrollup.rpc.sockets import READ_BYTES

__all__ = ["make_http_protocol"]

_BODY_HEADERS: Final = frozenset({b"content-length", b"transfer-encoding"})
_HEADER_BYTES: Final = 4
"""Colon, space and line end."""


class _HeadFirst:
    """Where a response is written: its head waits for the first part of its body, so that both are one packet."""

    __slots__ = ("_cycle", "_head", "_transport")

    def __init__(self, cycle: RequestResponseCycle, transport: asyncio.Transport) -> None:
        self._cycle = cycle
        self._transport = transport
        self._head: bytes | None = None

    def write(self, data: bytes) -> None:
        """The head, a part of the body, or what comes before the head (`100 Continue`)."""
        if self._head is None and self._cycle.response_started:
            self._head = data
            return
        if self._head:
            data, self._head = self._head + data, b""
        self._transport.write(data)

    def is_behind(self, send: Send) -> bool:
        """Whether `send` is the server's own, which writes here."""
        return send == self._cycle.send

    async def answer(self, headers: Iterable[tuple[bytes, bytes]], body: bytes) -> None:
        """Write status 200, headers that are well-formed, `content-length` among them, and all of a body: as the
        server's own `send` does in two steps, which looks at each header.
        """
        cycle = self._cycle
        if cycle.flow.write_paused and not cycle.disconnected:
            await cycle.flow.drain()
        if cycle.disconnected:
            return
        lines = [b"%b: %b\r\n" % header for header in (*cycle.default_headers, *headers)]
        if not cycle.keep_alive:
            lines.append(b"connection: close\r\n")
        cycle.response_started = cycle.response_complete = True
        cycle.waiting_for_100_continue = False
        self._transport.write(b"".join((b"HTTP/1.1 200 OK\r\n", *lines, b"\r\n", body)))
        cycle.message_event.set()
        if not cycle.keep_alive:
            self._transport.close()
        cycle.on_response()

    def is_closing(self) -> bool:
        """Whether nothing more is read."""
        return self._transport.is_closing()

    def close(self) -> None:
        """Close the connection once all has been sent."""
        if self._head:
            self._transport.write(self._head)
        self._transport.close()


def make_http_protocol(limits: RpcLimits) -> type[HttpToolsProtocol]:
    """The HTTP protocol with this server's limits."""

    class HttpProtocol(HttpToolsProtocol):
        """Bounds a request's head in time and size, and the number of connections.

        One timer waits for a head, or closes a connection without a request; it is moved when it goes off, not when
        what it waits for has come.
        """

        _timer: asyncio.TimerHandle | None = None
        _due = math.inf
        _head_bytes = 0
        """Of the head that is being read, without the packet in which it began."""
        _packet_bytes = 0
        _beside_bytes = 0
        """Since the last of a body: chunks' extensions and trailers."""
        _in_head = True
        _idle = False
        _writing: asyncio.TimerHandle | None = None
        _unsent = 0

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)  # type: ignore[arg-type]
            if len(self.connections) > limits.connections:
                self.transport.abort()
                return
            self._expect(limits.head_seconds)

        def connection_lost(self, exc: Exception | None) -> None:
            if self._timer is not None:
                self._timer.cancel()
            self.resume_writing()
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            self._packet_bytes = len(data)
            if self._in_head:
                self._head_bytes += len(data)
            else:
                self._beside_bytes += len(data)
            super().data_received(data)
            if self._head_bytes > limits.head_bytes and self._in_head:
                self.send_400_response("Request head too large.")
            elif self._beside_bytes > limits.head_bytes and not self._in_head:
                self.transport.abort()
            elif self._in_head and self._due == math.inf:  # a head that comes in parts
                self._expect(limits.head_seconds)

        def on_message_begin(self) -> None:
            if not self._in_head:
                self._in_head, self._idle, self._due = True, False, math.inf
            self._head_bytes = 0
            super().on_message_begin()

        def on_headers_complete(self) -> None:
            self._refuse_odd_head()
            self._in_head, self._beside_bytes = False, 0
            self._due = math.inf
            before = self.cycle
            super().on_headers_complete()
            cycle = self.cycle
            if cycle is not before and self.scope["method"] != "HEAD":
                way = _HeadFirst(cycle, self.transport)
                self.scope["state"][ANSWERING], cycle.transport = way, way  # type: ignore[assignment]

        def _refuse_odd_head(self) -> None:
            """Answer what is refused with 400, and raise `ValueError`, which ends the parser.

            The parser ends where another protocol may begin: a body would be read as the next request, or never.
            """
            reason = ""
            if self._head_bytes + self._packet_bytes > limits.head_bytes:
                size = len(self.url) + sum([len(name) + len(value) + _HEADER_BYTES for name, value in self.headers])
                reason = "Request head too large." if size > limits.head_bytes else ""
            if (
                self.parser is not None
                and self.parser.should_upgrade()
                and any(name in _BODY_HEADERS and value != b"0" for name, value in self.headers)
            ):
                reason = "An Upgrade with a body is not taken: send the request as HTTP/1.1, without Upgrade."
            if reason:
                self.send_400_response(reason)
                raise ValueError(reason)

        def send_400_response(self, msg: str) -> None:
            if not self.transport.is_closing():
                super().send_400_response(msg)

        def on_body(self, body: bytes) -> None:
            self._beside_bytes = 0
            super().on_body(body)

        def on_message_complete(self) -> None:
            self.scope.setdefault("state", {})[WHOLE] = True
            super().on_message_complete()

        def on_response_complete(self) -> None:
            """As uvicorn has it, but for its timer."""
            self.server_state.total_requests += 1
            if self.transport.is_closing():
                return
            self.flow.resume_reading()
            if self.pipeline:
                self._start_asgi_task(*self.pipeline.pop())
            elif not self._in_head:
                self._idle = True
                self._expect(limits.idle_seconds)

        def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
            """As uvicorn has it, but for a callback, which would take another turn of the event loop."""

            async def run() -> None:
                try:
                    await cycle.run_asgi(app)
                finally:
                    self.tasks.discard(task)
                    cycle.scope.setdefault("state", {}).pop(ANSWERING, None)  # it holds the cycle

            task = self.loop.create_task(run())
            self.tasks.add(task)

        def pause_writing(self) -> None:
            super().pause_writing()
            self._unsent = self.transport.get_write_buffer_size()
            self._writing = self.loop.call_later(limits.send_seconds, self._look)

        def resume_writing(self) -> None:
            if self._writing is not None:
                self._writing.cancel()
            super().resume_writing()

        def _look(self) -> None:
            """End the connection unless its other side has read something meanwhile."""
            if self.transport.get_write_buffer_size() > self._unsent - READ_BYTES:
                self.transport.abort()
            else:
                self.pause_writing()

        def _expect(self, seconds: float) -> None:
            """What the other side does next has to come within so many seconds."""
            self._due = self.loop.time() + seconds
            if self._timer is not None:
                if self._timer.when() <= self._due:
                    return
                self._timer.cancel()
            self._timer = self.loop.call_at(self._due, self._look_at_clock)

        def _look_at_clock(self) -> None:
            self._timer = None
            if self._due == math.inf:
                return
            if self.loop.time() < self._due:
                self._timer = self.loop.call_at(self._due, self._look_at_clock)
            elif self._idle:
                self.timeout_keep_alive_handler()
            elif not self.transport.is_closing():
                self.transport.abort()

    return HttpProtocol
