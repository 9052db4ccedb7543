"""Where blobs are kept: a beacon node's API, archives on the web, directories. Their hash tells whether they are."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Final, Protocol

import httpx

from microrollup.codec.json_text import is_shallow
from microrollup.errors import DecodeError, StoreError
from microrollup.settlement.ethereum.blobs import BLOB_BYTES
from microrollup.settlement.ethereum.errors import BlobsMissing, clip
from microrollup.settlement.ethereum.kzg import compute_versioned_hash
from microrollup.settlement.ethereum.options import EthereumOptions
from microrollup.settlement.ethereum.transport import name_place

__all__ = ["BlobReader", "archive_blobs"]

_MAX_BODY_BYTES: Final = 24 * 1024 * 1024
"""Of one answer: more than seventy blobs in hex."""

_MAX_BLOBS_TRIED: Final = 72
"""Of one answer, since each costs a commitment."""

_SECONDS_PER_SLOT: Final = 12


class _Source(Protocol):
    place: str

    async def fetch(self, versioned_hash: bytes, number: int, time: int) -> list[bytes]:
        """Candidates for the blob of a transaction in an L1 block. Raises `_NotHereError`."""
        ...

    async def close(self) -> None: ...


class _NotHereError(Exception):
    """A source has nothing; the text says why."""


class DirectorySource:
    """Files named by the versioned hash, `0x01...`, of 131,072 bytes each."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.place = str(directory)

    async def fetch(self, versioned_hash: bytes, number: int, time: int) -> list[bytes]:
        del number, time  # the hash is the name
        try:
            with (self._directory / f"0x{versioned_hash.hex()}").open("rb") as file:
                return [file.read(BLOB_BYTES + 1)]
        except FileNotFoundError:
            raise _NotHereError("no such file") from None
        except OSError as error:
            raise _NotHereError(str(error)) from None

    async def close(self) -> None:
        pass


class WebSource:
    """A beacon node (`/eth/v1/beacon/blobs`, or `blob_sidecars` of older ones), or an archive with a file a blob.

    A URL does not say which it is, so they are tried in this order.
    """

    def __init__(self, url: str, timeout_seconds: float) -> None:
        self._url = url.rstrip("/")
        self.place = name_place(url)
        self._client = httpx.AsyncClient(timeout=timeout_seconds, follow_redirects=True, max_redirects=3)
        self._genesis_time: int | None = None

    async def close(self) -> None:
        await self._client.aclose()

    async def fetch(self, versioned_hash: bytes, number: int, time: int) -> list[bytes]:
        name, said = f"0x{versioned_hash.hex()}", []
        paths = [f"/{name}"]
        try:
            slot = (time - await self._get_genesis_time()) // _SECONDS_PER_SLOT
            paths = [
                f"/eth/v1/beacon/blobs/{slot}?versioned_hashes={name}",
                f"/eth/v1/beacon/blob_sidecars/{slot}",
                *paths,
            ]
            if slot != number:  # development nodes count blocks, not slots
                paths.insert(1, f"/eth/v1/beacon/blobs/{number}?versioned_hashes={name}")
        except _NotHereError as error:
            said.append(f"beacon API: {error}")
        for path in paths:
            try:
                found = _read_blobs(await self._get(path), is_archive=path == f"/{name}")
            except _NotHereError as error:
                said.append(f"{path.split('?', maxsplit=1)[0]}: {error}")
                continue
            good = [blob for blob in found if is_blob(versioned_hash, blob)]
            if good:
                return good
            said.append(f"{path.split('?', maxsplit=1)[0]}: {len(found)} blobs, none of them this one")
        raise _NotHereError(", ".join(said))

    async def _get_genesis_time(self) -> int:
        if self._genesis_time is None:
            answer = _parse_json(await self._get("/eth/v1/beacon/genesis"))
            try:
                self._genesis_time = int(str(answer["data"]["genesis_time"])[:20])
            except (KeyError, TypeError, ValueError):
                raise _NotHereError("no genesis time") from None
        return self._genesis_time

    async def _get(self, path: str) -> bytes:
        chunks, size = [], 0
        try:
            async with self._client.stream("GET", self._url + path) as response:
                if response.status_code != 200:
                    raise _NotHereError(f"HTTP {response.status_code}")
                async for chunk in response.aiter_bytes():
                    size += len(chunk)
                    if size > _MAX_BODY_BYTES:
                        raise _NotHereError(f"more than {_MAX_BODY_BYTES} bytes")
                    chunks.append(chunk)
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise _NotHereError(f"{type(error).__name__} {clip(str(error))}".strip()) from None
        return b"".join(chunks)


def _parse_json(raw: bytes) -> Any:
    if not is_shallow(raw):
        raise _NotHereError("nests too deep")
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        raise _NotHereError("not JSON") from None


def _read_blobs(raw: bytes, *, is_archive: bool) -> list[bytes]:
    if is_archive:
        return [raw]
    answer = _parse_json(raw)
    items = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(items, list):
        raise _NotHereError("no list of blobs")
    blobs = []
    for item in items[:_MAX_BLOBS_TRIED]:
        text = item.get("blob") if isinstance(item, dict) else item
        if isinstance(text, str) and len(text) == 2 + 2 * BLOB_BYTES:
            try:
                blobs.append(bytes.fromhex(text[2:]))
            except ValueError:
                continue
    return blobs


def is_blob(versioned_hash: bytes, blob: bytes) -> bool:
    """Whether these bytes are the blob of that hash."""
    try:
        return compute_versioned_hash(blob) == versioned_hash
    except DecodeError:
        return False


class BlobReader:
    """Several sources, asked in order."""

    def __init__(self, options: EthereumOptions) -> None:
        places = ([str(options.archive)] if options.archive is not None else []) + list(options.blob_sources)
        self._sources: list[_Source] = [
            WebSource(place, options.timeout_seconds)
            if place.startswith(("http://", "https://"))
            else DirectorySource(Path(place))
            for place in places
        ]

    async def close(self) -> None:
        for source in self._sources:
            await source.close()

    async def read(self, versioned_hash: bytes, number: int, time: int) -> bytes:
        """The blob of a 32-byte versioned hash, from L1 block `number` of `time` seconds. Raises `BlobsMissing`."""
        asked = []
        for source in self._sources:
            try:
                candidates = await source.fetch(versioned_hash, number, time)
            except _NotHereError as error:
                asked.append(f"{source.place}: {error}")
                continue
            for blob in candidates:
                if is_blob(versioned_hash, blob):
                    return blob
            asked.append(f"{source.place}: what it has under this name is another blob")
        raise BlobsMissing(versioned_hash, asked)


def archive_blobs(directory: Path, blobs: dict[bytes, bytes]) -> None:
    """Write blobs, by versioned hash, durably: each whole or not at all. Raises `StoreError`."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for versioned_hash, blob in blobs.items():
            path = directory / f"0x{versioned_hash.hex()}"
            if path.exists() and path.stat().st_size == len(blob):
                continue
            partial = path.with_name(f".{path.name}.{os.getpid()}")
            with partial.open("wb") as file:
                file.write(blob)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise StoreError(f"the archive of blobs {directory}: {error}") from None
