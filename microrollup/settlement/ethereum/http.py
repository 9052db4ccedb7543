"""HTTP to L1 nodes and to sources of blobs: one bounded reply of whatever status, or the reason why there is none."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from email.utils import parsedate_to_datetime
from functools import cache
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, unquote, urlsplit, urlunsplit

import msgspec

from microrollup.errors import UsageError
from microrollup.settlement.ethereum.errors import clip

if TYPE_CHECKING:
    import ssl

    import httpx

__all__ = [
    "NoReplyError",
    "Reply",
    "ReplyTooLongError",
    "add_path",
    "exchange",
    "find_secrets",
    "hide_secrets",
    "make_client",
    "name_place",
]

_SECRET_LENGTH: Final = 8
"""Shorter parts of a path are words like `v3` and `mainnet`."""

_MAX_RETRY_SECONDS: Final = 3600.0
"""No server is believed to be busy for longer."""


class Reply(msgspec.Struct, frozen=True):
    """What a server answered."""

    status: int
    reason: str
    """The words beside the status."""
    body: bytes
    retry_after: float | None = None
    """Seconds after which the server wants to be asked again."""
    location: str = ""
    """The place (see `name_place`) to which it refers."""

    def describe(self) -> str:
        """The status in words."""
        return f"HTTP {self.status} {self.reason}".strip()


class NoReplyError(Exception):
    """There is none; the text says why and holds no part of the URL."""

    def __init__(self, reason: str, *, connected: bool = True, timed_out: bool = False) -> None:
        super().__init__(reason)
        self.connected = connected
        self.timed_out = timed_out


class ReplyTooLongError(Exception):
    """A body above the limit; the rest was not read."""


def make_client(headers: Mapping[str, str], *, follow: bool = False) -> httpx.AsyncClient:
    """A client that sends these headers with each request. `exchange` bounds the time of each."""
    import httpx  # noqa: PLC0415  # takes 50 ms

    own = {"user-agent": "microrollup", **headers}
    return httpx.AsyncClient(
        headers=own, timeout=httpx.Timeout(None), trust_env=follow, follow_redirects=follow, max_redirects=3,
        verify=_load_roots(from_environment=follow),
    )  # fmt: skip


@cache
def _load_roots(*, from_environment: bool) -> ssl.SSLContext:
    """Whom TLS trusts. All clients of a process share it: reading it takes 20 ms."""
    import httpx  # noqa: PLC0415

    return httpx.create_ssl_context(trust_env=from_environment)


async def exchange(client: httpx.AsyncClient, url: str, body: bytes | None, *, seconds: float, limit: int) -> Reply:
    """POST a JSON body, or GET without one: the reply, with a body of at most `limit` bytes, within so many seconds.

    Raises `NoReplyError`, `ReplyTooLongError`.
    """
    import httpx  # noqa: PLC0415

    headers = {"content-type": "application/json", "accept": "application/json"} if body is not None else None
    try:
        async with asyncio.timeout(seconds):
            method = "GET" if body is None else "POST"
            async with client.stream(method, url, content=body, headers=headers) as response:
                return _read_head(response, await _read_body(response, limit))
    except TimeoutError:
        raise NoReplyError(f"nothing came within {seconds:g} s", timed_out=True) from None
    except (httpx.ConnectError, httpx.ConnectTimeout) as error:
        raise NoReplyError(clip(str(error)) or type(error).__name__, connected=False) from None
    except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        raise NoReplyError(type(error).__name__, connected=False) from None
    except (httpx.HTTPError, OSError) as error:
        raise NoReplyError(f"{type(error).__name__} {clip(str(error))}".strip()) from None


async def _read_body(response: httpx.Response, limit: int) -> bytes:
    chunks, size = [], 0
    async for chunk in response.aiter_bytes():
        size += len(chunk)
        if size > limit:
            raise ReplyTooLongError
        chunks.append(chunk)
    return b"".join(chunks)


def _read_head(response: httpx.Response, body: bytes) -> Reply:
    import httpx  # noqa: PLC0415

    try:
        location = name_place(str(response.url.join(response.headers["location"])))
    except (KeyError, UsageError, ValueError, httpx.InvalidURL):
        location = ""
    return Reply(
        response.status_code, clip(response.reason_phrase), body, _read_retry_after(response.headers), location
    )


def _read_retry_after(headers: httpx.Headers) -> float | None:
    """Seconds, from a number or from the distance between two dates of the server's own clock."""
    text = headers.get("retry-after", "").strip()
    if text.isdecimal():
        return min(float(text[:10]), _MAX_RETRY_SECONDS)
    try:
        later, now = parsedate_to_datetime(text), parsedate_to_datetime(headers.get("date", ""))
        return min(max((later - now).total_seconds(), 0.0), _MAX_RETRY_SECONDS)
    except (TypeError, ValueError):
        return None


def name_place(url: str) -> str:
    """Scheme, host and port of a URL: what may be shown, since user names, paths and queries hold keys.

    Raises `UsageError` for what is not a URL.
    """
    parts = urlsplit(url)
    try:
        if not parts.hostname or parts.port == 0:
            raise ValueError
    except ValueError:
        raise UsageError("a URL names a host, and a port from 1 to 65535 if any: http://host:8545") from None
    return f"{parts.scheme}://{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}"


def add_path(url: str, path: str, query: str = "") -> str:
    """A URL with more of a path, and of a query, before and after its own: `?key=K` stays what it is."""
    parts = urlsplit(url)
    joined = "&".join([text for text in (parts.query, query) if text])
    return urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/") + path, joined, ""))


def find_secrets(url: str, headers: Iterable[str] = ()) -> tuple[bytes, ...]:
    """What of a URL and of headers may be a key: servers repeat it in their refusals."""
    parts = urlsplit(url)
    texts = [*parts.path.split("/"), *[value for _, value in parse_qsl(parts.query)], parts.password or ""]
    texts += [word for header in headers for word in header.partition(":")[2].split()]
    return tuple([text.encode() for text in {*texts, *map(unquote, texts)} if len(text) >= _SECRET_LENGTH])


def hide_secrets(reply: Reply, secrets: Iterable[bytes]) -> Reply:
    """The reply without what may be a key."""
    body = reply.body
    for secret in secrets:
        body = body.replace(secret, b"***")
    return msgspec.structs.replace(reply, body=body)
