"""JSON text to plain objects, refusing what JSON readers disagree about.

Duplicate members, `-0`, exponents, unbounded numbers and depth: two readers that differ on one of them would see two
actions in one text.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final, NoReturn

from microrollup.errors import DuplicateMember, InvalidUtf8, NotJson, RefusedError, TooDeep
from microrollup.primitives import MAX_JSON_DEPTH

__all__ = ["MAX_INTEGER_DIGITS", "FloatText", "HugeInteger", "NegativeZero", "clip", "is_shallow", "parse_json"]

MAX_INTEGER_DIGITS: Final = 80
"""A uint256 has 78 decimal digits; longer text is out of range without being converted."""

_TOKENS: Final = re.compile(rb'"(?:[^"\\]|\\.)*"?|[\[\]{}]', re.DOTALL)
"""JSON strings (an unfinished last one included) and brackets outside of them."""

_MAX_SHOWN: Final = 40


class FloatText(str):
    """A JSON number with a fraction or an exponent, kept as its text: no field takes one."""

    __slots__ = ()


class HugeInteger(str):
    """A JSON integer of more digits than any field takes, kept as its text."""

    __slots__ = ()


class NegativeZero(str):
    """`-0`: an integer to some readers, a float to others."""

    __slots__ = ()


def parse_json(raw: bytes) -> Any:
    """The plain objects of a JSON text. Numbers that are not plain integers stay as marked text, for the error.

    Raises `InvalidUtf8`, `TooDeep` (more than `MAX_JSON_DEPTH` levels), `DuplicateMember` or `NotJson`.
    """
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        raise InvalidUtf8(f"byte {error.start} is not part of a UTF-8 character") from None
    if not is_shallow(raw):
        raise TooDeep(f"the JSON nests deeper than {MAX_JSON_DEPTH} levels")
    try:
        return json.loads(
            text,
            object_pairs_hook=_build_object,
            parse_float=FloatText,
            parse_int=_parse_integer,
            parse_constant=_refuse_constant,
        )
    except RefusedError:
        raise
    except (ValueError, RecursionError) as error:
        raise NotJson(f"not a JSON text: {error}") from None


def is_shallow(raw: bytes) -> bool:
    """True if a JSON text nests at most `MAX_JSON_DEPTH` levels; it is not decoded for this."""
    if raw.count(b"{") + raw.count(b"[") <= MAX_JSON_DEPTH:
        return True
    depth = 0
    for token in _TOKENS.finditer(raw):
        opener = token.group()
        if opener in (b"{", b"["):
            depth += 1
            if depth > MAX_JSON_DEPTH:
                return False
        elif opener in (b"}", b"]"):
            depth -= 1
    return True


def _build_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise DuplicateMember(f"the member {clip(twice)} occurs twice")
    return members


def _parse_integer(text: str) -> int | str:
    if text == "-0":
        return NegativeZero(text)
    return int(text) if len(text) <= MAX_INTEGER_DIGITS else HugeInteger(text)


def _refuse_constant(text: str) -> NoReturn:
    raise NotJson(f"{text} is not JSON")


def clip(name: str) -> str:
    """A name from outside as an error shows it: quoted, escaped, at most 40 characters of it."""
    return repr(name) if len(name) <= _MAX_SHOWN else f"{name[:_MAX_SHOWN]!r}..."
