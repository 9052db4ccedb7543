"""How deep an app's code is called does not decide how fast it runs."""

from __future__ import annotations

import resource
from collections.abc import Callable

import pytest

from microrollup.guard.stack import with_room

CALLS = 2**10
DEPTHS = range(300)


def walk(levels: int) -> None:
    """`CALLS` calls, at most ten of them open."""
    if levels:
        walk(levels - 1)
        walk(levels - 1)


def count_faults(depth: int, function: Callable[[int], None]) -> int:
    """Pages that the system brings while `function` runs so deep."""
    if depth:
        return count_faults(depth - 1, function)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    function(9)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def test_room() -> None:
    """Somewhere a plain function takes a page for many of its calls; one with room takes the few of its own chunk."""
    assert max(count_faults(depth, walk) for depth in DEPTHS) >= CALLS // 8
    assert max(count_faults(depth, with_room(walk)) for depth in DEPTHS) < CALLS // 16


def test_the_function_stays_as_it_is() -> None:
    """Name, result and exceptions are the function's own."""

    @with_room
    def divide(one: int, *, by: int) -> int:
        """A quotient."""
        return one // by

    assert ("divide", "A quotient.", 3) == (divide.__name__, divide.__doc__, divide(7, by=2))
    with pytest.raises(ZeroDivisionError):
        divide(1, by=0)
