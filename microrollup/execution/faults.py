"""What an app raised, in words: exceptions hold what the app puts into them, and showing that is not metered."""

from __future__ import annotations

from typing import Any, Final

from microrollup.codec.json_text import clip

__all__ = ["describe_error", "is_showable"]

_SHOWN_PARTS: Final = 32
_SHOWN_BYTES: Final = 1_024
_SHOWN_CHAIN: Final = 8


def is_showable(error: BaseException) -> bool:
    """Whether an exception, and those that it was raised from, can be written out with little time and memory: they
    hold few and short values, of builtin classes.
    """
    left, following = _SHOWN_CHAIN, error
    while left:
        if getattr(following, "__notes__", None) or _count(following.args, 0) > _SHOWN_PARTS:
            return False
        before = following.__cause__ or following.__context__
        if before is None:
            return True
        left, following = left - 1, before
    return False


def describe_error(error: BaseException) -> str:
    """Its class, and its text in quotes if that can be written out."""
    if not is_showable(error):
        return type(error).__name__
    try:
        text = str(error)
    except Exception:
        text = ""
    return f"{type(error).__name__} {clip(text)}" if text else type(error).__name__


def _count(value: Any, depth: int) -> int:
    """Parts of a value; too many where one is long, or of a class that may show itself at any length."""
    kind = type(value)
    if kind in (int, bool, type(None)):
        return 1
    if kind in (str, bytes):
        return 1 if len(value) <= _SHOWN_BYTES else _SHOWN_PARTS + 1
    if kind is tuple and depth < 3 and len(value) <= _SHOWN_PARTS:
        return 1 + sum([_count(each, depth + 1) for each in value])
    return _SHOWN_PARTS + 1
