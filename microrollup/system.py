"""What differs between operating systems: durable writes, disk space in advance, locks, limits, cores, threads' clocks.

Linux has all of it. macOS lacks `posix_fallocate`, `fdatasync`, `sched_getaffinity` and `pthread_getcpuclockid`, and
its `fsync` does not reach the medium; each has a replacement here. Windows has no `fcntl`: what needs a lock raises
`UnsupportedSystem` there.
"""

from __future__ import annotations

import errno
import importlib
import multiprocessing
import multiprocessing.connection
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from typing import Any, BinaryIO, Final

from microrollup.errors import UsageError

__all__ = [
    "LMDB_TURN",
    "UnsupportedSystem",
    "allocate",
    "count_cores",
    "describe_write_error",
    "end_with_parent",
    "forbid_core_dumps",
    "is_full",
    "limit",
    "lock_file",
    "lowered_limit",
    "make_thread_clock",
    "raise_limit",
    "raised_limit",
    "sync_data",
    "sync_directory",
    "sync_file",
    "write_whole",
]

_ZEROS: Final = bytes(1 << 20)
_OPEN_MAX: Final = 10_240
"""Files that macOS lets a process have open at most, although it tells "no limit" (`setrlimit(2)`, OPEN_MAX)."""


_FULL_BYTES: Final = 1 << 20
"""A disk with less room than this is full: what was written last did not fit."""

_FULL: Final = (errno.ENOSPC, errno.EDQUOT)

LMDB_TURN: Final = threading.RLock()
"""Held while an LMDB environment is opened or closed.

py-lmdb (3.0.0) refuses files that the process has open already, known by their inodes. It closes files without the
interpreter's lock and forgets their inodes afterwards: a file that another thread makes in between may have one of
them, and opening it would be refused.
"""


class UnsupportedSystem(UsageError):
    """The operating system lacks a module that a store cannot do without."""

    def __init__(self, module: str) -> None:
        super().__init__(
            f"stores work on Linux and macOS, and this system has no `{module}`: on Windows use WSL (Windows Subsystem"
            " for Linux)"
        )
        self.module = module


@cache
def _find_module(name: str) -> Any | None:
    """A module of the standard library that Windows lacks; `None` there."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def count_cores() -> int:
    """The cores that this process may use; where the system does not say, all of the machine's."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def make_thread_clock() -> Callable[[], float]:
    """A clock that tells any thread what the calling one has used of the CPU, in seconds; where threads have no such
    clock, what the process has. It stands still while the thread waits or the machine does.

    Raises `OSError` when asked once the thread has ended.
    """
    if hasattr(time, "pthread_getcpuclockid"):
        return partial(time.clock_gettime, time.pthread_getcpuclockid(threading.get_ident()))
    return time.process_time


def end_with_parent() -> None:
    """Have this process of a pool end once its parent has: a killed parent cannot tell its pool."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    multiprocessing.connection.wait([sentinel])
    os._exit(1)


def allocate(handle: int, size: int) -> None:
    """Make a file at least `size` bytes long, with room on the disk for each of them. Raises `OSError`."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(handle, 0, size)
        return
    end = os.fstat(handle).st_size
    while end < size:
        end += os.pwrite(handle, _ZEROS[: size - end], end)


def sync_file(handle: int) -> None:
    """Return once a file's bytes and size are on the medium. Raises `OSError`.

    On macOS `fsync` leaves them in the drive's cache; `F_FULLFSYNC` empties it, and not every file system has it.
    """
    full = _find_full_sync()
    if full is not None:
        fcntl, command = full
        try:
            fcntl.fcntl(handle, command)
        except OSError:
            os.fsync(handle)
        return
    os.fsync(handle)


def sync_data(handle: int) -> None:
    """`sync_file` without times of access and change, where the system can leave them out. Raises `OSError`."""
    if hasattr(os, "fdatasync") and _find_full_sync() is None:
        os.fdatasync(handle)
    else:
        sync_file(handle)


def _find_full_sync() -> tuple[Any, int] | None:
    """MacOS's own module and command."""
    fcntl = _find_module("fcntl")
    command = getattr(fcntl, "F_FULLFSYNC", None)
    return None if command is None else (fcntl, command)


def sync_directory(directory: Path) -> None:
    """Make names that were created or replaced in a directory durable. Raises `OSError`."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        sync_file(handle)
    finally:
        os.close(handle)


@contextmanager
def write_whole(target: Path | BinaryIO) -> Iterator[BinaryIO]:
    """A file to write, which replaces the one at a path once it is whole and durable; a stream is written as it comes.

    If the block raises, what is at the path stays. Raises `OSError`.
    """
    if not isinstance(target, Path):
        yield target
        target.flush()
        return
    part = target.with_name(f"{target.name}.part")
    try:
        with part.open("wb") as file:
            yield file
            file.flush()
            sync_file(file.fileno())
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def lock_file(path: Path, *, create: bool = False, shared: bool = False) -> int | None:
    """Take an advisory lock on a file without waiting: a handle that holds it until closed, `None` if it is taken.

    Raises `OSError`, `UnsupportedSystem`.
    """
    fcntl = _find_module("fcntl")
    if fcntl is None:
        raise UnsupportedSystem("fcntl")
    handle = os.open(path, os.O_RDWR | os.O_CREAT if create else os.O_RDONLY, 0o644)
    try:
        fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        return None
    return handle


def describe_write_error(error: BaseException, place: Path) -> str:
    """Why a write to a file or into a directory failed, in words for an operator.

    A disk that is full while LMDB writes shows as a short write, which LMDB calls an input/output error.
    """
    text = getattr(error, "strerror", None) or str(error)
    if is_full(error) or (os.strerror(errno.EIO) in text and _count_free(place) < _FULL_BYTES):
        return f"the disk is full: make room where {place} is"
    return text


def is_full(error: BaseException) -> bool:
    """Whether an error says that there is no room on a disk, or none for this user."""
    return getattr(error, "errno", None) in _FULL or os.strerror(errno.ENOSPC) in str(error)


def _count_free(place: Path) -> int:
    """Bytes that this process may still write there."""
    try:
        return shutil.disk_usage(place if place.exists() else place.parent).free
    except OSError:
        return _FULL_BYTES


@contextmanager
def limit(name: str, soft: int) -> Iterator[None]:
    """Hold this process to a limit (`RLIMIT_DATA`, ...) meanwhile, as far as the system knows it and allows it.

    Processes that are started meanwhile inherit it, and may raise it again.
    """
    resource = _find_module("resource")
    number = getattr(resource, name, None)
    if resource is None or number is None:
        yield
        return
    before, hard = resource.getrlimit(number)
    resource.setrlimit(number, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard))
    try:
        yield
    finally:
        resource.setrlimit(number, (before, hard))


def raise_limit(name: str, wanted: int) -> None:
    """Let this process have so many of something (`RLIMIT_NOFILE`, ...), as far as the system allows."""
    resource = _find_module("resource")
    number = getattr(resource, name, None)
    if resource is None or number is None:
        return
    soft, hard = resource.getrlimit(number)
    for count in (wanted, _OPEN_MAX):
        allowed = count if hard == resource.RLIM_INFINITY else min(count, hard)
        if soft == resource.RLIM_INFINITY or soft >= allowed:
            return
        try:
            resource.setrlimit(number, (allowed, hard))
        except (OSError, ValueError):
            continue
        return


@contextmanager
def raised_limit(name: str, wanted: int) -> Iterator[None]:
    """`raise_limit` for a while; a limit that is higher already, or that the system does not have, stays as it is."""
    resource = _find_module("resource")
    number = getattr(resource, name, None)
    if resource is None or number is None:
        yield
        return
    before, hard = resource.getrlimit(number)
    raise_limit(name, wanted)
    try:
        yield
    finally:
        resource.setrlimit(number, (before, hard))


class lowered_limit:  # noqa: N801  (a statement as the others here; a class, since it is entered for each group)
    """Hold this process to a limit that is lower by one part in so many meanwhile, if it has one."""

    __slots__ = ("_before", "_divisor", "_number", "_resource")

    def __init__(self, name: str, divisor: int) -> None:
        self._resource = _find_module("resource")
        self._number = getattr(self._resource, name, None)
        self._divisor = divisor
        self._before: tuple[int, int] | None = None

    def __enter__(self) -> None:
        resource, number = self._resource, self._number
        if resource is None or number is None:
            return
        soft, hard = resource.getrlimit(number)
        if soft != resource.RLIM_INFINITY:
            self._before = soft, hard
            resource.setrlimit(number, (soft - soft // self._divisor, hard))

    def __exit__(self, *_: object) -> None:
        if self._before is not None and self._resource is not None:
            self._resource.setrlimit(self._number, self._before)


def forbid_core_dumps() -> None:
    """Never write an image of the memory of this process when it dies."""
    resource = _find_module("resource")
    if resource is not None:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
