"""Recording what a process writes to a store's files, and making from it what a crash may leave of them."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Final

import msgspec

from microrollup.errors import UsageError

__all__ = ["SECTOR_BYTES", "CrashImage", "WriteEvent", "build_recorder", "make_images", "mix_sectors", "read_events"]

SECTOR_BYTES: Final = 512
"""What a disk writes whole."""

_SOURCE: Final = Path(__file__).with_name("crash_recorder.c")
_HEAD_BYTES: Final = 20


class WriteEvent(msgspec.Struct, frozen=True):
    """One thing that a process did to a file."""

    kind: str
    """"w": bytes were written; "s": all that was written before is durable; "t": the file was given a length."""
    is_durable: bool
    """Of a write that returns once it is on the disk."""
    name: str
    offset: int
    size: int
    data: bytes


class CrashImage(msgspec.Struct, frozen=True):
    """What a crash may leave."""

    event: int
    """How many events had happened."""
    files: dict[str, bytes]


def build_recorder(directory: Path) -> Path:
    """Compile the recorder into a library to preload. Raises `UsageError` with the reason where it cannot be."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        raise UsageError("recording what LMDB and mapped files write needs a C compiler (cc), and there is none")
    library = directory / "crash_recorder.so"
    command = [compiler, "-shared", "-fPIC", "-O2", "-o", str(library), str(_SOURCE), "-ldl", "-lpthread"]
    environment = {"PATH": os.defpath} | os.environ  # without a PATH compilers do not find their linker
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise UsageError(f"the recorder of writes does not compile here (it needs Linux): {done.stderr.strip()}")
    return library


def read_events(path: Path) -> list[WriteEvent]:
    """What the recorder has written, in order."""
    raw, events, at = memoryview(path.read_bytes()), [], 0
    while at < len(raw):
        kind, durable, name_size = chr(raw[at]), raw[at + 1] != 0, int.from_bytes(raw[at + 2 : at + 4], "little")
        offset, size = (int.from_bytes(raw[at + place : at + place + 8], "little") for place in (4, 12))
        at += _HEAD_BYTES
        name = bytes(raw[at : at + name_size]).decode()
        at += name_size
        data = bytes(raw[at : at + size]) if kind == "w" else b""
        at += len(data)
        events.append(WriteEvent(kind, durable, name, offset, size, data))
    return events


def mix_sectors(chance: Random, old: bytes, new: bytes, sector_bytes: int = SECTOR_BYTES) -> bytes:
    """What a crash may leave of a file that was rewritten: any sectors of the old and any of the new contents.

    As long as `new`; what `old` lacks of it is zeros.
    """
    old = old.ljust(len(new), b"\0")
    starts = range(0, len(new), sector_bytes)
    return b"".join((new if chance.random() < 0.5 else old)[start : start + sector_bytes] for start in starts)


def make_images(
    before: Mapping[str, bytes], events: list[WriteEvent], chance: Random, counts: Sequence[int]
) -> Iterator[CrashImage]:
    """What crashes after 0, 1, 2, … events may leave, `counts[i]` of them after i events, in order.

    `before` are the files at the beginning, durable. A crash keeps what a sync covers; of what was written since it
    keeps nothing, all, or sectors by chance.
    """
    durable = {name: bytearray(raw) for name, raw in before.items()}
    pending: list[WriteEvent] = []
    for number, count in enumerate(counts):
        if number:
            event = events[number - 1]
            if event.kind == "s":
                for earlier in pending:
                    if earlier.name == event.name:
                        _apply(durable, earlier, None)
                pending = [earlier for earlier in pending if earlier.name != event.name]
            elif event.is_durable:
                _apply(durable, event, None)
            else:
                pending.append(event)
        for _ in range(count):
            share = chance.choice((0.0, 1.0, chance.random(), chance.random()))
            files = {name: bytearray(raw) for name, raw in durable.items()}
            for earlier in pending:
                _apply(files, earlier, chance, share)
            yield CrashImage(number, {name: bytes(raw) for name, raw in files.items()})


def _apply(files: dict[str, bytearray], event: WriteEvent, chance: Random | None, share: float = 1.0) -> None:
    """Do what an event did: all of it, or of each sector with probability `share`."""
    file = files.setdefault(event.name, bytearray())
    if event.kind == "t" and (chance is None or chance.random() < share):
        del file[event.size :]
        file.extend(bytes(event.size - len(file)))
    if event.kind != "w":
        return
    at, end = event.offset, event.offset + event.size
    while at < end:
        stop = min(end, at - at % SECTOR_BYTES + SECTOR_BYTES)
        if chance is None or chance.random() < share:
            file.extend(bytes(max(0, stop - len(file))))
            file[at:stop] = event.data[at - event.offset : stop - event.offset]
        at = stop
