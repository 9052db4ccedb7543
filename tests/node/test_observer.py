"""What a node looks at by itself: blobs and what an archive confirmed of them, the payer, the disk."""

from __future__ import annotations

import os
import threading
import zlib
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

import microrollup.node.observer as observing
from microrollup.deployment.blob_archive import push_blobs
from microrollup.node.observer import Observer, find_pushed_note, look_at_blobs
from microrollup.settlement.ethereum.blobs import pack_blobs
from microrollup.settlement.ethereum.errors import L1TimedOut
from microrollup.settlement.ethereum.kzg import compute_versioned_hash
from microrollup.settlement.payer import PayerStatus
from waiting import wait_for


def keep(directory: Path, payload: bytes, written: float) -> Path:
    """A real blob under its versioned hash."""
    directory.mkdir(exist_ok=True)
    (blob,) = pack_blobs(zlib.compress(payload))
    path = directory / f"0x{compute_versioned_hash(blob).hex()}"
    path.write_bytes(blob)
    os.utime(path, (written, written))
    return path


def test_what_an_archive_confirmed(tmp_path: Path) -> None:
    """A push counts for what was written before it; a blob that the archive did not give back does not count, nor does
    what is newer than it.
    """
    own = tmp_path / "blobs"
    assert look_at_blobs(own) is None
    first, second = keep(own, b"one", 1_000.0), keep(own, b"two", 2_000.0)
    (own / "other").write_bytes(b"no blob")
    seen = look_at_blobs(own)
    assert seen is not None
    assert (2, 2 * 131_072, 2, 1_000.0) == (seen.count, seen.bytes, seen.unarchived, seen.oldest_unarchived)
    push_blobs(own, str(tmp_path / "archive"), clock=lambda: 5_000.0)
    seen = look_at_blobs(own)
    assert seen is not None
    assert (2, 0, None) == (seen.count, seen.unarchived, seen.oldest_unarchived)
    third = keep(own, b"three", 6_000.0)
    second.write_bytes(b"damaged")
    os.utime(second, (2_000.0, 2_000.0))
    push_blobs(own, str(tmp_path / "archive"), clock=lambda: 7_000.0)
    seen = look_at_blobs(own)
    assert seen is not None
    assert (3, 2, 2_000.0) == (seen.count, seen.unarchived, seen.oldest_unarchived)
    assert first.exists()
    assert third.exists()


@pytest.mark.parametrize("note", [b"", b"{}", b"[]", b'{"confirmedUntil":"x"}', b"\xff", b"[" * 9_999])
def test_a_damaged_note_confirms_nothing(tmp_path: Path, note: bytes) -> None:
    """As if nothing had been pushed."""
    keep(tmp_path / "blobs", b"one", 1_000.0)
    find_pushed_note(tmp_path / "blobs").write_bytes(note)
    seen = look_at_blobs(tmp_path / "blobs")
    assert seen is not None
    assert 1 == seen.unarchived


class Ledgerless:
    """An L1 that answers as the test says."""

    def __init__(self) -> None:
        self.answers: list[Any] = []
        self.asked = 0
        self.last: Any = PayerStatus(b"\x11" * 20, 10**18, 7, 0, 10**15, 10**15)

    def ask(self, payer: bytes, seconds: float) -> Any:
        assert (b"\x11" * 20, 5.0) == (payer, seconds)
        self.asked += 1
        answer = self.answers.pop(0) if self.answers else self.last
        if isinstance(answer, BaseException):
            raise answer
        return answer


def test_whatever_l1_does_looking_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Time-outs and bugs are told once each, the last answer stays, and its age says how old it is."""
    monkeypatch.setattr(observing, "_SHORTEST_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(observing, "_PAUSE_SECONDS", 0.02)
    l1 = Ledgerless()
    l1.answers = [l1.last, *[L1TimedOut("l1", "slow")] * 3, ValueError("bug"), *[L1TimedOut("l1", "slow")] * 2]
    observer = Observer(tmp_path)
    observer.payments, observer.address = l1, b"\x11" * 20  # type: ignore[assignment]
    assert observer.payer_age is None
    with capture_logs() as logs:
        observer.start()
        wait_for(lambda: l1.asked > 8)
        observer.close()
    assert ["not_observed", "observer_failed", "not_observed"] == [each["event"] for each in logs]
    assert observer.payer is not None
    assert 1_000.0 == observer.payer.runway
    assert observer.disk_free


def test_it_ends_with_its_connection(tmp_path: Path) -> None:
    """A question that is open when L1 is closed is cancelled, and the thread ends."""
    l1 = Ledgerless()
    l1.last = CancelledError()
    observer = Observer(tmp_path)
    observer.payments, observer.address = l1, b"\x11" * 20  # type: ignore[assignment]
    observer.start()
    wait_for(lambda: "observer" not in {thread.name for thread in threading.enumerate()})
    observer.close()
    assert observer.payer is None
