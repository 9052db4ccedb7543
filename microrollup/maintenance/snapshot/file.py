"""Snapshot files: their layout, written and read as a stream.

    MAGIC
    head    `SnapshotHead`
    keys    byte strings of 32-byte tree keys in the order of their leaves, from leaf 1 on, until the head's leaf count
    rows    arrays of [row key, value], ascending by row key, until the head's sizes are reached
    digest  blake3 of everything before, as a byte string

All but the magic are frames of `length(4, big-endian) || canonical msgpack`. Nothing in a file depends on when or where
it was written, so the same content has the same bytes and the same id.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, BinaryIO, Final, Self

import msgspec
from blake3 import blake3

from microrollup.chain.block import Header
from microrollup.chain.record import Genesis, Open, Seal
from microrollup.codec.canonical import decode_canonical, encode_canonical
from microrollup.codec.values import MAX_VALUE_BYTES
from microrollup.errors import CommitFailed, DecodeError, SnapshotError
from microrollup.primitives import Bytes32, Uint64
from microrollup.store.state_rows import MAX_ROW_KEY_BYTES
from microrollup.system import sync_directory, sync_file

__all__ = [
    "MAGIC",
    "OnSnapshotProgress",
    "SnapshotHead",
    "SnapshotReader",
    "SnapshotWriter",
    "ignore_progress",
    "read_snapshot_head",
    "sync_directory",
]

MAGIC: Final = b"microrollup snapshot 1\n"

OnSnapshotProgress = Callable[[int, int], None]
"""Called with what is done and what there is to do, in tree keys and rows."""

KEY_BYTES: Final = 32
_KEYS_PER_FRAME: Final = 8192
_ROWS_FRAME_BYTES: Final = 256 * 1024
"""A frame of rows ends after the row that reaches this size."""

_MANY_ROWS_BYTES: Final = 2 * _ROWS_FRAME_BYTES
"""A larger frame may hold one row only: so what decoding takes is bounded by what the file has."""

_MAX_FRAME_BYTES: Final = MAX_VALUE_BYTES + 1024
_ONE_ROW: Final = b"\x91\x92"
"""How msgpack begins an array of one array of two."""

_DIGEST_FRAME_BYTES: Final = 4 + 2 + 32
_READ_BYTES: Final = 1 << 20


class SnapshotHead(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What a snapshot is of. All of it but the last two follows from the header, or is checked against it."""

    genesis: Genesis
    header: Header
    open: Open
    seal: Seal | None
    """None at height 0 only."""
    leaf_count: Uint64
    """Leaves of the tree, the dummy included."""
    sizes: Annotated[tuple[Uint64, ...], msgspec.Meta(max_length=0x1001)]
    """Entries of each state field (1 for a scalar), in declared order, then of the nonces."""
    last_record: Uint64
    """Number of the log record that closes the height."""
    chain: Bytes32
    """The log chain's value before that record: a restored log goes on from there. No header commits to it."""


_HEAD_DECODER: Final = msgspec.msgpack.Decoder(SnapshotHead)
_BYTES_DECODER: Final = msgspec.msgpack.Decoder(bytes)
_ROWS_DECODER: Final = msgspec.msgpack.Decoder(list[tuple[bytes, bytes]])


class SnapshotWriter:
    """Writes `path` by way of a file beside it, which takes its place once it is whole; else nothing is left of it."""

    def __init__(self, path: Path, head: SnapshotHead) -> None:
        """Raises `CommitFailed` for what the disk says."""
        self._path = path
        self._part = path.with_name(path.name + ".part")
        self._hasher = blake3()
        self._rows: list[tuple[bytes, bytes]] = []
        self._rows_bytes = 0
        self.file_bytes = 0
        try:
            self._file: BinaryIO = self._part.open("wb")
        except OSError as error:
            raise CommitFailed(f"{self._part} cannot be written: {error.strerror}") from error
        self._put(MAGIC)
        self._put_frame(encode_canonical(head))

    def write_keys(self, keys: memoryview) -> None:
        """All tree keys, 32 bytes each, in the order of their leaves."""
        step = _KEYS_PER_FRAME * KEY_BYTES
        for start in range(0, len(keys), step):
            self._put_frame(encode_canonical(bytes(keys[start : start + step])))

    def write_row(self, key: bytes, value: bytes) -> None:
        """The next state row. Raises `SnapshotError` for a value beyond 64 MiB."""
        if len(value) > MAX_VALUE_BYTES:
            raise SnapshotError(f"state row 0x{key.hex()} has {len(value)} bytes, a snapshot takes {MAX_VALUE_BYTES}")
        if len(value) >= _ROWS_FRAME_BYTES:
            self._flush_rows()
        self._rows.append((key, value))
        self._rows_bytes += len(key) + len(value) + 8
        if self._rows_bytes >= _ROWS_FRAME_BYTES:
            self._flush_rows()

    def finish(self) -> str:
        """Make the file durable and put it into its place; its id, the blake3 of the whole file in hex."""
        self._flush_rows()
        self._put_frame(encode_canonical(self._hasher.digest()))
        try:
            self._file.flush()
            sync_file(self._file.fileno())
            self._file.close()
            self._part.replace(self._path)
            sync_directory(self._path.parent)
        except OSError as error:
            raise CommitFailed(f"{self._path} cannot be written: {error.strerror}") from error
        return self._hasher.hexdigest()

    def _flush_rows(self) -> None:
        if self._rows:
            self._put_frame(encode_canonical(self._rows))
            self._rows.clear()
            self._rows_bytes = 0

    def _put_frame(self, body: bytes) -> None:
        self._put(len(body).to_bytes(4, "big"))
        self._put(body)

    def _put(self, raw: bytes) -> None:
        self._hasher.update(raw)
        self.file_bytes += len(raw)
        try:
            self._file.write(raw)
        except OSError as error:
            raise CommitFailed(f"{self._part} cannot be written: {error.strerror}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._part.unlink(missing_ok=True)


class SnapshotReader:
    """Reads a snapshot from anywhere: first `head`, then all of `read_keys`, then all of `read_rows`."""

    def __init__(self, path: Path, *, whole: bool = True) -> None:
        """Check the digest over the `whole` file, and read the head. Without the digest nothing but the head is to be
        read.

        Raises `SnapshotError` if the file cannot be read or is damaged, `DecodeError` if it is malformed.
        """
        self._path = path
        if path.exists() and not path.is_file():  # a pipe would be waited for
            raise SnapshotError(f"{path} is not a file")
        try:
            self._file: BinaryIO = path.open("rb")
        except OSError as error:
            raise SnapshotError(f"{path} cannot be read: {error.strerror}") from error
        try:
            self._end = self._check_digest() if whole else os.fstat(self._file.fileno()).st_size
            self._file.seek(0)
            if not whole and self._read(len(MAGIC)) != MAGIC:
                raise SnapshotError(f"{path} is not a microrollup snapshot")
            self._file.seek(len(MAGIC))
            self.head = decode_canonical(_HEAD_DECODER, self._read_frame(), what="snapshot head", limit=_READ_BYTES)
        except BaseException:
            self._file.close()
            raise

    def _check_digest(self) -> int:
        size = os.fstat(self._file.fileno()).st_size
        if self._file.read(len(MAGIC)) != MAGIC:
            raise SnapshotError(f"{self._path} is not a microrollup snapshot")
        end = size - _DIGEST_FRAME_BYTES
        hasher = blake3(MAGIC)
        left = end - len(MAGIC)
        while left > 0:
            part = self._read(min(left, _READ_BYTES))
            if not part:
                break
            hasher.update(part)
            left -= len(part)
        body = encode_canonical(hasher.digest())
        if left != 0 or self._read(_DIGEST_FRAME_BYTES) != len(body).to_bytes(4, "big") + body:
            raise SnapshotError(f"{self._path} is damaged or cut off: its digest is not that of its content")
        return end

    def read_keys(self) -> Iterator[bytes]:
        """Runs of 32-byte tree keys, the head's leaf count less the dummy in all. Raises `DecodeError`."""
        left = self.head.leaf_count - 1
        while left > 0:
            keys = decode_canonical(_BYTES_DECODER, self._read_frame(), what="snapshot keys", limit=_MANY_ROWS_BYTES)
            if not keys or len(keys) % KEY_BYTES or len(keys) // KEY_BYTES > left:
                raise DecodeError("snapshot keys", f"{len(keys)} bytes where {left} keys are missing")
            left -= len(keys) // KEY_BYTES
            yield keys

    def read_rows(self) -> Iterator[list[tuple[bytes, bytes]]]:
        """Runs of state rows, strictly ascending by key, as many as the head's sizes say. Raises `DecodeError`."""
        left, last = sum(self.head.sizes), b""
        while left > 0:
            body = self._read_frame()
            if len(body) > _MANY_ROWS_BYTES and not body.startswith(_ONE_ROW):
                raise DecodeError("snapshot rows", "a frame of several rows is too large")
            rows = decode_canonical(_ROWS_DECODER, body, what="snapshot rows", limit=_MAX_FRAME_BYTES)
            if not rows or len(rows) > left:
                raise DecodeError("snapshot rows", f"{len(rows)} rows where {left} are missing")
            for key, _ in rows:
                if key <= last or len(key) > MAX_ROW_KEY_BYTES:
                    raise DecodeError("snapshot rows", "the keys are not ascending, or too long")
                last = key
            left -= len(rows)
            yield rows
        if self._file.tell() != self._end:
            raise DecodeError("snapshot", "more follows after the last row")

    def _read_frame(self) -> bytes:
        size = int.from_bytes(self._read(4), "big")
        if size > _MAX_FRAME_BYTES or self._file.tell() + size > self._end:
            raise DecodeError("snapshot", "a frame is cut off or larger than any can be")
        return self._read(size)

    def _read(self, size: int) -> bytes:
        try:
            return self._file.read(size)
        except OSError as error:
            raise SnapshotError(f"{self._path} cannot be read: {error.strerror}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


def read_snapshot_head(path: Path) -> SnapshotHead:
    """What a file claims to be a snapshot of, without reading the rest. Raises `SnapshotError` and `DecodeError`."""
    with SnapshotReader(path, whole=False) as reader:
        return reader.head


def ignore_progress(_done: int, _total: int) -> None:
    """For callers who do not watch."""
