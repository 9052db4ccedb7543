"""An archive of blobs: filled by a node, served to readers, and a node's own blobs removed once it has them."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from ethereum_site import make_site, run_l1, settle
from l1_fixtures import Anvil
from microrollup.deployment.blob_archive import push_blobs, serve_archive
from microrollup.errors import UsageError
from microrollup.rpc.server import bind
from microrollup.settlement.ethereum.blobs import BLOB_BYTES, pack_blobs
from microrollup.settlement.ethereum.errors import BlobsMissing, BlobsUnreachable
from microrollup.settlement.ethereum.kzg import compute_versioned_hash
from microrollup.settlement.ethereum.sources import archive_blobs
from microrollup.testing.settlement_harness import extend, propose

TOKEN = "the archive's"  # noqa: S105
BLOBS = [pack_blobs(batch)[0] for batch in (bytes.fromhex("789c030000000001"), bytes.fromhex("78da030000000001"))]
NAMES = [
    "0x017a87f8ccbf21cd7aac7459cb98bdc99f5fca847e3915825132eff94f760256",
    "0x01510f704593e39b8c1bc9bc5bc2b17c4feceb2ec70b3db2a606648e66747203",
]
"""Their versioned hashes: written out, since to compute one loads the set-up of KZG into whatever collects tests."""


@contextmanager
def run_archive(directory: Path, token: str | None = TOKEN) -> Iterator[str]:
    """A served archive, until the block ends."""
    listener = bind("127.0.0.1", 0)
    ready = threading.Event()
    stops: list[Callable[[], None]] = []

    def note(stop: Callable[[], None]) -> None:
        stops.append(stop)
        ready.set()

    thread = threading.Thread(target=serve_archive, args=(directory, listener, token, note), daemon=True)
    thread.start()
    try:
        assert ready.wait(60)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        stops[0]()
        thread.join(60)


def fill(directory: Path) -> None:
    archive_blobs(directory, {compute_versioned_hash(blob): blob for blob in BLOBS})


def age(directory: Path, name: str, seconds: float) -> None:
    os.utime(directory / name, (seconds, seconds))


@pytest.mark.parametrize("kind", ["served", "directory"])
def test_blobs_go_only_where_the_archive_has_them(tmp_path: Path, kind: str) -> None:
    """Pushed once, removed here by age and never before the archive gave them back."""
    own, there = tmp_path / "own", tmp_path / "there"
    fill(own)
    age(own, NAMES[0], 1_000)
    age(own, NAMES[1], 2_000)
    with run_archive(there) as url:
        archive = url if kind == "served" else str(there)
        pushed = push_blobs(own, archive, TOKEN)
        assert (2, 0, 0, []) == (pushed.pushed, pushed.present, pushed.pruned, pushed.kept)
        again = push_blobs(own, archive, TOKEN, prune_seconds=500, clock=lambda: 1_600.0)
        assert (0, 2, 1) == (again.pushed, again.present, again.pruned)
        assert [NAMES[1]] == [path.name for path in own.iterdir()]
    assert {*NAMES} == {path.name for path in there.iterdir()}


def test_an_archive_that_does_not_take_them(tmp_path: Path) -> None:
    """Without the token, or with another, nothing is taken and nothing removed; an archive that is away is said so."""
    own, there = tmp_path / "own", tmp_path / "there"
    fill(own)
    with run_archive(there) as url:
        for token in (None, "another"):
            report = push_blobs(own, url, token, prune_seconds=0)
            assert (0, 0, 2) == (report.pushed, report.pruned, len(report.kept))
            assert "HTTP 401" in report.kept[0]
    with run_archive(there, token=None) as url:
        assert 2 == len(push_blobs(own, url, TOKEN, prune_seconds=0).kept)
    with pytest.raises(UsageError, match="does not answer"):
        push_blobs(own, "http://127.0.0.1:1", TOKEN, prune_seconds=0)
    assert 2 == len(list(own.iterdir()))


def test_damaged_blobs(tmp_path: Path) -> None:
    """What is not the blob of its name is neither pushed nor removed here, nor counts as what the archive has."""
    own, there = tmp_path / "own", tmp_path / "there"
    fill(own)
    (own / NAMES[0]).write_bytes(bytes(BLOB_BYTES))
    there.mkdir()
    (there / NAMES[1]).write_bytes(bytes(BLOB_BYTES))
    with run_archive(there) as url:
        report = push_blobs(own, url, TOKEN, prune_seconds=0)
    assert 2 == len(report.kept)
    assert {*NAMES} == {path.name for path in own.iterdir()}


@pytest.mark.parametrize(
    ("name", "body", "status"),
    [
        (NAMES[0], BLOBS[1], 400),
        (NAMES[0], BLOBS[0][:-1], 400),
        (NAMES[0], BLOBS[0] + b"\x00", 413),
        ("0x02" + "11" * 31, BLOBS[0], 400),
        ("..%2fescape", BLOBS[0], 404),
        (NAMES[0].upper(), BLOBS[0], 400),
        (NAMES[0], b"\xff" * BLOB_BYTES, 400),
    ],
    ids=["another blob", "too short", "too long", "another name", "no name", "capitals", "no field elements"],
)
def test_what_an_archive_does_not_take(tmp_path: Path, name: str, body: bytes, status: int) -> None:
    """Other bytes than the name's, other lengths, names that are none; nothing is written."""
    with run_archive(tmp_path / "there") as url:
        headers = {"authorization": f"Bearer {TOKEN}"}
        answer = httpx.put(f"{url}/{name}", content=body, headers=headers, timeout=60)  # the first loads the set-up
        assert status == answer.status_code
        assert 404 == httpx.get(f"{url}/{name}").status_code
    assert [] == list((tmp_path / "there").iterdir())


@pytest.fixture(scope="module")
def anvil() -> Iterator[Anvil]:
    with run_l1("--hardfork", "osaka") as anvil:
        yield anvil


def test_a_history_is_derived_from_the_served_archive(anvil: Anvil, tmp_path: Path) -> None:
    """The batch that L1 no longer has is read from the archive alone, after the settling node removed its own."""
    own, there = tmp_path / "own", tmp_path / "there"
    with make_site(anvil, archive=own, blob_sources=()) as site, run_archive(there) as url:
        inbox = site.open()
        proposal = propose(inbox, extend(inbox))
        assert 1 == settle(inbox, proposal).height
        with pytest.raises((BlobsMissing, BlobsUnreachable)):
            site.open(archive=None, blob_sources=(url,)).get_settled_at(1)
        report = push_blobs(own, url, TOKEN, prune_seconds=0)
        assert (1, 1, []) == (report.pushed, report.pruned, [path.name for path in own.iterdir()])
        settled = site.open(archive=None, blob_sources=(url,)).get_settled_at(1)
        assert settled is not None
        assert proposal.batch == settled.batch
