"""Where blobs are kept: a beacon node's API, archives on the web, directories. Their hash tells whether they are."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Final, Protocol

from microrollup.codec.json_text import is_shallow
from microrollup.errors import DecodeError, StoreError
from microrollup.settlement.ethereum.blobs import BLOB_BYTES
from microrollup.settlement.ethereum.errors import BlobsMissing, BlobsUnreachable, L1Error
from microrollup.settlement.ethereum.headers import split_headers
from microrollup.settlement.ethereum.http import (
    NoReplyError,
    ReplyTooLongError,
    add_path,
    exchange,
    make_client,
    name_place,
)
from microrollup.settlement.ethereum.kzg import compute_versioned_hash
from microrollup.settlement.ethereum.options import EthereumOptions
from microrollup.settlement.ethereum.pace import Pace, Patience
from microrollup.settlement.ethereum.replies import AgainError
from microrollup.system import sync_directory, sync_file

__all__ = ["BlobReader", "archive_blobs", "is_blob"]

_MAX_BODY_BYTES: Final = 24 * 1024 * 1024
"""Of one answer: more than seventy blobs in hex."""

_MAX_BLOBS_TRIED: Final = 72
"""Of one answer, since each costs a commitment."""

_SECONDS_PER_SLOT: Final = 12


class _Source(Protocol):
    place: str

    async def fetch(self, versioned_hash: bytes, number: int, time: int) -> list[bytes]:
        """Candidates for the blob of a transaction in an L1 block. Raises `_NotHereError`, `_NotAskedError`."""
        ...

    async def close(self) -> None: ...


class _NotHereError(Exception):
    """A source has nothing; the text says why."""


class _NotAskedError(Exception):
    """A source could not be asked, so it may have it; the text says why."""


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
            raise _NotAskedError(str(error)) from None

    async def close(self) -> None:
        pass


class WebSource:
    """A beacon node (`/eth/v1/beacon/blobs`, or `blob_sidecars` of older ones), or an archive with a file a blob.

    A URL does not say which it is, so they are tried in this order.
    """

    def __init__(self, url: str, options: EthereumOptions) -> None:
        self._url = url
        self._options = options
        self.place = name_place(url)
        # The headers are for the L1 node, which may answer for its beacon node too, and for nobody else.
        headers = split_headers(options.headers if url == options.url else ())
        self._client = make_client(headers, follow=not headers)
        self._genesis_time: int | None = None

    async def close(self) -> None:
        await self._client.aclose()

    async def fetch(self, versioned_hash: bytes, number: int, time: int) -> list[bytes]:
        name, said, is_sure = f"0x{versioned_hash.hex()}", [], True
        paths = [(f"/{name}", "")]
        try:
            slot = (time - await self._get_genesis_time()) // _SECONDS_PER_SLOT
            wanted = f"versioned_hashes={name}"
            paths = [(f"/eth/v1/beacon/blobs/{slot}", wanted), (f"/eth/v1/beacon/blob_sidecars/{slot}", ""), *paths]
            if slot != number:  # development nodes count blocks, not slots
                paths.insert(1, (f"/eth/v1/beacon/blobs/{number}", wanted))
        except (_NotHereError, _NotAskedError) as error:
            is_sure = isinstance(error, _NotHereError)
            said.append(f"beacon API: {error}")
        for path, query in paths:
            try:
                found = _read_blobs(await self._get(path, query), is_archive=path == f"/{name}")
            except (_NotHereError, _NotAskedError) as error:
                is_sure = is_sure and isinstance(error, _NotHereError)
                said.append(f"{path}: {error}")
                continue
            good = [blob for blob in found if is_blob(versioned_hash, blob)]
            if good:
                return good
            said.append(f"{path}: {len(found)} blobs, none of them this one")
        raise (_NotHereError if is_sure else _NotAskedError)(", ".join(said))

    async def _get_genesis_time(self) -> int:
        if self._genesis_time is None:
            answer = _parse_json(await self._get("/eth/v1/beacon/genesis"))
            try:
                self._genesis_time = int(str(answer["data"]["genesis_time"])[:20])
            except (KeyError, TypeError, ValueError):
                raise _NotHereError("no genesis time") from None
        return self._genesis_time

    async def _get(self, path: str, query: str = "") -> bytes:
        """A body; a server that is busy or asked too often is asked again, after the pause that it names."""
        patience = Patience(self._options)
        while True:
            try:
                return await self._get_once(add_path(self._url, path, query))
            except AgainError as again:
                pause = patience.find_pause(again)
                if pause is None:
                    raise _NotAskedError(str(again)) from None
                await Pace.sleep(pause)

    async def _get_once(self, url: str) -> bytes:
        try:
            reply = await exchange(
                self._client, url, None, seconds=self._options.timeout_seconds, limit=_MAX_BODY_BYTES
            )
        except ReplyTooLongError:
            raise _NotHereError(f"more than {_MAX_BODY_BYTES} bytes") from None
        except NoReplyError as error:
            if not error.connected:
                raise _NotAskedError(str(error)) from None
            raise AgainError(L1Error(str(error)), "busy") from None
        if reply.status == 200:
            return reply.body
        said = reply.describe()
        if reply.status == 429:
            raise AgainError(L1Error(said), "throttled", reply.retry_after)
        if reply.status >= 500 or reply.status == 408:
            raise AgainError(L1Error(said), "busy", reply.retry_after)
        if reply.status in {401, 403, 407}:
            raise _NotAskedError(said)
        raise _NotHereError(said)


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
            WebSource(place, options) if place.startswith(("http://", "https://")) else DirectorySource(Path(place))
            for place in places
        ]

    async def close(self) -> None:
        for source in self._sources:
            await source.close()

    async def read(self, versioned_hash: bytes, number: int, time: int) -> bytes:
        """The blob of a 32-byte versioned hash, from L1 block `number` of `time` seconds.

        Raises `BlobsMissing` if all sources say that they do not have it, `BlobsUnreachable` if one could not be asked.
        """
        asked, is_sure = [], True
        for source in self._sources:
            try:
                candidates = await source.fetch(versioned_hash, number, time)
            except (_NotHereError, _NotAskedError) as error:
                is_sure = is_sure and isinstance(error, _NotHereError)
                asked.append(f"{source.place}: {error}")
                continue
            for blob in candidates:
                if is_blob(versioned_hash, blob):
                    return blob
            asked.append(f"{source.place}: what it has under this name is another blob")
        raise (BlobsMissing if is_sure else BlobsUnreachable)(versioned_hash, asked)


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
                sync_file(file.fileno())
            partial.replace(path)
        sync_directory(directory)
    except OSError as error:
        raise StoreError(f"the archive of blobs {directory}: {error}") from None
