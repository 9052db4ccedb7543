"""HTTP paths of an app's own: at which a method is answered besides JSON-RPC, for clients that speak nothing else.

    @http_route("GET /price/{market}.json", "POST /price")
    def get_price(node: NodeView, market: Uint64) -> Price: ...

Names in braces are parameters, named as in JSON; a POST brings the others as members of one JSON object.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from microrollup.codec.schema import BytesType, FixedBytesType, IntegerType, StringType
from microrollup.errors import DeclarationError

if TYPE_CHECKING:
    from microrollup.declaration.query import QueryParameter

__all__ = ["HttpRoute", "http_route", "read_routes"]

F = TypeVar("F", bound=Callable[..., Any])

_ATTRIBUTE: Final = "__http_routes__"
_ROUTE: Final = re.compile(r"(GET|POST) (/[a-z0-9_.-]+(?:/[A-Za-z0-9_.-]*(?:\{[A-Za-z0-9]+\})?[A-Za-z0-9_.-]*)*)")
_NAME: Final = re.compile(r"\{([A-Za-z0-9]+)\}")
_TAKEN: Final = frozenset({"explorer", "health", "metrics", "openrpc.json"})
"""First parts of the paths that are the node's own."""

_IN_PATHS: Final = (BytesType, FixedBytesType, IntegerType, StringType)


class HttpRoute(msgspec.Struct, frozen=True):
    """One path at which a method is answered."""

    verb: str
    """`GET` or `POST`."""
    path: str
    """With the names of parameters in braces."""
    names: tuple[str, ...]
    """These parameters, by their names in JSON."""
    any_origin: bool
    """Whether pages of every origin may ask and read the answer."""

    @property
    def shape(self) -> tuple[str, str]:
        """What no two routes have alike: the path without the parameters' names."""
        return self.verb, _NAME.sub("{}", self.path)


def http_route(*routes: str, any_origin: bool = False) -> Callable[[F], F]:
    """Declare the HTTP paths of a method: `GET /path/{parameter}` or `POST /path`, one or more.

    Parts of a path are letters, digits and `_.-`, with at most one parameter each, whose type is an integer, bytes or
    text. A GET has every parameter without a default in its path; a POST takes those that are not there from its body.
    The first part is none of the node's own (`explorer`, `health`, `metrics`, `openrpc.json`). With `any_origin` web
    pages of every origin may use it (CORS): for what anybody may know. What is wrong raises `DeclarationError` when a
    node loads the methods.
    """

    def mark(function: F) -> F:
        setattr(function, _ATTRIBUTE, (routes, any_origin))
        return function

    return mark


def read_routes(function: Callable[..., Any], parameters: Sequence[QueryParameter]) -> tuple[HttpRoute, ...]:
    """The routes of a method; none for a function that was not marked. Raises `DeclarationError`."""
    texts, any_origin = getattr(function, _ATTRIBUTE, ((), False))
    return tuple([_read_route(function.__qualname__, text, any_origin, parameters) for text in texts])


def _read_route(where: str, text: Any, any_origin: bool, parameters: Sequence[QueryParameter]) -> HttpRoute:
    found = _ROUTE.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise DeclarationError(where, f"{text!r} is not a route: write `GET /path/{{parameter}}` or `POST /path`")
    verb, path = found.groups()
    if path.split("/")[1] in _TAKEN:
        raise DeclarationError(where, f"{path} is the node's own; begin it with another word")
    names = tuple(_NAME.findall(path))
    types = {each.wire_name: each.type for each in parameters}
    for name in names:
        if name not in types:
            raise DeclarationError(
                where, f"{path} has {{{name}}}, which none of the parameters is called in JSON: {', '.join(types)}"
            )
        if not isinstance(types[name], _IN_PATHS):
            raise DeclarationError(where, f"{{{name}}} in {path} is not an integer, bytes or text: send it by POST")
    if len(set(names)) != len(names):
        raise DeclarationError(where, f"{path} has a parameter twice")
    missing = [each.wire_name for each in parameters if each.required and each.wire_name not in names]
    if verb == "GET" and missing:
        raise DeclarationError(where, f"{path} lacks {{{missing[0]}}}, which has no default")
    return HttpRoute(verb, path, names, any_origin)
