"""Queries that do what a query should not: one for each way in which there is no answer."""

from __future__ import annotations

import os
import time

from hostile_rollup import Tally
from microrollup import Address, Bytes, Map, Uint8, Uint64, View, require


def total(view: View[Tally]) -> Uint64:
    """A query that is well."""
    return view.state.total


def entries(view: View[Tally], start: Uint64 = 0, limit: Uint64 = 10) -> list[tuple[Uint64, Uint64]]:
    """A range."""
    found = []
    for key, value in view.state.counts.items(start=start):
        if len(found) == limit:
            break
        found.append((key, value))
    return found


def echo(view: View[Tally], who: Address, raw: Bytes, flags: tuple[bool, ...], small: Uint8 = 3) -> list[str]:
    """What it was given."""
    return [str(view.height), str(len(who)), str(len(raw)), str(len(flags)), str(small)]


def loops(view: View[Tally]) -> Uint64:
    """Without end."""
    number = 0
    while True:
        number += 1


def swallows(view: View[Tally]) -> Uint64:
    """Without end, and hiding it."""
    try:
        while True:
            pass
    except BaseException:
        return 1


def recurses(view: View[Tally]) -> Uint64:
    """Without end."""
    return recurses(view)


def raises(view: View[Tally]) -> Uint64:
    """Divides by zero."""
    return 1 // view.state.zero


def rejects(view: View[Tally]) -> Uint64:
    """Says why."""
    require(False, "there is none")
    return 1


def ends(view: View[Tally]) -> Uint64:
    """Takes its process with it."""
    os._exit(3)


def sleeps(view: View[Tally]) -> Uint64:
    """Takes long without taking steps."""
    time.sleep(120)
    return 1


def leaves(view: View[Tally]) -> Uint64:
    """Raises what is not an Exception."""
    raise SystemExit(4)


def grows(view: View[Tally]) -> Bytes:
    """Makes too large a value."""
    value = b"x" * 1_024
    for _ in range(20):
        value += value
    return value


def returns_text(view: View[Tally]) -> Uint64:
    """Of another type."""
    return "1"  # type: ignore[return-value]


def returns_negative(view: View[Tally]) -> Uint64:
    """Out of its type's bounds."""
    return -1


def returns_flag(view: View[Tally]) -> Uint64:
    """A bool is an int to Python."""
    return True


def returns_nothing(view: View[Tally]) -> Uint64:
    """None."""
    return None  # type: ignore[return-value]


def returns_map(view: View[Tally]) -> list[Uint64]:
    """What is read later is not an answer."""
    return view.state.counts  # type: ignore[return-value]


def returns_generator(view: View[Tally]) -> list[Uint64]:
    """Neither is this."""
    return (key for key in [1])  # type: ignore[return-value]


def returns_much(view: View[Tally]) -> list[str]:
    """Small in memory, large in JSON."""
    return ["x" * 1_000] * 1_000


def returns_more(view: View[Tally]) -> list[list[list[str]]]:
    """1 TB of JSON, in 30,000 references."""
    return [[["x" * 1_000_000] * 10_000] * 10_000] * 10_000


def writes(view: View[Tally]) -> Uint64:
    """What it changes is nobody's state."""
    counts: Map[int, int] = view.state.counts.set(99, 1).delete(1)
    return len(counts)
