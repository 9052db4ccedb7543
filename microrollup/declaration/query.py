"""Queries: functions of an app that only read. What their annotations say, compiled once for servers and callers.

    def open_bids(view: View[Auction], match: Uint64, limit: Uint16 = 50) -> list[Bid]: ...

The declaration names their module as text, `MicroRollup(..., reads="auction_reads")`, so that it is not part of the
stfId. Every function that this module defines is a query, unless its name begins with `_`.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from inspect import Parameter
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any, Final, get_args, get_origin, get_type_hints

import msgspec

from microrollup.codec.annotations import show_annotation
from microrollup.codec.document import Form, compile_form
from microrollup.codec.json import Read, check_members, compile_json_reader, to_json_value
from microrollup.codec.schema import SchemaType, describe_type, to_camel_case
from microrollup.codec.values import compile_check
from microrollup.declaration.http_route import HttpRoute, read_routes
from microrollup.declaration.index import IndexType, describe_index, is_index
from microrollup.declaration.method_set import check_namespace
from microrollup.declaration.modules import Package
from microrollup.declaration.node_view import NodeView
from microrollup.declaration.state import State
from microrollup.declaration.state_part import StatePart
from microrollup.declaration.view import View
from microrollup.errors import DeclarationError, UsageError, ValueOutOfBounds

if TYPE_CHECKING:
    from microrollup.declaration.rollup import MicroRollup

__all__ = [
    "HEIGHT",
    "MAX_INDEXES",
    "Methods",
    "Query",
    "QueryParameter",
    "Reads",
    "describe_method",
    "describe_query",
    "load_methods",
    "load_reads",
    "name_namespace",
    "require_distinct",
]

HEIGHT: Final = "height"
"""The parameter that every query has besides its own: which closed block's state it reads."""

MAX_INDEXES: Final = 32

_BETWEEN_WORDS: Final = re.compile(r"[ _.-]+")


class QueryParameter(msgspec.Struct, frozen=True):
    """One parameter of a query."""

    name: str
    wire_name: str
    annotation: Any
    type: SchemaType | None
    """None for a type that only answers have: `Any`, or a member that may be left out."""
    read: Read
    write: Callable[[Any], Any]
    """The plain JSON of an argument. Raises `ValueOutOfBounds` for one of another type."""
    required: bool
    default: Any = None


class Query(msgspec.Struct, frozen=True):
    """A query, or a method of an app's own, compiled."""

    function: Callable[..., Any]
    state: Any
    """The class in `View[...]`: the app's state, or a part of it; None for a method."""
    name: str
    """As in JSON: `open_bids` is `openBids`."""
    summary: str
    parameters: tuple[QueryParameter, ...]
    answer: Any
    """The annotation of what it returns."""
    form: Form
    routes: tuple[HttpRoute, ...] = ()
    """HTTP paths of a method, besides JSON-RPC."""

    def read_arguments(self, params: Any) -> list[Any]:
        """The arguments of a parsed JSON object without `height`. Raises a class of `RefusedError`."""
        required = frozenset([each.wire_name for each in self.parameters if each.required])
        check_members(params, required, "params", frozenset([each.wire_name for each in self.parameters]))
        return [
            each.read(params[each.wire_name]) if each.wire_name in params else each.default for each in self.parameters
        ]

    def write_arguments(self, arguments: Sequence[Any], named: Mapping[str, Any]) -> dict[str, Any]:
        """The JSON object of a call's arguments. Raises `UsageError`; `ValueOutOfBounds` for one of another type."""
        try:
            bound = inspect.signature(self.function).bind(None, *arguments, **named).arguments
        except TypeError as error:
            raise UsageError(f"{self.name}: {error}") from None
        params = {}
        for each in self.parameters:
            if each.name in bound:
                params[each.wire_name] = each.write(bound[each.name])
        return params


class Reads(msgspec.Struct, frozen=True):
    """All queries of an app, with the code that they run."""

    namespace: str
    parts: Mapping[type[State], StatePart]
    """State class -> where it is in the app's state; the whole state's class is among them."""
    queries: dict[str, Query]
    """By their names in JSON."""
    indexes: dict[str, IndexType]
    """By their names."""
    trees: dict[str, ast.Module]
    """Module -> syntax tree: the module of queries, and those of the app that it imports."""


class Methods(msgspec.Struct, frozen=True):
    """The methods of one module of an app's own."""

    namespace: str
    methods: dict[str, Query]
    """By their names in JSON."""


@cache
def describe_query(function: Callable[..., Any]) -> Query:
    """The query that a function's annotations declare. Raises `DeclarationError` saying what cannot be served."""
    return _describe(function, "query", View)


@cache
def describe_method(function: Callable[..., Any]) -> Query:
    """The method that a function's annotations declare. Raises `DeclarationError` saying what cannot be served."""
    return _describe(function, "method", NodeView)


def _describe(function: Callable[..., Any], kind: str, given: Any) -> Query:
    name = getattr(function, "__qualname__", repr(function))
    if not isinstance(function, FunctionType):
        raise DeclarationError(name, f"a {kind} is a function")
    if inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(function):
        raise DeclarationError(name, f"is async or yields; a {kind} returns its answer")
    hints = _read_hints(function)
    first, *rest = inspect.signature(function).parameters.values()
    hint = hints.get(first.name)
    if (get_origin(hint) or hint) is not given or hint is View:
        wanted = "View[...]" if given is View else "NodeView"
        raise DeclarationError(name, f"its first parameter is annotated {wanted}, not {_show(hints, first.name)}")
    if "return" not in hints:
        raise DeclarationError(name, "annotate what it returns, as in `-> list[Bid]`")
    describe = _describe_parameter if given is View else _describe_method_parameter
    parameters = tuple([describe(name, parameter, hints) for parameter in rest])
    names = [parameter.wire_name for parameter in parameters] + ([HEIGHT] if given is View else [])
    if len(set(names)) != len(names):
        raise DeclarationError(
            name, f"two parameters have one name in JSON, or one is `{HEIGHT}`, which every query has"
        )
    try:
        form = compile_form(hints["return"], "result")
    except RecursionError:
        raise DeclarationError(name, "what it returns contains itself") from None
    except DeclarationError as error:
        raise DeclarationError(name, f"cannot return this: {error.reason}") from None
    summary = " ".join((inspect.getdoc(function) or "").partition("\n\n")[0].split())
    state = get_args(hint)[0] if given is View else None
    wire_name = to_camel_case(function.__name__)
    routes = read_routes(function, parameters)
    if routes and given is View:
        raise DeclarationError(name, "a query has no HTTP path: make it a method")
    return Query(function, state, wire_name, summary, parameters, hints["return"], form, routes)


def _read_hints(function: FunctionType) -> dict[str, Any]:
    try:
        return get_type_hints(function, include_extras=True)
    except Exception as error:  # annotations can fail with whatever their expressions raise
        raise DeclarationError(function.__qualname__, f"its annotations cannot be read: {error}") from error


def _show(hints: dict[str, Any], name: str) -> str:
    return show_annotation(hints[name]) if name in hints else "nothing"


def _describe_parameter(query: str, parameter: Parameter, hints: dict[str, Any]) -> QueryParameter:
    where, name = _check_parameter(query, parameter, hints)
    described = describe_type(hints[name], where="state", path=where)
    required = parameter.default is Parameter.empty
    default = None if required else parameter.default
    if not required:
        try:
            compile_check(described, where)(default)
        except ValueOutOfBounds as error:
            raise DeclarationError(where, f"its default is not of its type: {error}") from None
    wire_name, check = to_camel_case(name), compile_check(described, name)

    def write(value: Any) -> Any:
        check(value)
        return to_json_value(described, value)

    return QueryParameter(
        name, wire_name, hints[name], described, compile_json_reader(described, wire_name), write, required, default
    )


def _check_parameter(query: str, parameter: Parameter, hints: dict[str, Any]) -> tuple[str, str]:
    """Where a parameter is, and its name."""
    where, name = f"{query}({parameter.name})", parameter.name
    if parameter.kind is not Parameter.POSITIONAL_OR_KEYWORD:
        raise DeclarationError(where, "a query has plain parameters only: no *, **, / or keyword-only ones")
    if name not in hints:
        raise DeclarationError(where, "annotate it, as in `match: Uint64`")
    return where, name


def _describe_method_parameter(query: str, parameter: Parameter, hints: dict[str, Any]) -> QueryParameter:
    """A method's parameter may besides have any type that an answer may have: `Any` for plain JSON, `X | None`."""
    try:
        return _describe_parameter(query, parameter, hints)
    except DeclarationError:
        where, name = _check_parameter(query, parameter, hints)
    wire_name, required = to_camel_case(name), parameter.default is Parameter.empty
    try:
        form = compile_form(hints[name], wire_name)
    except RecursionError:
        raise DeclarationError(where, "contains itself") from None
    default = None if required else parameter.default
    return QueryParameter(name, wire_name, hints[name], None, form.read, form.write, required, default)


def name_namespace(name: str) -> str:
    """What the methods of an app of this name begin with, before the underscore: `token-sale` gives `tokenSale`.

    Raises `DeclarationError` for a name that is the node's own.
    """
    first, *rest = [word for word in _BETWEEN_WORDS.split(name) if word]
    namespace = first + "".join([word[0].upper() + word[1:] for word in rest])
    return check_namespace(namespace)


def load_reads(rollup: MicroRollup) -> Reads | None:
    """The queries of an app, their module imported now; None for an app without `reads`.

    Raises `DeclarationError` for what cannot be served, `UsageError` for a module that cannot be imported.
    """
    if rollup.reads is None:
        return None
    namespace = name_namespace(rollup.name)
    module = _import(rollup.reads)
    package = Package(rollup.state_type.cls.__module__, rollup.libraries)
    if not package.is_own(module.__name__):
        raise DeclarationError("reads", f"{module.__name__} is not in the package of the state class")
    package.hash_modules([module.__name__])
    indexes = _load_indexes(rollup, module, package)
    queries: dict[str, Query] = {}
    for function in _list_functions(module):
        if function.__name__ in indexes:
            continue
        query = describe_query(function)
        if query.state not in rollup.state_type.parts:
            raise DeclarationError(function.__qualname__, f"reads another state than {rollup.state_type.cls.__name__}")
        if query.name in queries:
            raise DeclarationError(function.__qualname__, f"another query is called {query.name} in JSON as well")
        queries[query.name] = query
    if not queries:
        raise DeclarationError("reads", f"{module.__name__} has no query: a function whose first parameter is a View")
    return Reads(namespace, rollup.state_type.parts, queries, indexes, package.trees)


def _load_indexes(rollup: MicroRollup, module: ModuleType, package: Package) -> dict[str, IndexType]:
    """The indexes that a module of queries defines, or imports from another one of the app's."""
    indexes: dict[str, IndexType] = {}
    for name, value in vars(module).items():
        if not isinstance(value, FunctionType) or name.startswith("_") or not package.is_own(value.__module__):
            continue
        if not is_index(value):
            continue
        index = describe_index(value, Package(rollup.state_type.cls.__module__, rollup.libraries))
        if index.state not in rollup.state_type.parts:
            raise DeclarationError(value.__qualname__, f"is of another state than {rollup.state_type.cls.__name__}")
        if indexes.setdefault(index.name, index).function is not value:
            raise DeclarationError(value.__qualname__, "two indexes have this name")
    if len(indexes) > MAX_INDEXES:
        raise DeclarationError("reads", f"an app has at most {MAX_INDEXES} indexes, not {len(indexes)}")
    return indexes


def load_methods(rollup: MicroRollup, sets: Sequence[str] = ()) -> tuple[Methods, ...]:
    """The methods of an app's own, and those of its `method_sets` with these names; their modules are imported now.

    Raises `DeclarationError` for what cannot be served, `UsageError` for a module that cannot be imported, and for a
    set that the app does not have.
    """
    loaded = [] if rollup.methods is None else [_load_methods(name_namespace(rollup.name), rollup.methods, "methods")]
    for name in dict.fromkeys(sets):
        chosen = rollup.method_sets.get(name)
        if chosen is None:
            known = ", ".join(rollup.method_sets) or "none"
            raise UsageError(f"{rollup.name} has no set of methods called {name!r}; it has {known}")
        loaded.append(_load_methods(chosen.namespace, chosen.module, f"method_sets[{name!r}]"))
    return tuple(loaded)


def require_distinct(reads: Reads | None, methods: Sequence[Methods]) -> None:
    """Raises `DeclarationError` if two queries or methods of an app have one name or one HTTP path."""
    holders: dict[str, str] = {}
    if reads is not None:
        holders = {f"{reads.namespace}_{name}": "a query" for name in reads.queries}
    _check_routes([route for each in methods for method in each.methods.values() for route in method.routes])
    for each in methods:
        for name, method in each.methods.items():
            full = f"{each.namespace}_{name}"
            if full in holders:
                where = f"{method.function.__module__}.{method.function.__qualname__}"
                raise DeclarationError(where, f"{holders[full]} of the app is called {full} as well")
            holders[full] = f"a method in {method.function.__module__}"


def _load_methods(namespace: str, name: str, argument: str) -> Methods:
    module = _import(name)
    methods: dict[str, Query] = {}
    for function in _list_functions(module):
        method = describe_method(function)
        if method.name in methods:
            raise DeclarationError(function.__qualname__, f"another method is called {method.name} in JSON as well")
        methods[method.name] = method
    _check_routes([route for method in methods.values() for route in method.routes])
    if not methods:
        raise DeclarationError(argument, f"{module.__name__} has no function whose first parameter is a NodeView")
    return Methods(namespace, methods)


def _check_routes(routes: Sequence[HttpRoute]) -> None:
    shapes = [route.shape for route in routes]
    for shape in shapes:
        if shapes.count(shape) > 1:
            raise DeclarationError("methods", f"two routes are {' '.join(shape)}")


def _import(name: str) -> ModuleType:
    try:
        return sys.modules.get(name) or importlib.import_module(name)
    except Exception as error:
        raise UsageError(f"{name} cannot be imported: {type(error).__name__}: {error}") from error


def _list_functions(module: ModuleType) -> list[FunctionType]:
    """The functions that the module itself defines, in its order, but for those whose names begin with `_`."""
    return [
        value
        for name, value in vars(module).items()
        if isinstance(value, FunctionType) and value.__module__ == module.__name__ and not name.startswith("_")
    ]
