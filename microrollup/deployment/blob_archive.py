"""An archive of blobs: a directory served over HTTP, filled by nodes that settle, read by those who derive from L1.

    GET /0x01…     the blob of this versioned hash, 131,072 bytes
    PUT /0x01…     takes it, with `Authorization: Bearer TOKEN`, if these are the bytes of the hash

A node's own blobs may go once an archive has given them back.
"""

from __future__ import annotations

import hmac
import re
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec

from microrollup.errors import UsageError
from microrollup.node.observer import PushedNote, find_pushed_note
from microrollup.settlement.ethereum.blobs import BLOB_BYTES
from microrollup.settlement.ethereum.http import name_place
from microrollup.settlement.ethereum.sources import archive_blobs, is_blob
from microrollup.system import write_whole

__all__ = ["PushReport", "make_archive_app", "push_blobs", "serve_archive"]

_NAME: Final = re.compile("0x01[0-9a-f]{62}")
_SECONDS: Final = 30.0


class PushReport(msgspec.Struct, rename="camel"):
    """What became of a directory's blobs."""

    pushed: int = 0
    present: int = 0
    """The archive had them already."""
    pruned: int = 0
    kept: list[str] = []
    """Files that are not the blob of their name, or that the archive did not give back, each with the reason."""


def make_archive_app(directory: Path, token: str | None) -> Any:
    """The ASGI application; without a token nothing is taken."""
    from starlette.applications import Starlette  # noqa: PLC0415
    from starlette.concurrency import run_in_threadpool  # noqa: PLC0415
    from starlette.requests import Request  # noqa: PLC0415
    from starlette.responses import Response  # noqa: PLC0415
    from starlette.routing import Route  # noqa: PLC0415

    async def get(request: Request) -> Response:
        path = directory / request.path_params["name"]
        if not _NAME.fullmatch(path.name) or not path.is_file():
            return Response("no such blob", 404)
        return Response(await run_in_threadpool(path.read_bytes), media_type="application/octet-stream")

    async def put(request: Request) -> Response:
        name = request.path_params["name"]
        given = request.headers.get("authorization", "")
        if token is None or not hmac.compare_digest(given.encode("latin-1"), f"Bearer {token}".encode()):
            return Response("the token is not the archive's", 401)
        raw = b""
        async for chunk in request.stream():
            raw += chunk
            if len(raw) > BLOB_BYTES:
                return Response(f"a blob has {BLOB_BYTES} bytes", 413)
        if not _NAME.fullmatch(name) or len(raw) != BLOB_BYTES:
            return Response("not a blob under its versioned hash", 400)
        versioned_hash = bytes.fromhex(name[2:])
        if not await run_in_threadpool(is_blob, versioned_hash, raw):
            return Response("these are not the bytes of this hash", 400)
        await run_in_threadpool(archive_blobs, directory, {versioned_hash: raw})
        return Response("", 201)

    return Starlette(routes=[Route("/{name}", get, methods=["GET"]), Route("/{name}", put, methods=["PUT"])])


def serve_archive(
    directory: Path, listener: socket.socket, token: str | None, on_ready: Callable[[Callable[[], None]], None]
) -> None:
    """Serve until a signal, or until the function is called that `on_ready` is given."""
    from microrollup.rpc.limits import RpcLimits  # noqa: PLC0415
    from microrollup.rpc.server import Server  # noqa: PLC0415

    directory.mkdir(parents=True, exist_ok=True)
    server = Server(make_archive_app(directory, token), listener, RpcLimits(), on_ready=lambda: on_ready(server.stop))
    server.serve_forever()


def push_blobs(
    directory: Path,
    archive: str,
    token: str | None = None,
    *,
    prune_seconds: float | None = None,
    clock: Callable[[], float] = time.time,
) -> PushReport:
    """Bring what `archive`, a URL or a directory, lacks; remove what is older than `prune_seconds` and was given back.

    Raises `UsageError` if the archive cannot be asked at all.
    """
    target: _Web | _Folder = _Web(archive, token) if "://" in archive else _Folder(Path(archive))
    report, confirmed_until = PushReport(kept=[]), clock()
    try:
        for path in sorted(directory.glob("0x01*")):
            if not _NAME.fullmatch(path.name):
                continue
            written = path.stat().st_mtime
            reason = _bring(path, target, report)
            if reason is not None:
                report.kept.append(f"{path.name}: {reason}")
                confirmed_until = min(confirmed_until, written)
            elif prune_seconds is not None and clock() - written >= prune_seconds:
                path.unlink()
                report.pruned += 1
    finally:
        target.close()
    if directory.is_dir():
        with write_whole(find_pushed_note(directory)) as file:
            file.write(msgspec.json.encode(PushedNote(confirmed_until)))
    return report


def _bring(path: Path, target: _Web | _Folder, report: PushReport) -> str | None:
    """Have the archive hold a blob; why it does not."""
    raw = path.read_bytes()
    if not is_blob(bytes.fromhex(path.name[2:]), raw):
        return "these are not the bytes of this hash"
    if target.get(path.name) == raw:
        report.present += 1
        return None
    reason = target.put(path.name, raw)
    if reason is not None or target.get(path.name) != raw:
        return reason or "the archive does not give it back"
    report.pushed += 1
    return None


class _Folder:
    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def get(self, name: str) -> bytes | None:
        try:
            return (self._directory / name).read_bytes()
        except FileNotFoundError:
            return None

    def put(self, name: str, raw: bytes) -> str | None:
        archive_blobs(self._directory, {bytes.fromhex(name[2:]): raw})
        return None

    def close(self) -> None:
        pass


class _Web:
    def __init__(self, url: str, token: str | None) -> None:
        import httpx  # noqa: PLC0415

        self._url = url.rstrip("/")
        self._place = name_place(url)
        headers = {} if token is None else {b"authorization": f"Bearer {token}".encode()}
        self._client = httpx.Client(timeout=_SECONDS, headers=headers)
        self._errors = (httpx.HTTPError, httpx.InvalidURL)

    def get(self, name: str) -> bytes | None:
        status, raw = self._ask("GET", name, None)
        return raw if status == 200 else None

    def put(self, name: str, raw: bytes) -> str | None:
        status, said = self._ask("PUT", name, raw)
        return None if 200 <= status < 300 else f"HTTP {status} {said[:200].decode('utf-8', 'replace')}"

    def _ask(self, method: str, name: str, body: bytes | None) -> tuple[int, bytes]:
        try:
            with self._client.stream(method, f"{self._url}/{name}", content=body) as response:
                raw = b""
                for chunk in response.iter_bytes():
                    raw += chunk
                    if len(raw) > BLOB_BYTES:
                        break
                return response.status_code, raw
        except self._errors as error:
            raise UsageError(f"the archive at {self._place} does not answer: {error}") from None

    def close(self) -> None:
        self._client.close()
