"""Batches in EIP-4844 blobs: 31 bytes per field element, so that every element is below the field's modulus.

    field element = 0x00 || 31 bytes of the batch;   4,096 of them a blob;   1 to 6 blobs a batch, zeros after its end

There is no length: a batch is one zlib stream, which ends by itself, and what follows it must be zeros. So there is one
way to pack a batch and one way back.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Final

from microrollup.errors import DecodeError
from microrollup.settlement.batch import MAX_BATCH_BYTES, MAX_INFLATED_BYTES

__all__ = ["BLOB_BYTES", "MAX_BLOBS", "pack_blobs", "unpack_blobs"]

_ELEMENTS: Final = 4096
_USABLE: Final = 31

BLOB_BYTES: Final = 32 * _ELEMENTS
"""131,072 bytes, EIP-4844."""

_BODY_BYTES: Final = _USABLE * _ELEMENTS

MAX_BLOBS: Final = MAX_BATCH_BYTES // _BODY_BYTES
"""Six: what one transaction may carry on Osaka (EIP-7594)."""

_CHUNK: Final = 1 << 20


def pack_blobs(batch: bytes) -> list[bytes]:
    """The blobs of a batch, as few as hold it. Raises `DecodeError` for what would not come back as it is."""
    if not 0 < len(batch) <= MAX_BATCH_BYTES:
        raise DecodeError("blobs", f"a batch of {len(batch)} bytes, blobs take 1 to {MAX_BATCH_BYTES}")
    if _find_end(batch) != len(batch):
        raise DecodeError("blobs", "the batch goes on after the end of its zlib stream")
    padded = batch + bytes(-len(batch) % _BODY_BYTES)
    return [_pack_blob(padded[at : at + _BODY_BYTES]) for at in range(0, len(padded), _BODY_BYTES)]


def _pack_blob(body: bytes) -> bytes:
    return b"".join([b"\x00" + body[at : at + _USABLE] for at in range(0, _BODY_BYTES, _USABLE)])


def unpack_blobs(blobs: Sequence[bytes]) -> bytes:
    """The batch in these blobs. Raises `DecodeError` unless `pack_blobs` would make exactly them of it."""
    if not 1 <= len(blobs) <= MAX_BLOBS:
        raise DecodeError("blobs", f"{len(blobs)} blobs, a batch has 1 to {MAX_BLOBS}")
    body = b"".join([_unpack_blob(blob) for blob in blobs])
    end = _find_end(body)
    if end <= (len(blobs) - 1) * _BODY_BYTES:
        raise DecodeError("blobs", "the last blob holds nothing of the batch")
    if body.count(0, end) != len(body) - end:
        raise DecodeError("blobs", "bytes other than zero follow the batch")
    return body[:end]


def _unpack_blob(blob: bytes) -> bytes:
    if len(blob) != BLOB_BYTES:
        raise DecodeError("blobs", f"a blob of {len(blob)} bytes, it has {BLOB_BYTES}")
    if blob[::32] != bytes(_ELEMENTS):
        raise DecodeError("blobs", "a field element does not begin with a zero byte")
    return b"".join([blob[at + 1 : at + 32] for at in range(0, BLOB_BYTES, 32)])


def _find_end(raw: bytes) -> int:
    """Where the zlib stream at the beginning ends. Memory stays at a chunk: what it inflates to is thrown away."""
    inflater = zlib.decompressobj()
    size, rest = 0, raw
    try:
        while not inflater.eof:
            chunk = inflater.decompress(rest, _CHUNK)
            rest = inflater.unconsumed_tail
            size += len(chunk)
            if size > MAX_INFLATED_BYTES:
                raise DecodeError("blobs", f"inflates to more than {MAX_INFLATED_BYTES} bytes")
            if not chunk and not rest and not inflater.eof:
                raise DecodeError("blobs", "the zlib stream does not end")
    except zlib.error as error:
        raise DecodeError("blobs", str(error)) from None
    return len(raw) - len(inflater.unused_data)
