"""The server: uvicorn with the limits that it leaves to others, stopped by its starter.

What is added to uvicorn's protocols is in `http_protocol`, and here for WebSockets: a connection whose other side reads
nothing is ended, and unfinished messages are bounded all together.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any, Final

import structlog
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from microrollup.errors import UsageError
from microrollup.rpc.budget import Budget
from microrollup.rpc.http_protocol import make_http_protocol
from microrollup.rpc.limits import RpcLimits
from microrollup.rpc.sockets import OUTLET, Outlet

__all__ = ["Server", "bind"]

BACKLOG: Final = 2_048
GRACE_SECONDS: Final = 3
"""So long clients may go on to read their answers when the server stops."""
_CANCEL_SECONDS: Final = 5
"""What is left running so long after that hangs by a fault of ours: uvicorn cancels it, and says so."""
_ABORT_SECONDS: Final = 2.0
_CONTROL_BYTES: Final = 131
"""A ping or pong of the largest size, with its head."""
_SOCKET_BYTES: Final = 128 << 10
"""What the system may hold for a WebSocket that does not read; by itself it would go up to some MiB."""

_BAD_REQUEST: Final = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"

_log = structlog.get_logger(__name__)


def bind(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 for any. Raises `UsageError` if the address cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # or asyncio keeps Nagle
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise UsageError(
            f"{host}:{port} cannot be listened on: {error.strerror or error}; choose another --port or --host"
        ) from None
    return listener


class Server(uvicorn.Server):
    """Serves an application on a bound socket until it is told to stop, by `stop` or by SIGINT or SIGTERM.

    `on_ready` is called when it answers; `on_stop` in a thread when it begins to stop, before connections are closed.
    """

    def __init__(
        self,
        app: ASGIApp,
        listener: socket.socket,
        limits: RpcLimits,
        *,
        on_ready: Callable[[], None] = lambda: None,
        on_stop: Callable[[], None] = lambda: None,
    ) -> None:
        config = uvicorn.Config(
            app,
            http=make_http_protocol(limits),
            ws=_make_websocket_protocol(Budget(limits.bodies_bytes)),
            ws_max_size=limits.body_bytes,
            ws_ping_interval=limits.idle_seconds,
            ws_ping_timeout=limits.idle_seconds,
            ws_per_message_deflate=False,
            loop="asyncio",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=limits.idle_seconds,
            timeout_graceful_shutdown=GRACE_SECONDS + _CANCEL_SECONDS,
        )
        super().__init__(config)
        self._listener = listener
        self._on_ready = on_ready
        self._on_stop = on_stop
        _forward_log()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._listener.getsockname()[1])

    def serve_forever(self) -> None:
        """Serve in this thread's own event loop until told to stop."""
        try:
            self.run(sockets=[self._listener])
        finally:
            self._listener.close()

    def stop(self) -> None:
        """Stop soon; from any thread."""
        self.should_exit = True

    @property
    def was_signalled(self) -> bool:
        """Whether SIGINT or SIGTERM has come."""
        return bool(self._captured_signals)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop on SIGINT and SIGTERM; what was before is put back, and no signal is raised again after it."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {each: signal.signal(each, self.handle_exit) for each in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then say so."""
        await super().startup(sockets)
        self._on_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let what was taken be answered, then close connections; those that take no answer are cut off in the end.

        uvicorn would cancel their requests instead, and log each one as an exception of the application.
        """
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, self._on_stop)
        cutting = loop.call_later(GRACE_SECONDS, self._cut_off)
        try:
            await super().shutdown(sockets)
        finally:
            cutting.cancel()

    def _cut_off(self) -> None:
        for connection in list(self.server_state.connections):
            if connection.transport is not None:
                connection.transport.abort()


def _make_websocket_protocol(partial: Budget) -> type[WebSocketsSansIOProtocol]:
    """The WebSocket protocol with this server's limits; `partial` bounds messages that have not come to their end."""

    class WebSocketProtocol(WebSocketsSansIOProtocol):
        """Lets the application end a connection whose other side reads nothing; a silent one ends in the same way."""

        _received = 0

        def handle_connect(self, event: Any) -> None:
            super().handle_connect(event)
            if hasattr(self, "scope"):
                transport = self.transport
                outlet = Outlet(transport.abort, self.writable, transport.get_write_buffer_size)
                self.scope.setdefault("state", {})[OUTLET] = outlet
            connection = self.transport.get_extra_info("socket")
            if connection is not None:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SOCKET_BYTES)

        def data_received(self, data: bytes) -> None:
            if not partial.take(len(data)):
                self.transport.abort()
                return
            self._received += len(data)
            super().data_received(data)
            if not hasattr(self, "scope") and not self.transport.is_closing():
                # The head is whole and no handshake came of it, as of one with more headers than are read: nothing else
                # would ever end this connection.
                self.transport.write(_BAD_REQUEST)
                self.transport.close()

        def send_receive_event_to_app(self) -> None:
            self._forget()
            super().send_receive_event_to_app()

        def connection_lost(self, exc: Exception | None) -> None:
            self._forget()
            super().connection_lost(exc)

        def handle_ping(self) -> None:
            self._forget(_CONTROL_BYTES)
            super().handle_ping()

        def handle_pong(self, event: Any) -> None:
            self._forget(_CONTROL_BYTES)
            super().handle_pong(event)

        def _forget(self, size: int | None = None) -> None:
            """So much of what was received (all of it by default) is not part of an unfinished message."""
            known = self._received if size is None else min(size, self._received)
            partial.give(known)
            self._received -= known

        def keepalive_timeout(self) -> None:
            super().keepalive_timeout()
            self.loop.call_later(_ABORT_SECONDS, self.transport.abort)

    return WebSocketProtocol


class _Forward(logging.Handler):
    """Hands uvicorn's errors to this process's log."""

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info is not None and isinstance(record.exc_info[1], UnicodeDecodeError):
            return  # a client's text is not UTF-8: its connection ends, and that is all
        _log.error("http_server", text=record.getMessage().strip(), exc_info=record.exc_info)


def _forward_log() -> None:
    logger = logging.getLogger("uvicorn")
    logger.handlers = [_Forward()]
    logger.setLevel(logging.ERROR)
    logger.propagate = False
    # asyncio warns of answers that are still on their way to a connection when that is cut off.
    for name in ("uvicorn.error", "uvicorn.asgi", "asyncio"):
        logging.getLogger(name).setLevel(logging.ERROR)
