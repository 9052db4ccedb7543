"""`assert_deterministic`: the same steps in other processes give the same receipts and rows.

    compared = assert_deterministic(app, [(alice, Increment(by=3)), next_block(), (bob, Increment(by=4))])
    print(compared)

The processes differ in hash seed, time zone, locale, working directory and time; and in the minor version of CPython,
for each installed one that can import microrollup.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec

from microrollup.codec.schema import describe_struct
from microrollup.codec.values import compile_codec
from microrollup.declaration.rollup import MicroRollup
from microrollup.errors import UsageError
from microrollup.testing.execution import BlockStep, EnvelopeStep, ExecutionStep, ForcedStep, UpgradeTo
from microrollup.testing.retrace import AppPlace, StepRecord, TraceLine, TraceRequest, make_lines

__all__ = ["Compared", "NonDeterministic", "Surroundings", "assert_deterministic", "make_request", "make_search_path"]

MINORS: Final = (11, 12, 13)
"""Of CPython 3, those that microrollup supports."""

_SECONDS: Final = 300
"""After so long a process is taken for one that does not end."""

_LINE_DECODER: Final = msgspec.msgpack.Decoder(TraceLine)


class Surroundings(msgspec.Struct, frozen=True):
    """What differs between two processes that execute the same steps."""

    python: str
    """The interpreter's path."""
    version: str
    """As "3.11"."""
    hash_seed: int
    zone: str
    locale: str

    def __str__(self) -> str:
        return f"CPython {self.version}, hash seed {self.hash_seed}, {self.zone}, {self.locale}"


class Compared(msgspec.Struct, frozen=True):
    """What was compared with this process."""

    surroundings: tuple[Surroundings, ...]
    left_out: tuple[str, ...]
    """Versions of CPython that were not compared, each with the reason."""

    @property
    def versions(self) -> tuple[str, ...]:
        """The versions of CPython that were compared, as "3.11"."""
        return tuple(sorted({item.version for item in self.surroundings}))


class NonDeterministic(AssertionError):
    """An action did something else in another process."""

    def __init__(self, number: int, surroundings: Surroundings, here: str, there: str) -> None:
        where = "the genesis" if number < 0 else f"action {number}"
        found = f"here {here}; there {there}" if here != there else f"{here}, with other rows or events"
        super().__init__(f"{where} is not deterministic: {found} (there: {surroundings})")
        self.number = number
        """Of the first action that differs, counted from 0 in the order of execution; -1 for the genesis."""
        self.surroundings = surroundings


def assert_deterministic(
    app: MicroRollup, steps: Iterable[ExecutionStep], *, interpreters: Sequence[Path] | None = None
) -> Compared:
    """Execute the steps here and in other surroundings, and say which those were.

    `interpreters` are others than this one, by default `python3.11` to `python3.13` of the search path. One that cannot
    import microrollup is left out, and named in the result. Raises `NonDeterministic` with the first differing action,
    `UsageError` for an app that no module holds or that another process cannot import, and what `execute` raises.
    """
    kept = list(steps)
    here = list(make_lines(app, kept))
    request = make_request(app, kept)
    surroundings, left_out = _choose_surroundings(interpreters)
    for item in surroundings:
        _compare(here, _run(item, request), item)
    return Compared(surroundings, left_out)


def make_request(app: MicroRollup, steps: list[ExecutionStep]) -> bytes:
    """What a process is told that imports an app and decodes steps. Raises `UsageError` as `assert_deterministic`."""
    return msgspec.msgpack.encode(TraceRequest(_find_app(app), list(_encode_steps(app, steps))))


def _find_app(app: MicroRollup) -> AppPlace:
    """Raises `UsageError` unless the app is an attribute of a module with a file."""
    own = app.state_type.cls.__module__
    for name in (own, *[name for name in sys.modules if name != own]):
        path = getattr(sys.modules.get(name), "__file__", None)
        if not path or name == "__main__":
            continue
        for attribute, value in list(vars(sys.modules[name]).items()):
            if value is app:
                return AppPlace(name, str(Path(path).absolute()), attribute)
    raise UsageError(f"{app.name} is not a module's attribute, so that another process cannot import it")


def _encode_steps(app: MicroRollup, steps: list[ExecutionStep]) -> Iterator[StepRecord]:
    encoders = {cls: compile_codec(describe_struct(cls, where="action")).encode for cls in app.stf_by_action}
    for step in steps:
        if isinstance(step, BlockStep):
            yield StepRecord(b"", False, "", b"", -1 if step.timestamp is None else step.timestamp)
            continue
        if isinstance(step, EnvelopeStep):
            carrier = step.l1_sender
            yield StepRecord(carrier or b"", carrier is not None, step.name, step.raw, 0, is_envelope=True)
            continue
        if isinstance(step, UpgradeTo):
            raise UsageError("what is compared has no upgrade: compare each version by itself")
        is_forced = isinstance(step, ForcedStep)
        sender, action = (step.sender, step.action) if isinstance(step, ForcedStep) else step
        yield StepRecord(sender, is_forced, type(action).__name__, encoders[type(action)](action), 0)


def _choose_surroundings(interpreters: Sequence[Path] | None) -> tuple[tuple[Surroundings, ...], tuple[str, ...]]:
    """Two for this interpreter, one for each other that works; and what does not work."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    chosen = [
        Surroundings(sys.executable, version, 1, "Pacific/Kiritimati", "C"),
        Surroundings(sys.executable, version, 4_000_000_007, "America/St_Johns", "C.UTF-8"),
    ]
    if interpreters is not None:
        candidates = {str(path): str(path) for path in interpreters}
    else:
        minors = [minor for minor in MINORS if minor != sys.version_info.minor]
        candidates = {f"3.{minor}": shutil.which(f"python3.{minor}") or "" for minor in minors}
    left_out: list[str] = []
    for name, python in candidates.items():
        found, reason = _probe(python) if python else ("", "is not on the search path")
        if reason:
            left_out.append(f"{name} {reason}")
        else:
            chosen.append(Surroundings(python, found, 77, "Asia/Kathmandu", "C.UTF-8"))
    return tuple(chosen), tuple(left_out)


def _probe(python: str) -> tuple[str, str]:
    """The version of an interpreter, and why it is of no use (nothing if it is)."""
    code = "import sys, microrollup.testing.retrace; print('%d.%d' % sys.version_info[:2])"
    try:
        done = subprocess.run(  # noqa: S603  # an interpreter of the caller's own machine
            [python, "-P", "-c", code], env=_make_environment(python), capture_output=True, text=True, check=False,
            timeout=_SECONDS,
        )  # fmt: skip
    except OSError as error:
        return "", f"cannot be started ({error.strerror})"
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it ended without a word"])[-1]
        return "", f"cannot import microrollup ({last})"
    return done.stdout.strip(), ""


def make_search_path(python: str) -> str:
    """The places of this process's modules. Another interpreter has dependencies of its own."""
    paths = [os.path.abspath(path) for path in sys.path]  # noqa: PTH100  # "" is the working directory
    if python != sys.executable:
        own = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")})
        paths = [path for path in paths if not path.startswith(own) and "-packages" not in path]
    root = str(Path(__file__).absolute().parents[2])
    if root not in paths:
        paths.append(root)
    return os.pathsep.join(paths)


def _make_environment(python: str) -> dict[str, str]:
    return {"PYTHONPATH": make_search_path(python), "PATH": os.environ.get("PATH", "")}


def _run(surroundings: Surroundings, request: bytes) -> Iterator[TraceLine]:
    python = surroundings.python
    environment = _make_environment(python) | {
        "PYTHONHASHSEED": str(surroundings.hash_seed), "TZ": surroundings.zone, "LC_ALL": surroundings.locale,
        "PYTHONDONTWRITEBYTECODE": "1",
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as elsewhere:
        try:
            done = subprocess.run(  # noqa: S603  # the same
                [python, "-P", "-m", "microrollup.testing.retrace"], input=request, env=environment, cwd=elsewhere,
                capture_output=True, check=False, timeout=_SECONDS,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise UsageError(f"the steps did not end within {_SECONDS} s ({surroundings})") from None
    raw = done.stdout
    while raw:
        size = int.from_bytes(raw[:4], "big")
        yield _LINE_DECODER.decode(raw[4 : 4 + size])
        raw = raw[4 + size :]
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines() or ["without a word"]
        yield TraceLine(f"ends with {said[-1]}", b"")


def _compare(here: list[TraceLine], there: Iterator[TraceLine], surroundings: Surroundings) -> None:
    """Raises `NonDeterministic`, or `UsageError` if the other process could not even begin."""
    for number, line in enumerate(there, -1):
        if number < 0 and not line.digest:
            raise UsageError(f"another process cannot execute these steps: it {line.text} ({surroundings})")
        mine = here[number + 1] if number + 1 < len(here) else TraceLine("nothing", b"")
        if mine != line:
            raise NonDeterministic(number, surroundings, mine.text, line.text)
