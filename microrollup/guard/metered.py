"""The metered form of all functions of an app, bound to one meter."""

from __future__ import annotations

import ast
import builtins
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import wraps
from types import BuiltinMethodType, FunctionType, GeneratorType, MethodType, ModuleType
from typing import Any, Final

import msgspec

from microrollup.guard.functions import Functions
from microrollup.guard.instrument import instrument
from microrollup.guard.methods import make_methods
from microrollup.guard.operators import Operators
from microrollup.guard.steps import Meter
from microrollup.guard.walking import SEQUENCES, Walker

__all__ = ["MeteredCode", "find_functions"]

_Found = tuple[str, FunctionType, ast.FunctionDef]

FOREIGN_STEPS: Final = 100
"""What a call of a function costs that the guard does not know: one of a declared library."""


class MeteredCode:
    """The functions of an app's modules once more, so that they count their steps on `meter`.

    What the guard cannot know is added before `build`: `kinds` for operators, `methods` and `functions` for calls,
    `walker` for iteration and comparison.
    """

    def __init__(self) -> None:
        self.meter = Meter()
        self.walker = Walker(self.meter)
        self._operators = Operators(self.meter, self.walker)
        self.kinds = self._operators.kinds
        parts = Functions(self.meter, self.walker, self._operators, self.call)
        self.functions: dict[Any, Callable[..., Any]] = parts.make_table()
        """A plain function -> what metered code calls instead; the function itself where that costs nothing."""
        self.methods, self._class_methods = make_methods(self.meter, self.walker, parts)
        self._forms: dict[FunctionType, FunctionType] = {}
        self._namespaces: list[dict[str, Any]] = []
        self._helpers: dict[str, Any] = self._operators.make_names() | {
            "$call": self.call, "$method": self.call_method, "$each": self.walker.each, "$take": self._take,
            "$tick": self.meter.charge, "$enter": self.meter.enter, "$leave": self.meter.leave,
            "$generator": self._make_generator, "$show": parts.texts.show, "$join": parts.texts.join,
            "$spread": self._spread, "$key": self._key,
        }  # fmt: skip

    def build(self, trees: Mapping[str, ast.Module]) -> None:
        """Make the metered form of every function and method in the trees, module name -> tree, of loaded modules."""
        modules = [(sys.modules[module], find_functions(sys.modules[module], tree)) for module, tree in trees.items()]
        own = frozenset(plain for _, found in modules for _, plain, _ in found)
        for module, found in modules:
            self._build_module(module, found, own)
        for namespace in self._namespaces:
            for name, value in namespace.items():
                if isinstance(value, FunctionType) and value in self._forms:
                    namespace[name] = self._forms[value]

    def find(self, function: Callable[..., Any]) -> Callable[..., Any] | None:
        """The metered form of an app's function; None if it is not one of `build`'s."""
        return self._forms.get(function) if isinstance(function, FunctionType) else None

    def _build_module(self, module: ModuleType, found: list[_Found], own: frozenset[FunctionType]) -> None:
        namespace = dict(vars(module)) | self._helpers
        self._namespaces.append(namespace)
        resolve = self._make_resolver(vars(module), namespace, own)
        body: list[ast.stmt] = [instrument(node, f"$f.{name}", resolve) for name, _, node in found]
        code = compile(ast.Module(body, []), module.__name__, "exec", dont_inherit=True, optimize=0)
        exec(code, namespace)  # the app's own code, which its import has executed before
        for name, plain, _ in found:
            form = namespace.pop(f"$f.{name}")
            form.__defaults__, form.__kwdefaults__ = plain.__defaults__, plain.__kwdefaults__
            self._forms[plain] = form

    def _make_resolver(
        self, plain_names: Mapping[str, Any], namespace: dict[str, Any], own: frozenset[FunctionType]
    ) -> Callable[[str], str | None]:
        """How a call of a module's name is written."""

        def resolve(name: str) -> str | None:
            value = plain_names.get(name, getattr(builtins, name, None))
            if isinstance(value, FunctionType) and value in own:
                return name  # replaced by its metered form in the namespace
            if isinstance(value, type) and issubclass(value, (msgspec.Struct, BaseException)):
                return name
            try:
                helper = self.functions.get(value)
            except TypeError:
                return None
            if helper is None or helper is value:
                return None if helper is None else name
            namespace[f"$h.{name}"] = helper
            return f"$h.{name}"

        return resolve

    # What metered code calls

    def call(self, function: Any, *arguments: Any, **named: Any) -> Any:
        """Call a value: a function of the app, a class, or what `functions` knows."""
        meter = self.meter
        meter.charge()
        if isinstance(function, FunctionType):
            form = self._forms.get(function, function)
            if form is not function or any(form.__globals__ is each for each in self._namespaces):
                meter.enter()
                try:
                    return form(*arguments, **named)
                finally:
                    meter.leave()
        if isinstance(function, (MethodType, BuiltinMethodType)) and not isinstance(function.__self__, ModuleType):
            return self.call_method(function.__self__, function.__name__, *arguments, **named)
        try:
            known = self.functions.get(function)
        except TypeError:
            known = None
        if known is not None:
            return known(*arguments, **named)
        if isinstance(function, type) and issubclass(function, (msgspec.Struct, BaseException)):
            return function(*arguments, **named)
        if getattr(function, "__module__", None) in (None, "builtins"):
            raise TypeError(f"{function!r} is not called in a state transition function")
        meter.charge(FOREIGN_STEPS)
        return function(*arguments, **named)

    def call_method(self, value: Any, name: str, /, *arguments: Any, **named: Any) -> Any:
        """`value.name(...)`."""
        method = self.methods.get((type(value), name))
        if method is not None:
            return method(value, *arguments, **named)
        if isinstance(value, type):
            method = self._class_methods.get((value, name))
            if method is not None:
                return method(value, *arguments, **named)
            unbound = self.methods.get((value, name))
            if unbound is not None:
                return unbound(*arguments, **named)
        elif type(value) in SEQUENCES or type(value) in (int, bool, GeneratorType):
            self.meter.charge()
            raise TypeError(f"{type(value).__name__}.{name} is not called in a state transition function")
        else:
            plain = getattr(type(value), name, None)
            if isinstance(plain, FunctionType) and not isinstance(value, ModuleType):
                return self.call(plain, value, *arguments, **named)
        bound = getattr(value, name)
        if isinstance(bound, MethodType):
            return self.call(bound.__func__, bound.__self__, *arguments, **named)
        if isinstance(bound, BuiltinMethodType) and not isinstance(bound.__self__, ModuleType):
            self.meter.charge()
            raise TypeError(f"{type(value).__name__}.{name} is not called in a state transition function")
        return self.call(bound, *arguments, **named)

    def _take(self, values: Any) -> Any:
        return self.walker.take(values)

    def _spread(self, values: Any) -> Any:
        self.meter.charge(1 + len(values))
        return values

    def _key(self, key: Any) -> Any:
        self.walker.charge_hash(key)
        return key

    def _make_generator(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """A generator function whose body is one level deeper each time it goes on."""
        meter = self.meter

        @wraps(function)
        def start(*arguments: Any, **named: Any) -> Iterator[Any]:
            inner = function(*arguments, **named)
            while True:
                meter.enter()
                try:
                    value = next(inner)
                except StopIteration:
                    return
                finally:
                    meter.leave()
                yield value

        return start


def find_functions(module: ModuleType, tree: ast.Module) -> list[_Found]:
    """The functions and methods that a module's tree defines and the module holds, with their nodes."""
    found: list[_Found] = []
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            found += _match("", vars(module), [node])
        elif isinstance(node, ast.ClassDef) and isinstance(owner := vars(module).get(node.name), type):
            methods = [each for each in node.body if isinstance(each, ast.FunctionDef)]
            found += _match(f"{node.name}.", vars(owner), methods)
    return found


def _match(prefix: str, owner: Mapping[str, Any], nodes: list[ast.FunctionDef]) -> list[_Found]:
    last = {node.name: node for node in nodes}
    return [
        (f"{prefix}{name}", plain, node)
        for name, node in last.items()
        if isinstance(plain := owner.get(name), FunctionType)
    ]
