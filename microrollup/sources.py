"""The source code that a rollup's outcome depends on: its modules and what they import within their own package."""

from __future__ import annotations

import ast
import importlib.util
import sys
from collections.abc import Iterable, Iterator
from importlib.machinery import ModuleSpec
from pathlib import Path

from microrollup.errors import DeclarationError

__all__ = ["collect_sources"]


def collect_sources(modules: Iterable[str]) -> dict[str, str]:
    """Source text (line endings normalised to LF) by module name, sorted: the given modules and all that they import,
    directly or not, within their own package.

    Raises `DeclarationError` for code without a source file, as typed at a prompt: a verifier could not compare it.
    """
    sources: dict[str, str] = {}
    pending = sorted(set(modules))
    while pending:
        name = pending.pop()
        if name in sources:
            continue
        spec = _find_spec(name)
        if spec is None or spec.origin is None:
            raise DeclarationError(name, "the module has no source file; put the rollup in a .py file")
        try:
            sources[name] = Path(spec.origin).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise DeclarationError(name, f"its source cannot be read: {error}") from error
        package = name if spec.submodule_search_locations is not None else name.rpartition(".")[0]
        if package:
            pending.extend(
                imported
                for imported in _imported_names(ast.parse(sources[name]), package)
                if _is_within(imported, package) and imported not in sources and _find_spec(imported) is not None
            )
    return dict(sorted(sources.items()))


def _find_spec(name: str) -> ModuleSpec | None:
    module = sys.modules.get(name)
    if module is not None and module.__spec__ is not None:
        return module.__spec__
    if module is not None and getattr(module, "__file__", None):  # run as a script: `__main__` has no spec
        return importlib.util.spec_from_file_location(name, str(module.__file__))
    try:
        return importlib.util.find_spec(name)
    except (ModuleNotFoundError, ValueError):
        return None


def _is_within(name: str, package: str) -> bool:
    return name == package or name.startswith(package + ".")


def _imported_names(tree: ast.Module, package: str) -> Iterator[str]:
    """Every dotted name that an import statement may stand for: the module, and each `from` name as a submodule."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*parents, base] if base else parents)
            if base:
                yield base
                yield from (f"{base}.{alias.name}" for alias in node.names)
