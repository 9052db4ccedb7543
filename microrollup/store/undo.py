"""What the state's rows were before a block: kept by block, to read old heights and to take blocks back.

Layout: `count(4) || digests(8 x count, ascending) || canonical msgpack [[row key, old value or nil]...]` in the
digests' order. A digest is the first 8 bytes of BLAKE3 of the row key, so that a block which did not touch a row is
passed over without decoding anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec
import numpy as np
from blake3 import blake3

from microrollup.codec.canonical import encode_canonical
from microrollup.errors import DecodeError

__all__ = ["NOT_TOUCHED", "compute_digest", "decode_row_undo", "encode_row_undo", "find_old_row", "read_digests"]

NOT_TOUCHED: Final = msgspec.UNSET
"""What `find_old_row` gives for a row that the block left alone."""

_DECODER: Final = msgspec.msgpack.Decoder(list[tuple[bytes, bytes | None]])


def compute_digest(row_key: bytes) -> int:
    """What stands for a row key in the index of a block's undo: the first 8 bytes of its BLAKE3."""
    return int.from_bytes(blake3(row_key).digest(8), "big")


def encode_row_undo(rows: Mapping[bytes, bytes | None]) -> bytes:
    """Encode row key -> value before the block (None: there was no row)."""
    ordered = sorted((compute_digest(key), key, old) for key, old in rows.items())
    digests = np.array([digest for digest, _, _ in ordered], dtype=">u8").tobytes()
    return len(ordered).to_bytes(4, "big") + digests + encode_canonical([(key, old) for _, key, old in ordered])


def _split(raw: bytes | memoryview) -> tuple[np.ndarray[tuple[int], np.dtype[np.uint64]], memoryview]:
    view = memoryview(raw)
    count = int.from_bytes(view[:4], "big")
    if len(view) < 4 + 8 * count:
        raise DecodeError("undo rows", "shorter than its own count says")
    return np.frombuffer(view[4 : 4 + 8 * count], dtype=">u8"), view[4 + 8 * count :]


def decode_row_undo(raw: bytes | memoryview) -> list[tuple[bytes, bytes | None]]:
    """All rows that a block touched, with their values before it. Raises `DecodeError`."""
    digests, body = _split(raw)
    try:
        rows = _DECODER.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise DecodeError("undo rows", str(error)) from None
    if len(rows) != len(digests):
        raise DecodeError("undo rows", "digests and rows differ in number")
    return rows


def read_digests(raw: bytes | memoryview) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    """The digests of all rows that a block touched, ascending; a view of `raw`. Raises `DecodeError`."""
    return _split(raw)[0]


def find_old_row(raw: bytes | memoryview, row_key: bytes) -> bytes | msgspec.UnsetType | None:
    """The row's value before the block (None: no row), or `NOT_TOUCHED`."""
    digests = read_digests(raw)
    wanted = compute_digest(row_key)
    position = int(np.searchsorted(digests, np.uint64(wanted)))
    if position == len(digests) or int(digests[position]) != wanted:
        return NOT_TOUCHED
    for key, old in decode_row_undo(raw):
        if key == row_key:
            return old
    return NOT_TOUCHED
