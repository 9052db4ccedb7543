"""The modules that a rollup's outcomes depend on, by name: its own package's, as far as imports reach them.

What counts is decided by names and never by places, so that a wheel, an editable install and a checkout give one id.
The *root* is the first part of the state class's module name. Its modules are the app's own code; `microrollup`, a
fixed list of standard modules and the declared `libraries` are foreign, and any other import is refused. An app of
top-level modules has no package: there every module in the same directory is its own.

Module names are written relative to the state class's module, as in a relative import: that module is `.`, one beside
it `.name`, one in the parent package `..name`. So an app keeps its id when it is moved whole.
"""

from __future__ import annotations

import ast
import os
from collections.abc import Collection, Iterable, Iterator
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Final

from microrollup.declaration.sources import check_bytecode, find_spec, read_source
from microrollup.declaration.syntax import compute_tree_hash, parse_module
from microrollup.declaration.unseen import check_names, find_attribute_modules, resolve_attribute
from microrollup.errors import DeclarationError
from microrollup.guard.nodes import list_nodes

__all__ = ["STANDARD_MODULES", "Package"]

STANDARD_MODULES: Final = frozenset(
    {
        "__future__", "abc", "bisect", "collections", "collections.abc", "dataclasses", "enum", "functools", "hashlib",
        "heapq", "itertools", "math", "operator", "types", "typing",
    }
)  # fmt: skip
"""Standard modules that an app may import, under the rules in force."""

_ADVICE: Final = {
    "time": "take the time from ctx.timestamp",
    "datetime": "take the time from ctx.timestamp, in seconds",
    "random": "it has no randomness: commit and reveal, or take an oracle's action",
    "secrets": "it has no randomness: commit and reveal, or take an oracle's action",
    "hashlib": "use keccak256 from microrollup.crypto.keccak",
}
"""What to do in place of the imports that are tried most."""

_STANDARD_DIRECTORY: Final = str(Path(os.__file__).parent) + os.sep

_FRAMEWORK: Final = frozenset({"microrollup", "msgspec"})


class Package:
    """The modules of one app."""

    def __init__(self, state_module: str, libraries: Iterable[str] = ()) -> None:
        """`state_module` holds the state class; `libraries` are top-level names of foreign packages."""
        self.state_module = state_module
        self._foreign = _FRAMEWORK | frozenset(libraries)
        spec = find_spec(state_module)
        is_package = spec is not None and spec.submodule_search_locations is not None
        parent, _, _ = state_module.rpartition(".")
        self._base = (state_module if is_package else parent).split(".") if is_package or parent else []
        self._root = state_module.partition(".")[0] if self._base else ""
        parts = state_module.split(".")
        self._parents = {".".join(parts[:count]) for count in range(1, len(parts))}
        self._directory = _get_directory(spec)
        self.trees: dict[str, ast.Module] = {}
        """The trees of the modules that `hash_modules` has found, by the modules' names."""

    def is_own(self, module: str) -> bool:
        """Whether a module is the app's: in its root package, or beside its top-level module."""
        if self._root:
            return module == self._root or module.startswith(f"{self._root}.")
        return module.partition(".")[0] == self.state_module or (
            not self._is_foreign(module)
            and self._directory is not None
            and _get_directory(find_spec(module.partition(".")[0])) == self._directory
        )

    def make_relative(self, module: str) -> str:
        """The name by which a module counts: `.` for the state class's, others as in a relative import."""
        if module == self.state_module:
            return "."
        parts = module.split(".")
        common = 0
        while common < min(len(parts), len(self._base)) and parts[common] == self._base[common]:
            common += 1
        return "." * (len(self._base) - common + 1) + ".".join(parts[common:])

    def hash_modules(self, roots: Iterable[str], counted: Collection[str] = ()) -> dict[str, tuple[str, bytes]]:
        """Relative name -> (module, 32-byte hash of its syntax tree), sorted, for all that imports reach from `roots`.

        `counted` are modules that count elsewhere: in the version before. They count here as roots only.

        Raises `DeclarationError` for code without a source file, and for an import that is neither own nor foreign, or
        is not at module level.
        """
        found: dict[str, tuple[str, bytes]] = {}
        pending = sorted(set(roots))
        seen = set(counted).difference(pending)
        while pending:
            module = pending.pop()
            if module in seen:
                continue
            seen.add(module)
            spec = find_spec(module)
            if spec is not None and spec.origin is None and spec.submodule_search_locations is not None:
                continue  # a namespace package holds no code
            tree = parse_module(read_source(module, spec), module)
            if module in self._parents:
                _check_parent(tree, module)
                continue
            check_bytecode(module, spec)
            found[self.make_relative(module)] = (module, compute_tree_hash(tree, module))
            self.trees[module] = tree
            check_names(tree, module)
            pending.extend(sorted(self._list_imports(tree, module)))
        for parent in sorted(self._parents - seen):
            if (spec := find_spec(parent)) is not None and spec.origin is not None:
                _check_parent(parse_module(read_source(parent, spec), parent), parent)
        return dict(sorted(found.items()))

    def _is_foreign(self, module: str) -> bool:
        return module in STANDARD_MODULES or module.partition(".")[0] in self._foreign

    def _list_imports(self, tree: ast.Module, module: str) -> set[str]:
        """The app's own modules that a module imports, and the packages around them."""
        spec = find_spec(module)
        is_package = spec is not None and spec.submodule_search_locations is not None
        package = module if is_package else module.rpartition(".")[0]
        reached: set[str] = set()
        bindings: dict[str, str] = {}
        for node in _iterate_imports(tree, module):
            for name, local, stands_for in self._resolve(node, package, module):
                if self.is_own(name):
                    reached.add(name)
                if stands_for is not None:
                    bindings[local] = stands_for
        for line, name in find_attribute_modules(tree, bindings):
            where = f"{module}:{line}"
            self._check_target(name, where)
            if self.is_own(name):
                reached.add(self._require_module(name, where))
        around = {".".join(name.split(".")[:count]) for name in reached for count in range(1, name.count(".") + 2)}
        return around - self._parents

    def _resolve(
        self, node: ast.Import | ast.ImportFrom, package: str, module: str
    ) -> Iterator[tuple[str, str, str | None]]:
        """Of each name that a statement binds: the module it needs, the name, and the module it stands for, if any.

        Raises `DeclarationError`.
        """
        where = f"{module}:{node.lineno}"
        if isinstance(node, ast.Import):
            for alias in node.names:
                self._check_target(alias.name, where)
                top = alias.name.partition(".")[0]
                if alias.asname is None and alias.name != top and top in self._parents:
                    raise DeclarationError(where, f"binds {top} too; write `import {alias.name} as ...`, or `from`")
                if self.is_own(alias.name):
                    self._require_module(alias.name, where)
                yield alias.name, alias.asname or top, alias.name if alias.asname else top
            return
        base = node.module or ""
        if node.level:
            parents = package.split(".")[: len(package.split(".")) - node.level + 1]
            base = ".".join([*parents, base] if base else parents)
        self._check_target(base, where)
        for alias in node.names:
            if alias.name == "*":
                spec = find_spec(base)
                if self.is_own(base) and spec is not None and spec.submodule_search_locations is not None:
                    raise DeclarationError(where, f"imports * from the package {base}; name what it imports")
                yield self._require_module(base, where) if self.is_own(base) else base, "*", None
                continue
            inner = resolve_attribute(base, alias.name)
            if inner is not None:
                self._check_target(inner, where)
            needed = inner if inner is not None and inner.startswith(f"{base}.") else base
            yield self._require_module(needed, where), alias.asname or alias.name, inner

    def _check_target(self, module: str, where: str) -> None:
        """Raise `DeclarationError` for a module that is neither the app's nor foreign by declaration."""
        if self.is_own(module):
            return
        if not self._is_foreign(module):
            root = module.partition(".")[0]
            raise DeclarationError(
                where,
                f"imports {module}, which is not this app's and not one of the standard modules that an app may use; "
                + _ADVICE.get(root, f"if its results are the same on every machine, declare libraries=[{root!r}]"),
            )
        spec = find_spec(module) if module in STANDARD_MODULES else None
        if spec is not None and spec.has_location and not str(spec.origin).startswith(_STANDARD_DIRECTORY):
            raise DeclarationError(where, f"{spec.origin} shadows the standard module {module}; rename it")

    def _require_module(self, module: str, where: str) -> str:
        if module in self._parents:
            raise DeclarationError(where, f"imports from {module}/__init__.py; import from the module that defines it")
        return module


def _iterate_imports(tree: ast.Module, module: str) -> Iterator[ast.Import | ast.ImportFrom]:
    """The import statements at module level, under `if TYPE_CHECKING` too. Raises `DeclarationError` for any other."""
    allowed = [node for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))]
    for statement in tree.body:
        if isinstance(statement, ast.If) and ast.unparse(statement.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            allowed += [node for node in statement.body if isinstance(node, (ast.Import, ast.ImportFrom))]
    known = set(map(id, allowed))
    for node in list_nodes(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)) and id(node) not in known:
            raise DeclarationError(f"{module}:{node.lineno}", "an import must be at module level, under no condition")
    yield from allowed


def _check_parent(tree: ast.Module, module: str) -> None:
    """A parent package's `__init__` is not hashed, so it may decide nothing: docstring, imports, `__all__`, `app`."""
    for node in tree.body:
        match node:
            case ast.Import() | ast.ImportFrom() | ast.Expr(value=ast.Constant(value=str())):
                continue
            case ast.Assign(targets=[ast.Name(id="__all__")]):
                continue
            case ast.Assign(targets=[ast.Name()], value=ast.Call(func=ast.Name(id="MicroRollup"))):
                continue
        raise DeclarationError(
            f"{module}:{node.lineno}",
            "an app's parent package holds a docstring, imports, `__all__` and `app = MicroRollup(...)`; move the rest "
            "into a module of its own",
        )


def _get_directory(spec: ModuleSpec | None) -> Path | None:
    """The directory in which a top-level module or package stands."""
    if spec is None or spec.origin is None or not spec.has_location:
        return None
    path = Path(spec.origin).resolve()
    return path.parent.parent if spec.submodule_search_locations is not None else path.parent
