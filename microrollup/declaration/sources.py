"""The source of a module, as the interpreter that runs it read it."""

from __future__ import annotations

import importlib.util
import io
import sys
import tokenize
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path

from microrollup.errors import DeclarationError

__all__ = ["check_bytecode", "find_spec", "read_source"]

_ENCODINGS = frozenset({"utf-8", "utf-8-sig"})


def find_spec(name: str) -> ModuleSpec | None:
    """Where a module comes from; None if there is no module of this name."""
    module = sys.modules.get(name)
    if module is not None and module.__spec__ is not None:
        return module.__spec__
    if module is not None and getattr(module, "__file__", None):  # run as a script: `__main__` has no spec
        return importlib.util.spec_from_file_location(name, str(module.__file__))
    try:
        return importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return None


def read_source(module: str, spec: ModuleSpec | None) -> str:
    """The text of a module without its byte order mark, lines ended by LF.

    Raises `DeclarationError` if there is no source file, or it declares an encoding other than UTF-8: that comment
    would decide what the program is.
    """
    if spec is None or spec.origin is None or not spec.has_location:
        raise DeclarationError(module, "the module has no source file; put the rollup in a .py file")
    try:
        raw = Path(spec.origin).read_bytes()
        encoding, _ = tokenize.detect_encoding(io.BytesIO(raw).readline)
        if encoding not in _ENCODINGS:
            raise DeclarationError(module, f"its source is declared as {encoding}; write it in UTF-8")
        return io.IncrementalNewlineDecoder(None, translate=True).decode(raw.decode(encoding), final=True)
    except (OSError, UnicodeDecodeError, SyntaxError) as error:
        raise DeclarationError(module, f"its source cannot be read: {error}") from error


def check_bytecode(module: str, spec: ModuleSpec | None) -> None:
    """Raise `DeclarationError` if Python would run other bytecode than that of the module's source.

    Python tells a stale cache by time (whole seconds) and size alone, so an edit of equal length within the second goes
    unnoticed: the old code would run under the id of the new.
    """
    if spec is None or spec.origin is None or type(spec.loader) is not SourceFileLoader:
        return  # an import hook's compilation, as a test runner's, has no cache to compare with
    loader = spec.loader
    if loader.get_code(loader.name) != loader.source_to_code(loader.get_data(spec.origin), spec.origin):
        raise DeclarationError(module, "its cached bytecode is not that of its source; remove __pycache__ beside it")
