"""What a method is: its name, params, answer and errors, and by which of five kinds it is answered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeAlias

import msgspec

from microrollup.declaration.query import Query
from microrollup.node.reading import ReadingNode
from microrollup.rpc.limits import RpcLimits
from microrollup.rpc.params import EnvelopeParams, SubmitManyParams, SubmitParams, SubscribeParams, UnsubscribeParams
from microrollup.rpc.views import Views

__all__ = ["ActionMethod", "Api", "AppMethod", "Method", "PlainMethod", "QueryMethod", "SocketMethod"]


class Api:
    """What methods work with."""

    def __init__(self, node: ReadingNode, limits: RpcLimits, count_subscribers: Callable[[], int] = lambda: 0) -> None:
        self.node = node
        self.limits = limits
        self.views = Views(node)
        self.count_subscribers = count_subscribers


class PlainMethod(msgspec.Struct, frozen=True):
    """A method that its handler answers, in a worker thread."""

    name: str
    summary: str
    params: type[msgspec.Struct]
    answer: Any
    """The type of what is answered, as `codec.document` takes it."""
    handler: Callable[[Api, Any], Any]
    errors: tuple[int, ...] = ()
    """Codes beside those that any call may get."""
    at_source: Literal["never", "missing", "always"] = "never"
    """When a follower passes it on: never, if nothing is recorded here, or always."""


class ActionMethod(msgspec.Struct, frozen=True):
    """A method that takes actions. It is awaited in the event loop: the answer comes when they are durable."""

    name: str
    summary: str
    params: type[SubmitParams | SubmitManyParams | EnvelopeParams]
    answer: Any
    errors: tuple[int, ...] = ()


class SocketMethod(msgspec.Struct, frozen=True):
    """A method that a WebSocket's connection itself answers."""

    name: str
    summary: str
    params: type[SubscribeParams | UnsubscribeParams]
    answer: Any
    errors: tuple[int, ...] = ()


class QueryMethod(msgspec.Struct, frozen=True):
    """A query of the app, which a reader process answers. `name` is the full one."""

    name: str
    summary: str
    query: Query
    answer: Any
    errors: tuple[int, ...] = ()


class AppMethod(msgspec.Struct, frozen=True):
    """A method of the app's own, which runs in a worker thread. `name` is the full one."""

    name: str
    summary: str
    query: Query
    """The function, with its parameters and its answer."""
    answer: Any
    errors: tuple[int, ...] = ()


Method: TypeAlias = PlainMethod | ActionMethod | SocketMethod | QueryMethod | AppMethod
