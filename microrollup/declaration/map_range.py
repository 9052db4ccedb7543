"""Ranges of a `Map`: what changed in memory over what is stored, walked in the order of encoded keys.

A version never changes, so a range of it may be read piece by piece while newer versions are made: for each piece the
version takes the table, and gives it back. So who owns the table does not depend on what else is in memory, and metered
steps are the same on every machine. The pieces double, so a walk over n changed keys turns the differences log n times.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from microrollup.declaration.map_table import ABSENT, STALE, UNKNOWN, Table

if TYPE_CHECKING:
    from microrollup.declaration.map import Map

__all__ = ["compute_stop", "find_bounds", "iterate_range"]

K = TypeVar("K")
V = TypeVar("V")

FIRST_PIECE: Final = 8
"""Changed keys in the first piece of a range."""


def compute_stop(prefix: bytes) -> bytes | None:
    """The least byte string above all that begin with `prefix`; None if there is none."""
    kept = prefix.rstrip(b"\xff")
    return kept[:-1] + bytes([kept[-1] + 1]) if kept else None


def find_bounds(table: Table[K, V], start: object, stop: object, prefix: object) -> tuple[bytes, bytes | None]:
    """The encoded bounds of a range: from the first on, to before the second (None: to the end)."""
    low, high = b"", None
    if prefix is not None:
        low = table.encode_prefix(prefix)
        high = compute_stop(low)
    if start is not None:
        low = max(low, table.encode_bound(start))
    if stop is not None:
        bound = table.encode_bound(stop)
        high = bound if high is None else min(high, bound)
    return low, high


def iterate_range(
    version: Map[K, V],
    reroot: Callable[[Map[K, V]], None],
    start: bytes,
    stop: bytes | None,
    *,
    reverse: bool,
    on_skip: Callable[[], None] = lambda: None,
) -> Iterator[tuple[K, V]]:
    """The entries of a version between encoded keys. `reroot` makes it the one that owns the table; `on_skip` is told
    of each deleted key.
    """
    table = version._table
    changed = _iterate_changed(version, reroot, start, stop, reverse=reverse)
    waiting = next(changed, None)
    source = table.source
    if source is not None and (stop is None or start < stop):
        for key, value in source.iterate(start, stop, reverse=reverse):
            if table.entries is STALE:
                STALE.get()
            if waiting is None:
                yield key, value
                continue
            encoded = source.sort_key(key)
            while waiting is not None and (waiting[0] > encoded if reverse else waiting[0] < encoded):
                if waiting[2] is ABSENT:
                    on_skip()
                else:
                    yield waiting[1], cast("V", waiting[2])
                waiting = next(changed, None)
            if waiting is None or waiting[0] != encoded:
                yield key, value
            else:
                if waiting[2] is ABSENT:
                    on_skip()
                else:
                    yield waiting[1], cast("V", waiting[2])
                waiting = next(changed, None)
    while waiting is not None:
        if waiting[2] is ABSENT:
            on_skip()
        else:
            yield waiting[1], cast("V", waiting[2])
        waiting = next(changed, None)


def _iterate_changed(
    version: Map[K, V],
    reroot: Callable[[Map[K, V]], None],
    start: bytes,
    stop: bytes | None,
    *,
    reverse: bool,
) -> Iterator[tuple[bytes, K, Any]]:
    """(encoded key, key, value or `ABSENT`) of all keys in memory that may differ from the source.

    A key that a newer version changes meanwhile may come or not: what is stored is then what this version holds.
    """
    table, size = version._table, FIRST_PIECE
    while True:
        owner = version
        while owner._next is not None:
            owner = owner._next
        if owner is not version:
            reroot(version)
        if table.entries is STALE:
            STALE.get()
        ordered, by_encoded = table.order_changed()
        first = bisect_left(ordered, start)
        last = len(ordered) if stop is None else bisect_left(ordered, stop)
        piece = ordered[max(first, last - size) : last] if reverse else ordered[first : min(last, first + size)]
        entries = table.entries
        read = [(encoded, by_encoded[encoded]) for encoded in piece]
        found = [(encoded, key, entries.get(key, UNKNOWN)) for encoded, key in read]
        if owner is not version:
            reroot(owner)
        if not piece:
            return
        yield from [item for item in (reversed(found) if reverse else found) if item[2] is not UNKNOWN]
        if reverse:
            stop = piece[0]
        else:
            start = piece[-1] + b"\0"
        size *= 2
