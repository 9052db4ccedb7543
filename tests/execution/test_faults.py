"""`execution.faults`: what is written out of an app's exceptions."""

from __future__ import annotations

from pathlib import Path

import pytest

from microrollup.execution.faults import describe_error, is_showable

LONG = "x" * 2_000


def chain(count: int) -> Exception:
    """An exception, raised from others."""
    error = ValueError(0)
    for number in range(count):
        following = ValueError(number)
        following.__context__ = error
        error = following
    return error


def annotate(error: Exception) -> Exception:
    """With a note, which a traceback shows."""
    error.add_note(LONG)
    return error


@pytest.mark.parametrize("error", [KeyError((1, b"a")), ValueError("no", None, (1, ("x",))), ValueError(), chain(7)])
def test_what_is_short_is_shown(error: Exception) -> None:
    """Errors as the interpreter and an honest app raise them."""
    assert is_showable(error)


@pytest.mark.parametrize(
    "error",
    [
        ValueError(LONG),
        ValueError((LONG, 1)),
        ValueError((1,) * 100),
        ValueError(((("x",),),)),
        ValueError([1]),
        ValueError(Path()),
        annotate(ValueError(1)),
        chain(100),
    ],
    ids=repr,
)
def test_what_may_be_long_is_not(error: Exception) -> None:
    """Long texts, many or nested parts, other classes, notes, long chains: the class alone is said."""
    assert not is_showable(error)
    assert "ValueError" == describe_error(error)


def test_it_is_described() -> None:
    """Class and text; the class alone where there is none."""
    assert ("ValueError 'a'", "ValueError") == (describe_error(ValueError("a")), describe_error(ValueError()))
