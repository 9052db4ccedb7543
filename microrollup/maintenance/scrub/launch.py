"""Running the scan in processes of its own, one after another as long as they die."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Final

import msgspec

from microrollup import errors
from microrollup.errors import MicrorollupError, StoreMissing
from microrollup.maintenance.scrub.report import (
    Counted,
    Damage,
    Failed,
    Finished,
    Found,
    Reading,
    ScrubEvent,
    ScrubReport,
    ScrubRequest,
    TableProgress,
    Unchecked,
    choose_repair,
)
from microrollup.store.environment import DATA_FILE, is_being_written

__all__ = ["OnRowsChecked", "scrub_store"]

OnRowsChecked = Callable[[str, int, int], None]
"""Called with a table's or file's name, the rows that are read, and how many there are."""

_SILENCE_SECONDS: Final = 300
"""A process that says nothing for so long has lost its way in damaged pages."""

_READ_BYTES: Final = 1 << 16
_DECODER: Final[msgspec.json.Decoder[ScrubEvent]] = msgspec.json.Decoder(ScrubEvent)


def _ignore_progress(_table: str, _done: int, _total: int) -> None:
    """For callers who do not watch."""


def scrub_store(directory: Path, app: str, on_progress: OnRowsChecked = _ignore_progress) -> ScrubReport:
    """Scan the store in `directory`, of the rollup that `app` names (`module:name`); nothing is changed or locked.

    A writer may be active; the report says so. Raises `StoreMissing`, `WrongRollup`, `UsageError` if the app cannot be
    loaded, and `MicrorollupError` if no process can be started.
    """
    if not (directory / DATA_FILE).is_file():
        raise StoreMissing(f"there is no store in {directory}")
    writer_active = is_being_written(directory)
    scan = _Scan(on_progress)
    first: int | None = 0
    while first is not None:
        request = ScrubRequest(str(directory.absolute()), app, _find_path(), first, scan.unreadable, scan.wrong)
        first = scan.run(request)
    return ScrubReport(
        checked=scan.checked,
        damages=[
            Damage(found.where, found.reason, choose_repair(found.where, restored=scan.restored))
            for found in scan.found
        ],
        unchecked=scan.unchecked,
        writer_active=writer_active or is_being_written(directory),
    )


def _find_path() -> list[str]:
    """Where the process finds this package and the app: absolute, because it need not work here."""
    return [str(Path(path).absolute()) for path in sys.path]


class _Scan:
    """What the processes have told so far."""

    def __init__(self, on_progress: OnRowsChecked) -> None:
        self.checked: dict[str, int] = {}
        self.found: list[Found] = []
        self.unchecked: list[str] = []
        self.unreadable: list[str] = []
        self.wrong: list[str] = []
        self.restored = False
        self._on_progress = on_progress

    def run(self, request: ScrubRequest) -> int | None:
        """Run one process; the stage at which another has to go on, None if all are done."""
        reading: Reading | None = None
        with tempfile.TemporaryFile() as complaints, _start(request, complaints) as process:
            try:
                for event in _converse(process, request):
                    if isinstance(event, Finished):
                        self.restored = event.restored
                        return None
                    if isinstance(event, Reading):
                        reading = event
                    self._take(event)
                reason = _describe_end(process, complaints)
            except TimeoutError:
                reason = f"reading it does not come to an end: nothing was heard for {_SILENCE_SECONDS} s"
            finally:
                process.kill()
        if reading is None:
            raise MicrorollupError(f"the scan could not begin: {reason}")
        self._take(Found(reading.table, reason, unreadable=True))
        return None if reading.table == DATA_FILE else reading.stage + 1

    def _take(self, event: ScrubEvent) -> None:
        match event:
            case TableProgress():
                self._on_progress(event.table, event.done, event.total)
            case Counted():
                self.checked[event.table] = event.rows
            case Unchecked():
                self.unchecked.append(event.what)
            case Found():
                self.found.append(event)
                table = event.where.partition("/")[0]
                for tables in (self.wrong, self.unreadable) if event.unreadable else (self.wrong,):
                    if table not in tables:
                        tables.append(table)
            case Failed():
                kind = getattr(errors, event.kind, MicrorollupError)
                raise kind(event.message)
            case _:
                pass


def _start(request: ScrubRequest, complaints: IO[bytes]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "microrollup.maintenance.scrub.process"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=complaints,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(request.python_path)},
    )


def _converse(process: subprocess.Popen[bytes], request: ScrubRequest) -> Iterator[ScrubEvent]:
    """The events that a process writes until it ends. Raises `TimeoutError` if it falls silent."""
    if process.stdin is None or process.stdout is None:
        raise AssertionError("the process was started with pipes")
    process.stdin.write(msgspec.json.encode(request))
    process.stdin.close()
    output, rest = process.stdout.fileno(), b""
    while True:
        if not select.select([output], [], [], _SILENCE_SECONDS)[0]:
            raise TimeoutError
        part = os.read(output, _READ_BYTES)
        if not part:
            return
        *lines, rest = (rest + part).split(b"\n")
        for line in lines:
            yield _DECODER.decode(line)


def _describe_end(process: subprocess.Popen[bytes], complaints: IO[bytes]) -> str:
    """In words, why a process ended before it was done."""
    code = process.wait()
    how = f"ends the process ({signal.Signals(-code).name})" if code < 0 else f"fails (exit code {code})"
    complaints.seek(0)
    last = complaints.read(_READ_BYTES).decode(errors="replace").strip().rpartition("\n")[2]
    return f"reading it {how}" + (f": {last[:200]}" if last else "")
