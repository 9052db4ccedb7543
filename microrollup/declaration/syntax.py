"""One hash per source file that comments, formatting, docstrings and the Python minor version do not change.

A module is parsed as CPython 3.11 grammar and its syntax tree is written as canonical msgpack:

* a node is `[class, [[field, value] ...]]`, fields sorted by name;
* a constant is `[tag, value]`, tag `none`, `bool`, `int` (hexadecimal text), `float` (`float.hex`), `complex` (two of
  them), `str` (UTF-8 with surrogatepass), `bytes` or `ellipsis`;
* a field whose value is None or an empty list is left out, and so are `ctx`, `kind`, `type_comment` and `type_params`
  (which must be empty); None inside a list stays;
* inside f-strings empty constants are dropped and neighbouring ones joined, because minor versions split them
  differently;
* the first string statement of a module, class or function is left out.
"""

from __future__ import annotations

import ast
import io
import sys
import tokenize
from functools import cache
from typing import Any, Final

from microrollup.codec.canonical import encode_canonical
from microrollup.crypto.keccak import keccak256
from microrollup.errors import DeclarationError

__all__ = ["compute_tree_hash", "parse_module"]

_GRAMMAR: Final = (3, 11)
_LEFT_OUT: Final = frozenset({"ctx", "kind", "type_comment", "type_params"})
_DOCUMENTED: Final = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
_CONSTANTS: Final = (ast.Constant, ast.MatchSingleton)


def parse_module(source: str, name: str) -> ast.Module:
    """The syntax tree of a module's source text.

    Raises `DeclarationError` with the line if it is not a program of Python 3.11, so that every supported minor
    version reads the same program or none.
    """
    try:
        tree = ast.parse(source, name, feature_version=_GRAMMAR)
    except SyntaxError as error:
        raise DeclarationError(f"{name}:{error.lineno}", f"is not Python 3.11: {error.msg}") from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise DeclarationError(name, f"cannot be parsed: {error}") from None
    if sys.version_info >= (3, 12):
        _refuse_newer_format_strings(source, name)
    return tree


def compute_tree_hash(tree: ast.Module, name: str) -> bytes:
    """keccak256 (32 bytes) of the tree as this module writes it. Raises `DeclarationError` if it is nested too deep."""
    try:
        return keccak256(encode_canonical(_encode(tree, name)))
    except RecursionError:
        raise DeclarationError(name, "is nested too deep") from None


def _encode(value: Any, name: str) -> Any:
    if isinstance(value, ast.AST):
        return [type(value).__name__, _encode_fields(value, name)]
    if isinstance(value, list):
        return [_encode(item, name) for item in value]
    return value


def _encode_fields(node: ast.AST, name: str) -> list[list[Any]]:
    fields = []
    kind: Any = type(node)
    for field in _sort_fields(kind):
        value: Any = getattr(node, field, None)
        if field == "type_params" and value:
            raise DeclarationError(f"{name}:{getattr(node, 'lineno', '?')}", "type parameters are not Python 3.11")
        if field in _LEFT_OUT:
            continue
        if field == "value" and isinstance(node, _CONSTANTS):
            fields.append([field, _encode_constant(value)])
            continue
        if field == "body" and isinstance(node, _DOCUMENTED):
            value = _drop_docstring(value)
        elif field == "values" and isinstance(node, ast.JoinedStr):
            value = _join_constants(value)
        if value is not None and value != []:
            fields.append([field, _encode(value, name)])
    return fields


@cache
def _sort_fields(kind: type[ast.AST]) -> list[str]:
    return sorted(kind._fields)


def _encode_constant(value: Any) -> list[Any]:
    match value:
        case None:
            return ["none", None]
        case bool():
            return ["bool", value]
        case int():
            return ["int", hex(value)]
        case float():
            return ["float", value.hex()]
        case complex():
            return ["complex", [value.real.hex(), value.imag.hex()]]
        case str():
            return ["str", value.encode("utf-8", "surrogatepass")]
        case bytes():
            return ["bytes", value]
        case _:
            return ["ellipsis", None]


def _drop_docstring(body: list[ast.stmt]) -> list[ast.stmt]:
    match body:
        case [ast.Expr(value=ast.Constant(value=str())), *rest]:
            return rest
    return body


def _join_constants(values: list[ast.expr]) -> list[ast.expr]:
    joined: list[ast.expr] = []
    for value in values:
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            if not value.value:
                continue
            last = joined[-1].value if joined and isinstance(joined[-1], ast.Constant) else None
            if isinstance(last, str):
                joined[-1] = ast.Constant(value=last + value.value)
                continue
        joined.append(value)
    return joined


def _refuse_newer_format_strings(source: str, name: str) -> None:
    """What PEP 701 allows between the braces of an f-string and CPython 3.11 does not: a backslash, a comment, the
    quotes of the f-string itself, and a line break where it has single quotes.
    """
    start, end = (getattr(tokenize, name) for name in ("FSTRING_START", "FSTRING_END"))  # 3.11 does not have them
    lines = source.split("\n")  # as the tokenizer counts: a form feed ends no line
    quotes: list[str] = []
    depths: list[int] = []
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        inside = bool(depths) and depths[-1] > 0
        if token.type == end:
            quotes.pop()
            depths.pop()
        elif token.type == start:
            _check_quotes(token, quotes if inside else [], name)
            quotes.append(token.string.lstrip("rRfFbBuU"))
            depths.append(0)
        elif depths and token.type == tokenize.OP and token.string in "{}":
            depths[-1] += 1 if token.string == "{" else -1
        elif inside:
            line = lines[token.start[0] - 1] if token.start[0] <= len(lines) else ""
            is_break = token.type == tokenize.NL and len(quotes[-1]) == 1
            continued = line[token.end[1] :].strip() == "\\"
            if token.type == tokenize.COMMENT or "\\" in token.string or continued or is_break:
                raise DeclarationError(f"{name}:{token.start[0]}", "an f-string's braces hold what Python 3.11 refuses")
            if token.type == tokenize.STRING:
                _check_quotes(token, quotes, name)


def _check_quotes(token: tokenize.TokenInfo, outer: list[str], name: str) -> None:
    inner = token.string.lstrip("rRfFbBuU")
    if any(quote in inner for quote in outer):
        raise DeclarationError(
            f"{name}:{token.start[0]}", "an f-string holds its own quotes, which Python 3.11 refuses"
        )
