"""What a client may ask for, so that one client cannot keep the node from the others."""

from __future__ import annotations

from typing import Final

import msgspec

__all__ = ["RpcLimits"]

DEFAULT_BODY_BYTES: Final = 4 << 20


class RpcLimits(msgspec.Struct, frozen=True, rename="camel"):
    """Limits of one server. Counts are of things at one time, unless said otherwise."""

    body_bytes: int = DEFAULT_BODY_BYTES
    """A request over HTTP, or a message over a WebSocket."""
    bodies_bytes: int = 128 << 20
    """Requests in memory, over all connections: what is being received, and what is being worked on."""
    batch_calls: int = 100
    """Calls of one batch."""
    batch_actions: int = 1_000
    """Actions of one `submitActions`."""
    answer_bytes: int = 8 << 20
    """Of a batch's answer; calls that come when it is reached are refused."""
    answers_bytes: int = 128 << 20
    """Answers in memory that clients have not read yet, over all connections; calls beyond are refused."""
    json_depth: int = 64
    """Nesting of a request, checked before it is decoded."""
    id_bytes: int = 256
    """A request's `id`, which is given back."""
    connections: int = 2_048
    """Connections to the server."""
    calls: int = 256
    """Calls being worked on; more wait."""
    calls_per_socket: int = 64
    """Calls of one WebSocket being worked on; it is not read from meanwhile."""
    subscriptions_per_socket: int = 16
    """Subscriptions of one WebSocket."""
    subscriptions: int = 4_096
    """Subscriptions over all connections."""
    lag: int = 1_000
    """Notifications by which a subscriber that does not read may fall behind, before it is dropped."""
    send_seconds: float = 10.0
    """So long a subscriber may refuse to take one notification, and an HTTP client 64 KiB of its answer."""
    height_seconds: float = 2.0
    """So long a call waits for a block of the height that it was to show at least."""
    waiting: int = 1_024
    """Calls that wait for such a block; more are refused."""
    head_seconds: float = 10.0
    """So long a request's first line and headers may take."""
    head_bytes: int = 65_536
    """A request's first line and headers."""
    body_seconds: float = 20.0
    """So long a request's body may take."""
    route_seconds: float = 10.0
    """So long a method may take that is asked for at an HTTP path of its own; the answer is 504 then."""
    idle_seconds: int = 30
    """An HTTP connection without a request is closed; a WebSocket is pinged, and closed without an answer."""
    rate: float = 1_000.0
    """Calls and actions per second of one remote address; 0 for no limit."""
    local_rate: float = 100_000.0
    """The same of everybody on this machine together: some ten times what a node can answer."""
    burst_seconds: float = 5.0
    """So much of its rate an address saves up while it asks for less."""
    blocks: int = 100
    """Blocks of one `getBlocks`."""
