"""What a module could use although no hash covers it: names that reach other code, or text that counts for nothing.

The identity of an app is the syntax trees of the modules that its imports name. So code may not load more by other
means, and may not read what is left out of the trees: docstrings, line numbers, paths.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Final

from microrollup.declaration.sources import find_spec
from microrollup.errors import DeclarationError
from microrollup.guard.nodes import list_nodes

__all__ = ["check_names", "find_attribute_modules"]

_LOADERS: Final = frozenset({"__import__", "compile", "eval", "exec", "open"})
"""Builtins that load code or text from outside the tree; a module may define such a name itself."""

_LEFT_OUT: Final = frozenset(
    {
        "__builtins__", "__cached__", "__code__", "__doc__", "__file__", "__globals__", "__loader__", "__package__",
        "__path__", "__spec__",
    }
)  # fmt: skip
"""Attributes whose values the tree does not hold, or that lead outside it."""


def check_names(tree: ast.Module, module: str) -> None:
    """Raise `DeclarationError` with the line for a name that reaches what the tree does not hold."""
    used: list[tuple[int, str]] = []
    bound: set[str] = set()
    for node in list_nodes(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Load()):
                used.append((node.lineno, name))
            case ast.Name(id=name) | ast.FunctionDef(name=name) | ast.ClassDef(name=name) | ast.arg(arg=name):
                bound.add(name)
            case ast.Attribute(attr=name) if name in _LEFT_OUT:
                raise DeclarationError(f"{module}:{node.lineno}", f"uses {name}, which the code's id does not cover")
    for line, name in used:
        if name in _LEFT_OUT or (name in _LOADERS and name not in bound):
            raise DeclarationError(
                f"{module}:{line}",
                f"uses {name}, which reaches what the code's id does not cover; import it, or write it out",
            )


def find_attribute_modules(tree: ast.Module, bindings: dict[str, str]) -> Iterator[tuple[int, str]]:
    """Line and name of every module that is reached as an attribute of an imported one, as `fees` in `rules.fees`.

    `bindings` maps the names that import statements bind to the modules they stand for.
    """
    for node in list_nodes(tree):
        names: list[str] = []
        value: ast.AST = node
        while isinstance(value, ast.Attribute):
            names.append(value.attr)
            value = value.value
        if not names or not isinstance(value, ast.Name) or value.id not in bindings:
            continue
        module = bindings[value.id]
        for name in reversed(names):
            following = resolve_attribute(module, name)
            if following is None:
                break
            module = following
            yield value.lineno, module


def resolve_attribute(module: str, name: str) -> str | None:
    """The module that an attribute of a module is: a submodule, or one that it imports. None for other values."""
    inner = f"{module}.{name}"
    if find_spec(inner) is not None:
        return inner
    value = getattr(sys.modules.get(module), name, None)
    return value.__name__ if isinstance(value, ModuleType) else None
