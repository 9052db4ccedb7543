"""Sources of blobs on the web that are busy, want a key, or lack a blob: told apart. No L1, a blob of our own."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from microrollup.settlement.ethereum.blobs import pack_blobs
from microrollup.settlement.ethereum.errors import BlobsMissing, BlobsUnreachable
from microrollup.settlement.ethereum.kzg import compute_versioned_hash
from microrollup.settlement.ethereum.options import EthereumOptions
from microrollup.settlement.ethereum.pace import Pace
from microrollup.settlement.ethereum.sources import BlobReader

BLOB = pack_blobs(bytes.fromhex("789c030000000001"))[0]
GENESIS = json.dumps({"data": {"genesis_time": "0"}}).encode()
BLOBS = json.dumps({"data": [f"0x{BLOB.hex()}"]}).encode()

Answer = tuple[int, dict[str, str], bytes]


class BeaconNode:
    """A beacon node on the loopback; `refuse` may answer instead, by the count of requests so far."""

    def __init__(self) -> None:
        self.url = ""
        self.paths: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.refuse: Callable[[int], Answer | None] = lambda _: None

    def answer(self, path: str, headers: dict[str, str]) -> Answer:
        self.paths.append(path)
        self.headers.append(headers)
        refused = self.refuse(len(self.paths))
        if refused is not None:
            return refused
        pages = {"/eth/v1/beacon/genesis": GENESIS, "/eth/v1/beacon/blobs/1": BLOBS}
        body = pages.get(urlsplit(path).path)
        return (404, {}, b"not here") if body is None else (200, {}, body)


@pytest.fixture
def beacon() -> Iterator[BeaconNode]:
    node = BeaconNode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, headers, body = node.answer(self.path, {name.lower(): text for name, text in self.headers.items()})
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    node.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield node
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    kept: list[float] = []

    async def sleep(seconds: float) -> None:
        kept.append(seconds)

    monkeypatch.setattr(Pace, "sleep", staticmethod(sleep))
    return kept


@pytest.fixture(scope="module")
def versioned_hash() -> bytes:
    return compute_versioned_hash(BLOB)


def read(versioned_hash: bytes, *sources: str, **options: object) -> bytes:
    async def run() -> bytes:
        reader = BlobReader(EthereumOptions("http://127.0.0.1:9", blob_sources=sources, **options))  # type: ignore[arg-type]
        try:
            return await reader.read(versioned_hash, 1, 12)
        finally:
            await reader.close()

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("status", "retry_after", "pause"),
    [(429, None, 1.0), (429, "5", 5.0), (503, None, 0.125), (503, "2", 2.0), (500, None, 0.125)],
)
@pytest.mark.parametrize("number", [1, 2])
def test_one_refusal(
    beacon: BeaconNode,
    pauses: list[float],
    versioned_hash: bytes,
    status: int,
    retry_after: str | None,
    pause: float,
    number: int,
) -> None:
    """One 429 or 503, of the genesis or of the blobs, is waited for, as long as the node says."""
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    beacon.refuse = lambda count: (status, headers, b"") if count == number else None
    assert BLOB == read(versioned_hash, beacon.url)
    assert [pause] == pauses


@pytest.mark.parametrize("status", [429, 500, 503, 401, 403])
def test_busy_is_not_missing(beacon: BeaconNode, pauses: list[float], versioned_hash: bytes, status: int) -> None:
    """A source that could not be asked may have the blob; one that answers "not found" does not."""
    beacon.refuse = lambda _: (status, {}, b"")
    with pytest.raises(BlobsUnreachable, match=f"HTTP {status}.*try again"):
        read(versioned_hash, beacon.url)
    beacon.refuse = lambda _: (404, {}, b"")
    with pytest.raises(BlobsMissing, match="HTTP 404"):
        read(versioned_hash, beacon.url)


def test_the_next_source_has_it(beacon: BeaconNode, pauses: list[float], versioned_hash: bytes, tmp_path: Path) -> None:
    """A source that stays busy is passed over for one that has the blob."""
    beacon.refuse = lambda _: (503, {}, b"")
    (tmp_path / f"0x{versioned_hash.hex()}").write_bytes(BLOB)
    assert BLOB == read(versioned_hash, beacon.url, str(tmp_path))


def test_a_key_in_the_query(beacon: BeaconNode, pauses: list[float], versioned_hash: bytes) -> None:
    """`--blobs URL?key=K` asks each path with its key, and shows it to nobody."""
    assert BLOB == read(versioned_hash, f"{beacon.url}/?key=0123456789")
    assert all(["0123456789"] == parse_qs(urlsplit(path).query)["key"] for path in beacon.paths)
    assert "/eth/v1/beacon/genesis" == urlsplit(beacon.paths[0]).path
    assert [f"0x{versioned_hash.hex()}"] == parse_qs(urlsplit(beacon.paths[1]).query)["versioned_hashes"]
    beacon.refuse = lambda _: (404, {}, b"")
    with pytest.raises(BlobsMissing) as caught:
        read(versioned_hash, f"{beacon.url}?key=0123456789")
    assert "0123456789" not in str(caught.value)


def test_headers_are_for_the_node_alone(beacon: BeaconNode, pauses: list[float], versioned_hash: bytes) -> None:
    """The L1 node's header goes to its own URL, which may answer for a beacon node, and to no other source."""
    assert BLOB == read(versioned_hash, beacon.url, headers=("X-Key: 0123456789",))
    assert {None} == {headers.get("x-key") for headers in beacon.headers}

    async def run() -> bytes:
        options = EthereumOptions(beacon.url, blob_sources=(beacon.url,), headers=("X-Key: 0123456789",))
        reader = BlobReader(options)
        try:
            return await reader.read(versioned_hash, 1, 12)
        finally:
            await reader.close()

    beacon.headers.clear()
    assert BLOB == asyncio.run(run())
    assert {"0123456789"} == {headers.get("x-key") for headers in beacon.headers}
