"""What a block changes in the state's rows: kept per block, to read other heights and to take blocks back.

Layout: `count(4) || digests(8 x count, ascending) || check(8) || canonical msgpack [[row key, old, new] ...]` in the
digests' order. A digest is the first 8 bytes of BLAKE3 of the row key, so that a block which did not touch a row is
passed over without decoding anything; the check is the first 8 bytes of BLAKE3 of the block's height (8 bytes,
big-endian) and all that precedes it, because a damaged digest would hide a change. Values are as the `state` table
stores them; nil where there is no row.
"""

from __future__ import annotations

from collections.abc import Iterable
from operator import itemgetter
from typing import Final, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt
from blake3 import blake3

from microrollup.codec.canonical import encode_canonical
from microrollup.crypto.blake import make_hasher
from microrollup.errors import DecodeError

__all__ = [
    "Digests",
    "RowChange",
    "compute_digest",
    "count_bytes",
    "decode_row_changes",
    "encode_row_changes",
    "find_row_change",
    "read_digests",
]

T = TypeVar("T")

_COUNT_BYTES: Final = 4
_DIGEST_BYTES: Final = 8
_CHECK_BYTES: Final = 8
_WHAT: Final = "row changes"

Digests = npt.NDArray[np.uint64]


class RowChange(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, order=True, gc=False):
    """A state row before a block and after it, as stored; None where there is no row."""

    key: bytes
    old: bytes | None
    new: bytes | None


def count_bytes(values: Iterable[bytes | None]) -> int:
    """Bytes of rows before or after a block; those that are not there have none."""
    return sum(map(len, filter(None, values)))


_DECODER: Final = msgspec.msgpack.Decoder(list[RowChange])
_SKIPPER: Final = msgspec.msgpack.Decoder(list[msgspec.Raw])
_ONE_DECODER: Final = msgspec.msgpack.Decoder(RowChange)
"""One row is found by passing over the others, which costs a sixth of decoding them."""


def compute_digest(row_key: bytes) -> int:
    """What stands for a row key in the index of a block's changes: the first 8 bytes of its BLAKE3."""
    return int.from_bytes(blake3(row_key).digest(_DIGEST_BYTES), "big")


def encode_row_changes(height: int, changes: Iterable[RowChange]) -> bytes:
    """Encode the changes of the block at a height, of each row at most one, in whatever order they come."""
    digest = make_hasher(_DIGEST_BYTES)
    ordered = [(digest(change.key) + change.key, change) for change in changes]
    ordered.sort(key=itemgetter(0))
    index = len(ordered).to_bytes(_COUNT_BYTES, "big") + b"".join([place[:_DIGEST_BYTES] for place, _ in ordered])
    return index + _compute_check(height, index) + encode_canonical([change for _, change in ordered])


def _compute_check(height: int, index: bytes | memoryview) -> bytes:
    return blake3(height.to_bytes(8, "big") + index).digest(_CHECK_BYTES)


def _split(height: int, raw: bytes | memoryview) -> tuple[Digests, memoryview]:
    view = memoryview(raw)
    end = _COUNT_BYTES + _DIGEST_BYTES * int.from_bytes(view[:_COUNT_BYTES], "big")
    if len(view) < end + _CHECK_BYTES:
        raise DecodeError(_WHAT, "shorter than its own count says")
    if view[end : end + _CHECK_BYTES] != _compute_check(height, view[:end]):
        raise DecodeError(_WHAT, f"the index of digests is damaged, or not of block {height}")
    return np.frombuffer(view[_COUNT_BYTES:end], dtype=">u8"), view[end + _CHECK_BYTES :]


def read_digests(height: int, raw: bytes | memoryview) -> Digests:
    """The digests of all rows that a block changed, ascending; a view of `raw`. Raises `DecodeError`."""
    return _split(height, raw)[0]


def decode_row_changes(height: int, raw: bytes | memoryview) -> list[RowChange]:
    """All rows that a block changed, in the order of their digests. Raises `DecodeError`, also for damaged keys."""
    digests, body = _split(height, raw)
    changes = _decode_rows(_DECODER, body)
    digest = make_hasher(_DIGEST_BYTES)
    if b"".join([digest(change.key) for change in changes]) != digests.tobytes():
        raise DecodeError(_WHAT, "digests and rows differ")
    return changes


def _decode_rows(decoder: msgspec.msgpack.Decoder[T], body: memoryview | msgspec.Raw) -> T:
    try:
        return decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise DecodeError(_WHAT, str(error)) from None


def find_row_change(height: int, raw: bytes | memoryview, row_key: bytes) -> RowChange | None:
    """What a block made of a row; None if it left the row alone.

    Raises `DecodeError`, also for an index that announces another row than the one that follows.
    """
    digests, body = _split(height, raw)
    wanted = compute_digest(row_key)
    place = int(np.searchsorted(digests, np.uint64(wanted)))
    if place == len(digests) or int(digests[place]) != wanted:
        return None
    rows = _decode_rows(_SKIPPER, body)
    if len(rows) != len(digests):
        raise DecodeError(_WHAT, "digests and rows differ in number")
    while place < len(digests) and int(digests[place]) == wanted:
        change = _decode_rows(_ONE_DECODER, rows[place])
        if change.key == row_key:
            return change
        if compute_digest(change.key) != wanted:
            raise DecodeError(_WHAT, f"row 0x{change.key.hex()} is in the place of another one")
        place += 1
    return None
