"""Rows in order, from a table and from what is known better than the table: the one merge of all ranges."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import lmdb

__all__ = ["merge_stored", "place_cursor"]


def place_cursor(cursor: lmdb.Cursor, low: bytes, high: bytes | None, *, reverse: bool = False) -> bool:
    """Put a cursor on the first row from `low` on, or on the last before `high`; whether there is one."""
    if not reverse:
        return bool(cursor.set_range(low) if low else cursor.first())
    return bool(cursor.prev() if high is not None and cursor.set_range(high) else cursor.last())


def merge_stored(
    cursor: lmdb.Cursor,
    waiting: list[bytes],
    find: Callable[[bytes], bytes | None],
    low: bytes = b"",
    high: bytes | None = None,
    *,
    reverse: bool = False,
) -> Iterator[tuple[bytes, bytes]]:
    """Keys and stored values from `low` on and before `high` (None: to the end), ascending; descending with `reverse`.

    `waiting` are the keys of that range, ascending, of which `find` tells the value whatever the table holds; None:
    there is no row. The list is used up. The cursor's transaction has to last.
    """
    if not reverse:
        waiting.reverse()
    found = place_cursor(cursor, low, high, reverse=reverse)
    while found:
        key = bytes(cursor.key())
        if key < low if reverse else high is not None and key >= high:
            break
        while waiting and (waiting[-1] > key if reverse else waiting[-1] < key):
            yield from _present(waiting.pop(), find)
        if waiting and waiting[-1] == key:
            yield from _present(waiting.pop(), find)
        else:
            yield key, bytes(cursor.value())
        found = cursor.prev() if reverse else cursor.next()
    for key in reversed(waiting):
        yield from _present(key, find)


def _present(key: bytes, find: Callable[[bytes], bytes | None]) -> Iterator[tuple[bytes, bytes]]:
    stored = find(key)
    if stored is not None:
        yield key, stored
