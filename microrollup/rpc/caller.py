"""Who asks: a request over HTTP, or a message over a WebSocket, with all its calls."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from microrollup.rpc.errors import UNAUTHORIZED, ErrorResponse
from microrollup.rpc.write_tokens import WriteTokens, make_challenge

__all__ = ["Caller", "SocketHandler"]

SocketHandler = Callable[[Any], Awaitable[Any]]
"""Answers the methods that need a WebSocket."""


class Caller:
    """Who asks, for as long as it takes until the answer has been read."""

    __slots__ = (
        "_tokens",
        "authorization",
        "challenge",
        "client",
        "gave_up",
        "has_submitted",
        "height",
        "held",
        "min_height",
        "socket",
        "via",
    )

    def __init__(
        self,
        client: str,
        socket: SocketHandler | None = None,
        *,
        tokens: WriteTokens | None = None,
        authorization: Sequence[str] = (),
        via: Sequence[str] = (),
    ) -> None:
        """`client` is whose rate it counts against (see `name_client`); `socket` there is if it came over one.

        `authorization` are its headers of that name; where there are `tokens`, it needs one of them to hand in actions.
        `via` are the followers that have passed its calls on.
        """
        self.client = client
        self.socket = socket
        self._tokens = tokens
        self.authorization = authorization
        self.via = via
        self.min_height = 0
        """The height that all its answers are to show at least."""
        self.height: int | None = None
        """The height that all of them show at least; None before there is one."""
        self.gave_up = False
        """Whether one of its calls has waited for a height in vain: the others of a batch do not wait then."""
        self.has_submitted = False
        """Whether the app's method that runs for it has handed an action in."""
        self.challenge: str | None = None
        """`WWW-Authenticate` of its answer, once it was refused because it has no token."""
        self.held = 0
        """Bytes of answers that count against the budget of all."""

    def note_height(self, height: int) -> None:
        """One of its answers shows this height, or a newer one."""
        self.height = height if self.height is None else min(height, self.height)

    def check_write(self) -> None:
        """Raise `ErrorResponse` unless it may hand in actions."""
        if self._tokens is not None and not self._tokens.admit(self.authorization):
            self.challenge = make_challenge(self.authorization)
            raise ErrorResponse(UNAUTHORIZED, "this node takes actions from those who send one of its tokens")
