"""The table of signed heights: one block hash a height, for ever."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import lmdb
import pytest

from microrollup.errors import AttestationConflict, CommitFailed, StoreError
from microrollup.verifier import signatures
from microrollup.verifier.signatures import SignedHeights

ROLLUP = bytes(range(32))
ONE, OTHER = b"\x01" * 32, b"\x02" * 32


def test_one_hash_a_height(tmp_path: Path) -> None:
    """The same hash may be noted any number of times, another one never; the error carries both."""
    with SignedHeights(tmp_path) as signed:
        signed.record(ROLLUP, [(1, ONE), (2, OTHER)])
        signed.record(ROLLUP, [(1, ONE)])
        with pytest.raises(AttestationConflict) as caught:
            signed.record(ROLLUP, [(1, OTHER)])
        assert (1, ONE, OTHER) == (caught.value.height, caught.value.signed, caught.value.asked)
        assert (ONE, OTHER, None) == (signed.get(ROLLUP, 1), signed.get(ROLLUP, 2), signed.get(ROLLUP, 3))


def test_rollups_are_apart(tmp_path: Path) -> None:
    """Another rollup's block of the same height is no conflict."""
    with SignedHeights(tmp_path) as signed:
        signed.record(ROLLUP, [(1, ONE)])
        signed.record(bytes(32), [(1, OTHER)])
        assert (ONE, OTHER) == (signed.get(ROLLUP, 1), signed.get(bytes(32), 1))


def test_all_or_nothing(tmp_path: Path) -> None:
    """A conflict at one height of a batch notes none of its heights."""
    with SignedHeights(tmp_path) as signed:
        signed.record(ROLLUP, [(2, ONE)])
        with pytest.raises(AttestationConflict):
            signed.record(ROLLUP, [(1, ONE), (2, OTHER), (3, ONE)])
        assert (None, ONE, None) == (signed.get(ROLLUP, 1), signed.get(ROLLUP, 2), signed.get(ROLLUP, 3))


def test_durable_once_recorded(tmp_path: Path) -> None:
    """What `record` returned from is there although the process never closed anything."""
    code = (
        "import os, sys; from pathlib import Path; from microrollup.verifier.signatures import SignedHeights;"
        "SignedHeights(Path(sys.argv[1])).record(bytes(32), [(7, b'\\x05' * 32)]); os._exit(9)"
    )
    assert 9 == subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False).returncode
    with SignedHeights(tmp_path) as signed, pytest.raises(AttestationConflict):
        signed.record(bytes(32), [(7, ONE)])


def test_unusable_places(tmp_path: Path) -> None:
    """Damage, a file in the way and opening twice in a process are told as errors of the store."""
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "data.mdb").write_bytes(b"\x07" * 20_000)
    (tmp_path / "file").write_bytes(b"")
    for directory in (tmp_path / "damaged", tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(StoreError):
            SignedHeights(directory)
    with SignedHeights(tmp_path / "good"), pytest.raises(StoreError):
        SignedHeights(tmp_path / "good")


def test_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the table cannot grow, nothing may be signed: `CommitFailed`."""
    monkeypatch.setattr(signatures, "_MAP_SIZE", 1 << 15)
    with SignedHeights(tmp_path) as signed:
        signed.record(ROLLUP, [(1, ONE)])
        with pytest.raises(CommitFailed):
            signed.record(ROLLUP, [(height, OTHER) for height in range(2, 5_000)])
        assert (ONE, None) == (signed.get(ROLLUP, 1), signed.get(ROLLUP, 2))
    assert issubclass(lmdb.MapFullError, lmdb.Error)
