"""The check that stored rows carry, and look-ups that notice when a row is damaged, misplaced or lost.

Rows of `state`, `receipts`, `tree`, `index` and `settled` are stored as `value || blake3(key || value)[:8]`, so a
damaged value, or a value at another key, is noticed when it is read. A row that is not found could have a damaged key,
or lie on a page that a damaged page does not lead to any more: its neighbours show that nothing lies between them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

import lmdb
from blake3 import blake3

from microrollup.errors import DecodeError

__all__ = [
    "CHECK_BYTES",
    "check_absent",
    "check_put",
    "Pack",
    "Unpack",
    "find_row",
    "make_packer",
    "make_unpacker",
    "pack_row",
    "unpack_row",
]

CHECK_BYTES: Final = 8
_VALUE: Final = slice(None, -CHECK_BYTES)

Pack = Callable[[bytes, bytes], bytes]
"""From key and value to the stored form."""
Unpack = Callable[[bytes, bytes], bytes]
"""From key and stored form to the value. Raises `DecodeError`."""

_Item = tuple[bytes, bytes]


def pack_row(key: bytes, value: bytes) -> bytes:
    """The stored form of a row's value."""
    return value + blake3(key + value).digest(CHECK_BYTES)


def unpack_row(key: bytes, stored: bytes) -> bytes:
    """The value of a stored row. Raises `DecodeError` unless it carries its own check."""
    value = stored[_VALUE]
    if pack_row(key, value) != stored:
        raise _make_error(key)
    return value


def make_packer() -> Pack:
    """`pack_row` for many rows, in one thread at a time: a hash that is begun anew costs less than a new one."""
    hasher = blake3()
    reset, update, digest = hasher.reset, hasher.update, hasher.digest

    def pack(key: bytes, value: bytes) -> bytes:
        reset()
        update(key + value)
        return value + digest(CHECK_BYTES)

    return pack


def make_unpacker() -> Unpack:
    """`unpack_row` for many rows, in one thread at a time."""
    hasher = blake3()
    reset, update, digest = hasher.reset, hasher.update, hasher.digest

    def unpack(key: bytes, stored: bytes) -> bytes:
        reset()
        value = stored[_VALUE]
        update(key + value)
        if value + digest(CHECK_BYTES) != stored:
            raise _make_error(key)
        return value

    return unpack


def _make_error(key: bytes) -> DecodeError:
    return DecodeError("row", f"0x{key.hex()} does not have the value that was stored")


def find_row(cursor: lmdb.Cursor, key: bytes) -> bytes | None:
    """The value of a row; None if there is none. Raises `DecodeError` for damage to it, or around its place."""
    if cursor.set_key(key):
        return unpack_row(key, bytes(cursor.value()))
    check_absent(cursor, key)
    return None


def check_absent(cursor: lmdb.Cursor, key: bytes) -> None:
    """Raise `DecodeError` unless the table shows that a key which was not found is not there.

    Its neighbours must be undamaged rows on both sides of it, and each must lead to the other when it is looked up by
    itself. A damaged key stands where the lost one would; a page that is not reached leaves a gap which is seen from
    one of its sides.
    """
    above = _read_item(cursor) if cursor.set_range(key) else None
    below = _read_item(cursor) if (cursor.last() if above is None else cursor.prev()) else None
    holds = True
    if above is not None:
        unpack_row(*above)
        holds = key < above[0] and cursor.set_key(above[0]) and _is_at(cursor, cursor.prev(), below)
    if below is not None:
        unpack_row(*below)
        holds = holds and below[0] < key and cursor.set_key(below[0]) and _is_at(cursor, cursor.next(), above)
    if not holds:
        raise DecodeError("row", f"0x{key.hex()} is not found, and what surrounds its place is damaged")


def check_put(cursor: lmdb.Cursor, keys: Iterable[bytes]) -> None:
    """Raise `DecodeError` unless rows that were just put lie between undamaged ones, or each other.

    A damaged key leads later ones to its wrong side, where they would hide it from `check_absent`.
    """
    set_key, prev, next_, unpack = cursor.set_key, cursor.prev, cursor.next, make_unpacker()
    item: Callable[[], tuple[bytes, bytes]] = cursor.item  # type: ignore[assignment]  # no views: it has no buffers
    for key in keys:
        holds = set_key(key)
        if holds and prev():
            below = item()
            unpack(*below)
            holds = below[0] < key and next_()
        if holds and next_():
            above = item()
            unpack(*above)
            holds = key < above[0]
        if not holds:
            raise DecodeError("row", f"0x{key.hex()} was put between rows that are damaged")


def _read_item(cursor: lmdb.Cursor) -> _Item:
    return bytes(cursor.key()), bytes(cursor.value())


def _is_at(cursor: lmdb.Cursor, found: bool, wanted: _Item | None) -> bool:
    return bytes(cursor.key()) == wanted[0] if found and wanted is not None else found == (wanted is not None)
