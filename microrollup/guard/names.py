"""Which names an app's code may use: builtins, and what it may import. Everything else is refused."""

from __future__ import annotations

from typing import Final

__all__ = ["BUILTINS", "INSTEAD", "LIMIT_ERRORS", "REFUSED_METHODS", "is_importable"]

BUILTINS: Final = frozenset(
    {
        "abs", "all", "any", "bin", "bool", "bytes", "chr", "dict", "divmod", "enumerate", "filter", "hex", "int",
        "isinstance", "issubclass", "len", "list", "map", "max", "min", "next", "oct", "ord", "pow", "range", "repr",
        "reversed", "sorted", "str", "sum", "tuple", "type", "zip", "None", "True", "False", "NotImplemented",
        "Ellipsis", "AssertionError", "ArithmeticError", "AttributeError", "Exception", "IndexError", "KeyError",
        "LookupError", "OverflowError", "StopIteration", "TypeError", "ValueError", "ZeroDivisionError",
        "UnicodeDecodeError", "UnicodeEncodeError", "UnicodeError", "NotImplementedError", "__name__",
    }
)  # fmt: skip

LIMIT_ERRORS: Final = frozenset(
    {"BaseException", "Exception", "MemoryError", "RecursionError", "RuntimeError", "SystemExit"}
)
"""A handler of these would take a limit for an outcome."""

INSTEAD: Final = {
    "__import__": "import at module level",
    "bytearray": "build a list of bytes and join them",
    "compile": "write the code out",
    "eval": "write the code out",
    "exec": "write the code out",
    "float": "count in the smallest unit, as an integer",
    "format": "use an f-string",
    "frozenset": "use a tuple, a dict with None as values, or a Map; `x in (A, B)` for constants",
    "getattr": "write value.name",
    "globals": "name what you need",
    "hash": "use keccak256",
    "hasattr": "give the class a member that says so",
    "id": "compare with `is`, or by a number of your own",
    "input": "take it as a member of the action",
    "iter": "write a loop",
    "locals": "name what you need",
    "memoryview": "use bytes and slices",
    "open": "put data into a .py literal",
    "print": "emit an event",
    "property": "write a function or a method",
    "round": "use // with a remainder of your choice",
    "set": "use a tuple, a dict with None as values, or a Map; `x in (A, B)` for constants",
    "setattr": "values do not change; use replace(value, name=...)",
    "super": "write the method out",
    "vars": "write value.name",
}
"""For names that are refused: what to write."""

REFUSED_METHODS: Final = frozenset(
    {
        "add_note",
        "casefold",
        "expandtabs",
        "format",
        "format_map",
        "maketrans",
        "mro",
        "send",
        "splitlines",
        "swapcase",
        "throw",
        "translate",
        "with_traceback",
    }
)

_ANY: Final[frozenset[str]] = frozenset()
_MODULES: Final[dict[str, frozenset[str]]] = {
    "__future__": _ANY,
    "collections.abc": _ANY,
    "functools": frozenset({"reduce"}),
    "math": frozenset({"gcd", "isqrt"}),
    "microrollup": _ANY,
    "msgspec": frozenset({"Struct", "field"}),
    "msgspec.structs": frozenset({"replace"}),
    "typing": _ANY,
}
"""Module -> the names in it that may be imported; none listed means all."""

_FRAMEWORK: Final = ("microrollup.codec.", "microrollup.crypto.", "microrollup.declaration.", "microrollup.primitives.")


def is_importable(module: str, name: str | None) -> bool:
    """Whether `from module import name` is allowed; without a name, whether any name of the module is."""
    if f"{module}.".startswith(_FRAMEWORK):
        return True
    allowed = _MODULES.get(module)
    return allowed is not None and (not allowed or name is None or name in allowed)
