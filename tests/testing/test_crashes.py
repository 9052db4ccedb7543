"""`testing.crashes`: crashes at every write of a store, and planted bugs of durability that are found."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from random import Random

import pytest

from machine_apps import Mint, Send, bank
from microrollup.errors import UsageError
from microrollup.testing.crash_record import WriteEvent, make_images, mix_sectors
from microrollup.testing.crashes import CrashExplorer, CrashLoss
from microrollup.testing.execution import Senders, at, force, next_block

pytestmark = pytest.mark.slow

ALICE, BOB = Senders(2)
STEPS = [
    (ALICE, Mint(9)), (BOB, Mint(3)), next_block(), (ALICE, Send(BOB, 2)), force(BOB, Mint(7)), next_block(),
    (BOB, Send(ALICE, 1)), (BOB, Send(ALICE, 200)), at(3_000_000_000), (ALICE, Mint(1)), next_block(), (BOB, Mint(1)),
]  # fmt: skip

needs_recorder = pytest.mark.skipif(sys.platform != "linux" or shutil.which("cc") is None, reason="no C compiler")


@needs_recorder
def test_the_store_comes_back_from_every_crash() -> None:
    """Whatever a crash leaves of the real store's files, it opens with all that was acknowledged, and replays."""
    explored = CrashExplorer(bank, STEPS).explore(150)
    assert 100 < explored.states <= 150
    assert explored.events > 60


PLANTS = {
    "commits without a sync": """
import lmdb
original = lmdb.open
lmdb.open = lambda *rest, **options: original(*rest, **(options | {"sync": False, "metasync": False}))
""",
    "an acknowledgement before the sync": """
from microrollup.ledger.ledger import Ledger
Ledger.commit = lambda ledger: None
""",
    "mapped files that are noted as durable and are not": """
import mmap, os
class Forgetful(mmap.mmap):
    def flush(self, *rest):
        return None
mmap.mmap = Forgetful
original = os.fdatasync
os.fdatasync = lambda handle: None
""",
}


FOUND = dict(zip(PLANTS, ("the store holds ", "the store holds ", "the store does not open: leaves"), strict=True))


@needs_recorder
@pytest.mark.parametrize("plant", PLANTS)
def test_a_planted_bug_is_found(plant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that says more than its disk holds fails, and the write after which the crash came is named."""
    (tmp_path / "sitecustomize.py").write_text(PLANTS[plant])
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(CrashLoss, match=rf"^a crash after write \d+: {FOUND[plant]}"):
        CrashExplorer(bank, STEPS).explore(300)


def test_it_says_where_it_cannot_record(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a C compiler it says so."""
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(UsageError, match="needs a C compiler"):
        CrashExplorer(bank, STEPS).explore(10)


def test_a_crash_keeps_what_a_sync_covers() -> None:
    """Synced bytes are in each image; later ones are there in whole sectors or not at all, each of both somewhere."""
    events = [
        WriteEvent("w", False, "a", 0, 1024, b"1" * 1024), WriteEvent("s", False, "a", 0, 0, b""),
        WriteEvent("w", False, "a", 0, 1024, b"2" * 1024), WriteEvent("w", True, "b", 1, 2, b"33"),
    ]  # fmt: skip
    before = {"a": bytes(1024), "b": bytes(4)}
    images = list(make_images(before, events, Random(1), [1, 40, 1, 0, 40]))
    sectors = [{image.files["a"][place : place + 512][:1] for image in images[1:41]} for place in (0, 512)]
    assert [{b"\0", b"1"}] * 2 == sectors
    assert before == images[0].files
    assert {"a": b"1" * 1024, "b": bytes(4)} == images[41].files
    last = [image.files for image in images[42:]]
    assert {b"\00033\0"} == {files["b"] for files in last}
    assert {b"1" * 1024, b"2" * 1024, b"1" * 512 + b"2" * 512, b"2" * 512 + b"1" * 512} == {f["a"] for f in last}


def test_sectors_are_mixed() -> None:
    """Each sector is wholly old or wholly new; what the old file lacks is zeros."""
    mixed = mix_sectors(Random(3), b"o" * 1024, b"n" * 4000)
    assert 4000 == len(mixed)
    pieces = {mixed[start : start + 512] for start in range(0, 4000, 512)}
    assert pieces <= {b"o" * 512, b"n" * 512, bytes(512), b"n" * 416, bytes(416)}
    assert 3 <= len(pieces)
