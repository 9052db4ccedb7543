"""What an app's modules hold once they are loaded: values that can change, and functions whose steps nothing counts.

The lint reads what is written; this looks at what has come of it, wherever it stands: in a class, a default, a tuple.
"""

from __future__ import annotations

import ast
import sys
from collections import deque
from collections.abc import Iterator, Mapping
from types import FunctionType, ModuleType
from typing import Any, Final

import msgspec

from microrollup.guard.lint import LintFinding, list_local
from microrollup.guard.metered import find_functions
from microrollup.guard.nodes import list_nodes

__all__ = ["inspect_modules"]

_CHANGING: Final = (list, dict, set, bytearray, memoryview, deque, Iterator)
_WRITE_VALUE: Final = "write a tuple, or keep it in the state"
_WRITE_FUNCTION: Final = "write `def` at the level of its module, or of a class there"
_Function = ast.FunctionDef | ast.Lambda


def inspect_modules(trees: Mapping[str, ast.Module]) -> list[LintFinding]:
    """All findings (`mutable`, `function`) in the modules of the trees, module name -> tree, which are loaded."""
    modules = {name: sys.modules[name] for name in trees}
    counted = {plain for name, tree in trees.items() for _, plain, _ in find_functions(modules[name], tree)}
    found: set[LintFinding] = set()
    for name, tree in trees.items():
        found.update(_Inspection(modules[name], tree, modules, counted).find())
    return sorted(found)


class _Inspection:
    def __init__(
        self, module: ModuleType, tree: ast.Module, modules: Mapping[str, ModuleType], counted: set[FunctionType]
    ) -> None:
        self._module = module
        self._tree = tree
        self._own = {id(vars(each)) for each in modules.values()}
        self._modules = frozenset(modules.values())
        self._counted = counted

    def find(self) -> Iterator[LintFinding]:
        yield from self._check_used()
        for node in self._tree.body:
            for name in _list_bound(node):
                value = vars(self._module).get(name)
                yield from self._check_functions(node, name, value)
                yield from self._check_class(node, name, value)
        for name, plain, node in find_functions(self._module, self._tree):
            for default in plain.__defaults__ or ():
                yield from self._check_functions(node, name, default)
                if _changes(default):
                    yield self._say(node, "mutable", f"{name} has a default that can change", "write a tuple, or None")

    def _say(self, node: ast.AST, rule: str, what: str, instead: str) -> LintFinding:
        return LintFinding(self._module.__name__, getattr(node, "lineno", 1), rule, what, instead)

    def _check_used(self) -> Iterator[LintFinding]:
        """What functions name: of their module, of another one, of an app's module by its attribute."""
        for function in list_nodes(self._tree):
            if not isinstance(function, _Function):
                continue
            local = list_local(function)
            for node in list_nodes(function):
                name, value = self._find_used(node)
                if name and name.partition(".")[0] not in local and _changes(value):
                    yield self._say(node, "mutable", f"uses {name}", _WRITE_VALUE)

    def _find_used(self, node: ast.AST) -> tuple[str, object]:
        """A name of the module, and its value."""
        match node:
            case ast.Name(id=name, ctx=ast.Load()):
                return name, vars(self._module).get(name)
            case ast.Attribute(value=ast.Name(id=name), attr=attribute):
                holder = vars(self._module).get(name)
                if isinstance(holder, ModuleType) and holder in self._modules:
                    return f"{name}.{attribute}", vars(holder).get(attribute)
        return "", None

    def _check_functions(self, node: ast.AST, name: str, value: object) -> Iterator[LintFinding]:
        for each in _list_parts(value):
            if isinstance(each, FunctionType) and id(each.__globals__) in self._own and each not in self._counted:
                yield self._say(node, "function", f"{name} holds a function that is made elsewhere", _WRITE_FUNCTION)

    def _check_class(self, node: ast.AST, name: str, value: object) -> Iterator[LintFinding]:
        """The members of a class that the module defines, and of the classes in it; the defaults of a Struct's."""
        if not isinstance(value, type) or value.__module__ != self._module.__name__:
            return
        members: list[tuple[str, object]] = [
            (member, each)
            for member, each in vars(value).items()
            if not (member.startswith("__") and member.endswith("__"))
        ]
        if issubclass(value, msgspec.Struct):
            defaults = value.__struct_defaults__
            fields = value.__struct_fields__[len(value.__struct_fields__) - len(defaults) :]
            members = [each for each in members if isinstance(each[1], (FunctionType, type))]
            members += zip(fields, defaults, strict=True)
        for member, each in members:
            where = f"{name}.{member}"
            yield from self._check_class(node, where, each)
            if isinstance(getattr(each, "factory", None), FunctionType):
                yield self._say(node, "function", f"{where} has a default_factory", "write the default out")
            yield from self._check_functions(node, where, each)
            if _changes(each) and not (member == "_field_defaults" and issubclass(value, tuple)):
                yield self._say(node, "mutable", f"{where} can change", _WRITE_VALUE)


def _list_bound(node: ast.stmt) -> list[str]:
    """Names that a statement of a module binds."""
    if isinstance(node, (ast.ClassDef, ast.FunctionDef)):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    names = [each for target in targets if target is not None for each in list_nodes(target)]
    names += [each.target for each in list_nodes(node) if isinstance(each, ast.NamedExpr)]
    return [each.id for each in names if isinstance(each, ast.Name)]


def _changes(value: object) -> bool:
    return any(isinstance(each, _CHANGING) for each in _list_parts(value))


def _list_parts(value: Any) -> Iterator[object]:
    """A value, and all that the containers and Structs in it hold."""
    pending, seen = [value], set[int]()
    while pending:
        each = pending.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        if isinstance(each, (tuple, list, set, frozenset, deque)):
            pending += each
        elif isinstance(each, dict):
            pending += [*each, *each.values()]
        elif isinstance(each, msgspec.Struct):
            pending += [getattr(each, name, None) for name in each.__struct_fields__]
