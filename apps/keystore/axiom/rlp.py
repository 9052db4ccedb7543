"""RLP lists of byte strings, in their one canonical form (Ethereum Yellow Paper, appendix B)."""

from __future__ import annotations

from typing import Final

from microrollup import require

__all__ = ["encode_integer", "encode_items", "read_integer", "read_items"]

_STRING: Final = 0x80
_LIST: Final = 0xC0
_SHORT: Final = 55
"""Longest content whose length the first byte holds."""
_MAX_SIZE_BYTES: Final = 4


def encode_items(items: list[bytes]) -> bytes:
    """The list of these byte strings."""
    payload = b"".join([_encode_string(item) for item in items])
    return _encode_size(len(payload), _LIST) + payload


def read_items(raw: bytes, count: int) -> list[bytes]:
    """The way back: exactly `count` byte strings, and nothing after them.

    Raises `Revert` for any other bytes than those of `encode_items`.
    """
    require(len(raw) > 0 and raw[0] >= _LIST, "rlp: not a list")
    position, end = _read_size(raw, 0, _LIST)
    require(end == len(raw), "rlp: bytes after the list")
    items: list[bytes] = []
    while position < end:
        require(len(items) < count, "rlp: too many items")
        require(raw[position] < _LIST, "rlp: a list where a string must be")
        start, stop = position, position + 1
        if raw[position] >= _STRING:
            start, stop = _read_size(raw, position, _STRING)
        require(stop <= end, "rlp: an item is longer than its list")
        require(stop - start != 1 or start == position or raw[start] >= _STRING, "rlp: a byte with a needless length")
        items.append(raw[start:stop])
        position = stop
    require(len(items) == count, "rlp: too few items")
    return items


def encode_integer(value: int) -> bytes:
    """Big-endian without leading zeros; 0 has no bytes."""
    return value.to_bytes((value.bit_length() + 7) // 8, "big")


def read_integer(item: bytes) -> int:
    """The way back, of at most 256 bits. Raises `Revert`."""
    require(len(item) <= 32, "rlp: an integer has more than 32 bytes")
    require(item[:1] != b"\x00", "rlp: an integer has leading zeros")
    return int.from_bytes(item, "big")


def _encode_string(item: bytes) -> bytes:
    if len(item) == 1 and item[0] < _STRING:
        return item
    return _encode_size(len(item), _STRING) + item


def _encode_size(size: int, base: int) -> bytes:
    if size <= _SHORT:
        return (base + size).to_bytes(1, "big")
    written = encode_integer(size)
    return (base + _SHORT + len(written)).to_bytes(1, "big") + written


def _read_size(raw: bytes, position: int, base: int) -> tuple[int, int]:
    """Where the content at a position begins and ends; it has a length before it."""
    short = raw[position] - base
    start = position + 1
    if short <= _SHORT:
        require(start + short <= len(raw), "rlp: content is cut off")
        return start, start + short
    count = short - _SHORT
    require(count <= _MAX_SIZE_BYTES, "rlp: a length has more than four bytes")
    written = raw[start : start + count]
    require(len(written) == count, "rlp: a length is cut off")
    require(written[:1] != b"\x00", "rlp: a length has leading zeros")
    size = int.from_bytes(written, "big")
    require(size > _SHORT, "rlp: a short content with a long length")
    require(start + count + size <= len(raw), "rlp: content is cut off")
    return start + count, start + count + size
