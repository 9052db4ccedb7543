"""A file of rows of one size, mapped into memory and growing at its end."""

from __future__ import annotations

import mmap
import os
from contextlib import suppress
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from microrollup.errors import CommitFailed, StoreCorrupt, StoreMissing
from microrollup.system import allocate, describe_write_error, sync_data

__all__ = ["FlatFile"]

_STEP_BYTES: Final = 1 << 20
"""Files grow by an eighth, in whole mebibytes: remapping is rare, and little disk is held in advance."""


class FlatFile:
    """Owns the file and its mapping. `rows` is what the file holds, shape (rows, row bytes), writable.

    Blocks on disk are allocated when the file grows, because a mapped write for which the disk has no room kills the
    process. Opening reads nothing but the file's size.
    """

    def __init__(self, path: Path, row_bytes: int, *, row_count: int, private: bool = False) -> None:
        """Open a file that must hold `row_count` rows. Raises `StoreMissing` or `StoreCorrupt` (too short).

        What is written to `rows` of a `private` file stays in this process; the file itself is only read.
        """
        self._private = private
        try:
            self._fd = os.open(path, os.O_RDONLY if private else os.O_RDWR)
        except FileNotFoundError:
            raise StoreMissing(f"{path}: no such file") from None
        self.path = path
        self.row_bytes = row_bytes
        size = os.fstat(self._fd).st_size
        if size < max(row_count, 1) * row_bytes:
            os.close(self._fd)
            raise StoreCorrupt(path.name, f"{size} bytes, too few for {row_count} rows of {row_bytes}")
        self._map(size)

    @classmethod
    def create(cls, path: Path, row_bytes: int) -> FlatFile:
        """Make an empty file, or empty an existing one. Raises `CommitFailed` if the disk has no room."""
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o644)
        try:
            _allocate(fd, _STEP_BYTES, path)
        finally:
            os.close(fd)
        return cls(path, row_bytes, row_count=0)

    def _map(self, size: int) -> None:
        access = mmap.ACCESS_COPY if self._private else mmap.ACCESS_WRITE
        self.buffer: mmap.mmap | bytearray = mmap.mmap(self._fd, size, access=access)
        self._view(size)

    def _view(self, size: int) -> None:
        whole = size - size % self.row_bytes
        cells = np.frombuffer(self.buffer, np.uint8, count=whole)
        self.rows: npt.NDArray[np.uint8] = cells.reshape(-1, self.row_bytes)

    def reserve(self, row_count: int) -> None:
        """Make room for `row_count` rows; what is there stays. Raises `CommitFailed` if the disk has none."""
        if row_count <= len(self.rows):
            return
        wanted = row_count * self.row_bytes
        size = -(-(wanted + wanted // 8) // _STEP_BYTES) * _STEP_BYTES
        if self._private:
            self.buffer = bytearray(self.buffer).ljust(size, b"\0")
            self._view(size)
            return
        _allocate(self._fd, size, self.path)
        self._map(size)

    def read_row(self, position: int) -> bytes:
        """A copy of one row."""
        start = position * self.row_bytes
        return bytes(self.buffer[start : start + self.row_bytes])

    def sync(self) -> None:
        """Return once every write to `rows` is on disk, and the size with it.

        Raises `CommitFailed`.
        """
        if not isinstance(self.buffer, mmap.mmap):
            return
        try:
            self.buffer.flush()
            sync_data(self._fd)
        except OSError as error:
            raise CommitFailed(f"{self.path}: {describe_write_error(error, self.path)}") from error

    def close(self) -> None:
        """Unmap and close without syncing; twice does no harm. A view in use keeps its mapping until it goes."""
        if self._fd < 0:
            return
        self.rows = np.empty((0, self.row_bytes), np.uint8)
        if isinstance(self.buffer, mmap.mmap):
            with suppress(BufferError):
                self.buffer.close()
        os.close(self._fd)
        self._fd = -1


def _allocate(fd: int, size: int, path: Path) -> None:
    try:
        allocate(fd, size)
    except OSError as error:
        raise CommitFailed(f"cannot grow {path}: {describe_write_error(error, path)}") from error
