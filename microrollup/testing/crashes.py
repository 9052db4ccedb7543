"""`CrashExplorer`: opens a store from what crashes during some steps may leave of its files.

    found = CrashExplorer(app, [(alice, Increment(by=3)), next_block(), (alice, Increment(by=4))]).explore(1_000)
    print(found.states)

The steps run in a process of their own, with a clean restart halfway. Its writes are recorded: LMDB's calls, and the
mapped files at each of them. A crash keeps what a sync covers, and of what was written since any sectors of 512 bytes.
From each such state the store must open, hold all that was acknowledged by then and nothing that is half done, and, one
state in fifty, replay to the same store.

Linux with a C compiler only. Not covered: changes of a mapped page that a later one overwrites before the next call,
and directory entries, which are there from the beginning.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from random import Random
from typing import Final

import msgspec
from blake3 import blake3

from microrollup.declaration.rollup import MicroRollup
from microrollup.errors import MicrorollupError, UsageError
from microrollup.logs import ensure_logging
from microrollup.testing.crash_child import MARKS_FILE, Mark, make_mark
from microrollup.testing.crash_record import CrashImage, WriteEvent, build_recorder, make_images, read_events
from microrollup.testing.determinism import make_request, make_search_path
from microrollup.testing.execution import ExecutionStep, Senders
from microrollup.testing.stored import StoredRollup, open_fast_directory

__all__ = ["CrashExplorer", "CrashLoss", "Explored"]

_SECONDS: Final = 300
_REPLAY_EVERY: Final = 50
"""Replay takes longer than opening: one state in so many is replayed."""


_PASSES: Final = 4
"""Over the events, each for as many states as are missing: chance may make one state twice."""


class CrashLoss(AssertionError):
    """A store does not come back from a crash as it must."""

    def __init__(self, event: int, reason: str) -> None:
        super().__init__(f"a crash after write {event}: {reason}")
        self.event = event
        """How many writes and syncs had happened."""


class Explored(msgspec.Struct, frozen=True):
    """What was tried."""

    states: int
    """Different contents of the files, each opened."""
    events: int
    """Writes and syncs that the steps made."""


class CrashExplorer:
    """The steps of an app, and every crash in between. `senders` sign; anybody forces."""

    def __init__(
        self, app: MicroRollup, steps: Iterable[ExecutionStep], *, senders: Senders | None = None, seed: int = 0
    ) -> None:
        """`seed` chooses the sectors that a crash keeps. Raises `UsageError` as `assert_deterministic` does."""
        self._app = app
        self._senders = Senders(8) if senders is None else senders
        self._request = make_request(app, list(steps))
        self._seed = seed

    def explore(self, states: int = 300) -> Explored:
        """Open at most so many different states. Raises `CrashLoss` at the first that is wrong.

        Raises `UsageError` where the writes cannot be recorded, as without a C compiler, with the reason.
        """
        ensure_logging()
        with open_fast_directory() as directory:
            library = build_recorder(directory)
            with StoredRollup(directory / "rollup", self._app, self._senders) as rollup:
                rollup.ledger.sync_tree()
                start = make_mark(rollup)
            store = directory / "rollup" / "store"
            before = {path.name: path.read_bytes() for path in store.iterdir() if "lock" not in path.name}
            events = self._record(directory, library)
            marks, acknowledged = _read_marks(start, events)
            events_only = [event for event in events if event.name != MARKS_FILE]
            return self._open_all(directory, before, events_only, marks, acknowledged, states)

    def _record(self, directory: Path, library: Path) -> list[WriteEvent]:
        log = directory / "events"
        environment = {
            "LD_PRELOAD": str(library), "CRASH_ROOT": str(directory / "rollup" / "store"), "CRASH_LOG": str(log),
            "PYTHONPATH": make_search_path(sys.executable), "PYTHONHASHSEED": "0",
        }  # fmt: skip
        command = [sys.executable, "-P", "-m", "microrollup.testing.crash_child", str(directory / "rollup")]
        done = subprocess.run(  # noqa: S603  # this interpreter
            [*command, str(len(self._senders))], input=self._request, env=environment, capture_output=True, check=False,
            timeout=_SECONDS,
        )  # fmt: skip
        if done.returncode:
            said = done.stderr.decode(errors="replace").strip().splitlines() or ["without a word"]
            raise UsageError(f"the process that takes the steps ended with {said[-1]}")
        if not log.exists():
            raise UsageError("nothing was recorded: this system preloads no library into Python")
        return read_events(log)

    def _open_all(
        self,
        directory: Path,
        before: dict[str, bytes],
        events: list[WriteEvent],
        marks: list[Mark],
        acknowledged: list[int],
        states: int,
    ) -> Explored:
        chance = Random(self._seed)  # noqa: S311  # the same choices each time
        seen: set[tuple[bytes, int]] = set()
        for _ in range(_PASSES):
            wanted, places = states - len(seen), len(events) + 1
            counts = [(number + 1) * wanted // places - number * wanted // places for number in range(places)]
            for image in make_images(before, events, chance, counts):
                index = acknowledged[image.event]
                digest = blake3(b"".join([name.encode() + raw for name, raw in sorted(image.files.items())])).digest()
                if (digest, index) not in seen:
                    seen.add((digest, index))
                    self._open(directory, image, marks, index, replay=len(seen) % _REPLAY_EVERY == 1)
            if len(seen) == states:
                break
        return Explored(len(seen), len(events))

    def _open(self, directory: Path, image: CrashImage, marks: list[Mark], acknowledged: int, *, replay: bool) -> None:
        store = directory / "rollup" / "store"
        for name, raw in image.files.items():
            (store / name).write_bytes(raw)
        (store / "lock.mdb").unlink(missing_ok=True)
        try:
            with StoredRollup(directory / "rollup", self._app, self._senders, create=False) as rollup:
                found = make_mark(rollup)
                if found not in marks[acknowledged : acknowledged + 2]:
                    wanted = " or ".join(_describe(mark) for mark in marks[acknowledged : acknowledged + 2])
                    raise CrashLoss(image.event, f"the store holds {_describe(found)}, not {wanted}")
                if replay:
                    with open_fast_directory() as elsewhere:
                        rollup.close_block()
                        differences = rollup.replay(elsewhere / "replayed")
                    if differences:
                        raise CrashLoss(image.event, f"replay gives another store: {differences[0]}")
        except MicrorollupError as error:
            raise CrashLoss(image.event, f"the store does not open: {error}") from error


def _read_marks(start: Mark, events: list[WriteEvent]) -> tuple[list[Mark], list[int]]:
    """The marks, different ones only; and for each number of other events how many of them were made by then."""
    decode = msgspec.msgpack.Decoder(Mark).decode
    marks, acknowledged = [start], [0]
    for event in events:
        if event.name != MARKS_FILE:
            acknowledged.append(len(marks) - 1)
            continue
        mark = decode(event.data)
        if mark != marks[-1]:
            marks.append(mark)
        acknowledged[-1] = len(marks) - 1
    return marks, acknowledged


def _describe(mark: Mark) -> str:
    return f"{mark.next_seq} actions, block {mark.height} and state 0x{mark.state[:4].hex()}"
