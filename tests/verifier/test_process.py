"""The verifier's process itself: one request in, one JSON line an event out, an exit code, and following."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

import remembering
from kernel_fixtures import Chain
from microrollup.verifier.events import (
    DivergenceEvent,
    ErrorEvent,
    Report,
    Tick,
    VerifierEvent,
    VerifierProgress,
    VerifierRequest,
)
from paths import ROOT, SUPPORT
from zoo import buggy_zoo

HERE = str(SUPPORT)
DECODER: msgspec.json.Decoder[VerifierEvent] = msgspec.json.Decoder(VerifierEvent)


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[Chain]:
    made = Chain(tmp_path)
    made.edit(("count", 0, 1))
    made.close_block()
    yield made
    made.close()


def start(request: VerifierRequest) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, "-m", "microrollup.verifier"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert process.stdin is not None
    process.stdin.write(msgspec.json.encode(request) + b"\n")
    process.stdin.flush()
    return process


def make_request(root: Path, **changes: object) -> VerifierRequest:
    base = VerifierRequest("zoo:zoo", str(root / "builder"), str(root / "verifier"), [HERE], workers=0)
    return msgspec.structs.replace(base, **changes)


def finish(process: subprocess.Popen[bytes]) -> tuple[int, list[VerifierEvent]]:
    """Exit code and events."""
    output, _ = process.communicate(timeout=60)
    return process.returncode, [DECODER.decode(line) for line in output.splitlines()]


def test_exit_codes(chain: Chain, tmp_path: Path) -> None:
    """0: verified, 1: a block diverges, 2: anything else; the last event says what."""
    code, events = finish(start(make_request(tmp_path)))
    assert (0, [VerifierProgress, Report]) == (code, list(map(type, events)))
    chain.reopen(buggy_zoo)
    chain.edit(("set_ticket", 1, 1))
    chain.close_block()
    code, events = finish(start(make_request(tmp_path)))
    assert (1, [DivergenceEvent]) == (code, list(map(type, events)))
    code, events = finish(start(make_request(tmp_path, source="/nowhere")))
    assert (2, [ErrorEvent]) == (code, list(map(type, events)))


@pytest.mark.parametrize("once", [False, True])
def test_executions(chain: Chain, tmp_path: Path, once: bool) -> None:
    """The report says whether each action was executed once only."""
    code, (_, report) = finish(start(make_request(tmp_path, once=once)))
    assert isinstance(report, Report)
    assert (0, once) == (code, report.once)


@pytest.mark.parametrize("once", [False, True])
def test_envelopes_are_opened_as_often_as_actions_are_executed(tmp_path: Path, once: bool) -> None:
    """Code that keeps something between calls is no verdict on the block; whoever executes once does not see it."""
    with closing(Chain(tmp_path, remembering.app)) as chain:
        raw = b"\2" + bytes(31)
        remembering.CALLS.clear()
        chain.submit(chain.ledger.authenticator.open_envelope("remembering", raw))
        chain.close_block()
        code, events = finish(start(make_request(tmp_path, app="remembering:app", once=once)))
    if once:
        assert (0, [VerifierProgress, Report]) == (code, list(map(type, events)))
        return
    (event,) = events
    assert isinstance(event, ErrorEvent)
    assert (2, "ImpureStf") == (code, event.kind)


def test_following(chain: Chain, tmp_path: Path) -> None:
    """Each tick gives a report of what has come since; the process ends with its standard input."""
    process = start(make_request(tmp_path, follow=True))
    assert process.stdin is not None
    assert process.stdout is not None
    for height in (1, 2, 3):
        process.stdin.write(msgspec.json.encode(Tick()) + b"\n")
        process.stdin.flush()
        progress, report = (DECODER.decode(process.stdout.readline()) for _ in range(2))
        assert isinstance(progress, VerifierProgress)
        assert isinstance(report, Report)
        assert (height, height, height) == (progress.height, report.first, report.verified)
        chain.edit(("count", 0, 1))
        chain.close_block()
    assert (0, []) == finish(process)
