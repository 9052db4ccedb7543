"""Tracing an app's steps in a process of its own: what `assert_deterministic` starts, under any environment.

The request comes on standard input, the lines go to standard output; nothing else is shared with the process that asks.
"""

from __future__ import annotations

import importlib
import importlib.util
import locale
import os
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import msgspec

from microrollup.chain.receipt import STATUS_NAMES
from microrollup.codec.schema import describe_struct
from microrollup.codec.values import compile_codec
from microrollup.crypto.keccak import keccak256
from microrollup.declaration.rollup import MicroRollup
from microrollup.errors import UsageError
from microrollup.testing.execution import ExecutionStep, at, envelope, force, next_block, trace

__all__ = ["AppPlace", "StepRecord", "TraceLine", "TraceRequest", "decode_steps", "load_app", "make_lines"]


class AppPlace(msgspec.Struct, frozen=True, array_like=True):
    """Where an app is imported from."""

    module: str
    path: str
    """The module's file, for modules that no name finds."""
    attribute: str


class StepRecord(msgspec.Struct, frozen=True, array_like=True):
    """A step as bytes: an action by its name and canonical msgpack, or a time without an action."""

    sender: bytes
    is_forced: bool
    name: str
    """Empty for the beginning of a block."""
    action: bytes
    timestamp: int
    """Of that block, in seconds; -1: a second after the block before."""
    is_envelope: bool = False
    """`action` is what comes in the envelope of that name, `sender` who carried it."""


class TraceRequest(msgspec.Struct, frozen=True, array_like=True):
    """What to import and to execute."""

    app: AppPlace
    steps: list[StepRecord]


class TraceLine(msgspec.Struct, frozen=True, array_like=True):
    """What one action did. The genesis is a line too, the first one."""

    text: str
    """For a reader: the status and the reason."""
    digest: bytes
    """keccak256 of the receipt and of the rows that changed."""


_encode: Final = msgspec.msgpack.Encoder().encode


def make_lines(app: MicroRollup, steps: Iterable[ExecutionStep]) -> Iterator[TraceLine]:
    """The genesis, then each action. Raises what `execute` raises."""
    yield TraceLine("the genesis", keccak256(_encode(list(_encode_state(app)))))
    for done in trace(app, steps):
        receipt = done.receipt
        text = f"{type(done.action).__name__}: {STATUS_NAMES[receipt.status]} {receipt.reason}".strip()
        yield TraceLine(text, keccak256(_encode([receipt.status, receipt.reason, receipt.events, done.rows])))


def _encode_state(app: MicroRollup) -> Iterator[tuple[str, bytes, bytes]]:
    for name, field in app.state_fields:
        value = field.read(app.genesis)
        if not field.is_map:
            yield name, b"", field.encode_row(value)
            continue
        for key, row in sorted((field.encode_key(key), field.encode_row(item)) for key, item in value.items()):
            yield name, key, row


def load_app(place: AppPlace) -> MicroRollup:
    """Import an app. Raises `UsageError` unless the module has it."""
    module: Any = None
    with suppress(ImportError):
        module = importlib.import_module(place.module)
    if module is None or not Path(getattr(module, "__file__", None) or os.devnull).samefile(place.path):
        spec = importlib.util.spec_from_file_location(place.module, place.path)
        if spec is None or spec.loader is None:
            raise UsageError(f"{place.path} cannot be imported")
        module = sys.modules[place.module] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    app = getattr(module, place.attribute, None)
    if not isinstance(app, MicroRollup):
        raise UsageError(f"{place.module} has no app {place.attribute!r} here")
    return app


def decode_steps(app: MicroRollup, records: list[StepRecord]) -> Iterator[ExecutionStep]:
    """The steps that some records are."""
    decoders: dict[str, Any] = {}
    for record in records:
        if not record.name:
            yield next_block() if record.timestamp < 0 else at(record.timestamp)
            continue
        if record.is_envelope:
            yield envelope(record.name, record.action, l1_sender=record.sender if record.is_forced else None)
            continue
        if record.name not in decoders:
            cls = app.action_types.by_name[record.name].cls
            decoders[record.name] = compile_codec(describe_struct(cls, where="action")).decode
        action = decoders[record.name](record.action)
        yield force(record.sender, action) if record.is_forced else (record.sender, action)


def main() -> None:
    """Read a request, write the lines; what is raised ends the process, as anywhere."""
    locale.setlocale(locale.LC_ALL, "")
    if hasattr(time, "tzset"):
        time.tzset()
    request = msgspec.msgpack.decode(sys.stdin.buffer.read(), type=TraceRequest)
    out, sys.stdout = sys.stdout.buffer, sys.stderr  # standard output is not for what an app prints
    app = load_app(request.app)
    for line in make_lines(app, decode_steps(app, request.steps)):
        raw = _encode(line)
        out.write(len(raw).to_bytes(4, "big") + raw)
    out.flush()


if __name__ == "__main__":
    main()
